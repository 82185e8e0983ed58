//! Carries out what other processes ask for.

use serde_json::json;
use trigger_core::event::identity::LaunchKey;
use trigger_core::event::{Delivery, Event, RedrivenLaunch};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::{Node, json as text_json};
use trigger_engine::{EventError, LaunchReport, operate, redrive};

use super::Dev;
use super::about::subject_of_id;
use super::launches::latest;
use super::requests::requests;
use crate::happening::Happening;

/// What another process asks for.
#[derive(Debug, PartialEq)]
enum Ask {
    /// To cancel a launch.
    Cancel(LaunchKey),
    /// To start a launch again that has ended.
    Retry(LaunchKey),
    /// To continue the launch of a dead letter.
    Redrive(RedrivenLaunch),
    /// To run a route for an event.
    Run { route: String, event: Box<Event> },
}

impl Ask {
    /// Parses a request: `{"cancel": LAUNCH}`, `{"retry": LAUNCH}`, `{"run": ROUTE, "event": {...}}`, or a dead letter.
    fn parse(text: &str, config: &RoutingConfig) -> Result<Self, String> {
        let request = text_json::parse(text).map_err(|error| format!("the request is not JSON: {error}"))?;
        let launch = |key: &str| -> Option<Result<LaunchKey, String>> {
            let name = request.get(key)?.as_str().unwrap_or_default();
            let unknown = || format!("`{name}` is not the name of a launch; write ROUTE/DATE/ID");
            Some(LaunchKey::parse(name).ok_or_else(unknown))
        };
        if let Some(launch) = launch("cancel") {
            return launch.map(Self::Cancel);
        }
        if let Some(launch) = launch("retry") {
            return launch.map(Self::Retry);
        }
        if let Some(route) = request.get("run").and_then(Node::as_str) {
            let event = request.get("event").map(|event| &text[event.span.start..event.span.end]).unwrap_or_default();
            let event = Event::decode_copy(event).map_err(|error| error.to_string())?;
            return Ok(Self::Run { route: route.to_owned(), event: Box::new(event) });
        }
        match config.open(text).content {
            Ok(Delivery::Redrive(redriven)) => Ok(Self::Redrive(redriven)),
            _ => {
                Err("the request has neither `cancel`, `retry` nor `run`, and is not the dead letter of a launch"
                    .into())
            }
        }
    }
}

impl<S: FnMut(&Happening)> Dev<'_, S> {
    /// Carries out what other processes have asked for.
    pub(super) async fn carry_out_requests(&mut self) {
        for request in requests(&self.ports.payloads.project) {
            let answer = match Ask::parse(&request.text, &self.config) {
                Ok(ask) => self.carry_out(ask).await,
                Err(reason) => Err(reason),
            };
            let text = answer.clone().unwrap_or_else(|reason| json!({ "error": reason }).to_string());
            if let Err(error) = request.answer(&text) {
                self.refuse_once(format!("cannot answer a request: {error}"));
            }
            (self.show)(&Happening::Requested { request: request.text, answer });
            self.tell_untold();
        }
    }

    /// Does what was asked for. Returns the answer as JSON.
    async fn carry_out(&mut self, ask: Ask) -> Result<String, String> {
        let (config, ports) = (&self.config, &self.ports);
        match ask {
            Ask::Cancel(launch) => {
                let cancelled = operate::cancel(&launch, config, ports).await;
                cancelled.map_err(|error| error.to_string())?;
                Ok(json!({ "cancelled": launch.to_string() }).to_string())
            }
            Ask::Retry(launch) => {
                let retried = operate::retry(&launch, config, ports).await;
                retried.map_err(|error| error.to_string())?;
                Ok(json!({ "retried": launch.to_string() }).to_string())
            }
            Ask::Redrive(redriven) => {
                let redriven = redrive(&redriven, config, ports, latest()).await;
                self.answer_of(redriven)
            }
            Ask::Run { route, event } => {
                let unknown = || format!("the config has no route `{route}`");
                let route = config.route(&route).ok_or_else(unknown)?;
                let ran = operate::run(*event, route, config, ports).await;
                self.answer_of(ran)
            }
        }
    }

    /// Shows what became of an event that another process has given, and returns it as JSON.
    fn answer_of(&mut self, result: Result<LaunchReport, EventError>) -> Result<String, String> {
        let report = result.map_err(|error| error.to_string())?;
        let launches: Vec<_> = report
            .launches
            .iter()
            .map(|launch| json!({ "launch": self.key_of(&report, launch).to_string(), "outcome": launch.outcome.name() }))
            .collect();
        let subject = subject_of_id(&report.event_id);
        self.report(Ok(report), &subject);
        Ok(json!({ "launches": launches }).to_string())
    }
}

#[cfg(test)]
mod tests {
    use trigger_core::event::identity::LaunchKey;
    use trigger_core::routing::RoutingConfig;
    use trigger_core::text::Source;

    use super::Ask;

    #[test]
    fn a_request_is_a_verb_with_a_launch_a_route_with_an_event_or_a_dead_letter() {
        let text =
            "version: 1\ntasks: { t: { task_definition: t } }\nroutes: [{ name: r, on: { queue: q }, run: t }]\n";
        let config = RoutingConfig::parse(Source::new("c.yaml", text)).expect("is valid");
        let key = LaunchKey::new("r", "2026-01-01", &"0".repeat(32));
        let parse = |text: &str| Ask::parse(text, &config);
        assert_eq!(parse(&format!(r#"{{"cancel":"{key}"}}"#)), Ok(Ask::Cancel(key.clone())));
        assert_eq!(parse(&format!(r#"{{"retry":"{key}"}}"#)), Ok(Ask::Retry(key.clone())));
        let letter = parse(&format!(r#"{{"dead_letter":1,"reason":"no","launch":"{key}","redrives":2,"event":{{}}}}"#));
        assert!(matches!(letter, Ok(Ask::Redrive(redriven)) if redriven.launch == key && redriven.redrives == 2));
        let event = r#"{"version":"0","id":"1","detail-type":"T","source":"s","account":"1","time":"2026-01-01T00:00:00Z",
            "region":"r","resources":[],"detail":{"total":1.10}}"#;
        match parse(&format!(r#"{{"run":"r","event":{event}}}"#)) {
            Ok(Ask::Run { route, event: given }) => assert_eq!((route.as_str(), &*given.text), ("r", event)),
            other => panic!("{other:?}"),
        }
        for (text, reason) in [
            ("{", "the request is not JSON"),
            (r#"{"cancel":"r"}"#, "`r` is not the name of a launch"),
            (r#"{"run":"r"}"#, "not JSON"),
            (r#"{"x":1}"#, "neither `cancel`"),
        ] {
            let refused = parse(text).expect_err("is refused");
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}
