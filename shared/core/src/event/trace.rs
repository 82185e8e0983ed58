//! Trace context: the trace that an event belongs to and that its tasks continue.

use super::{Event, EventKind};
use crate::text::Node;

/// The environment variables of W3C trace context, which OpenTelemetry reads, and of X-Ray, which its SDKs read.
/// Source: <https://opentelemetry.io/docs/specs/otel/context/env-carriers/>
pub const TRACE_VARIABLES: [&str; 3] = ["TRACEPARENT", "TRACESTATE", "_X_AMZN_TRACE_ID"];

/// A longer X-Ray header or list of trace states, in bytes, is left out.
/// Source: <https://www.w3.org/TR/trace-context/#tracestate-limits>
const CHARACTERS_MAX: usize = 512;

impl Event {
    /// Returns the trace context that the event itself carries, as environment variables. A message carries it in its
    /// attributes `traceparent`, `tracestate` and `AWSTraceHeader`, any other event in the fields of `detail` with
    /// these names. The trace of the delivery is not used, because a repeated delivery must make the same request.
    /// Values that are not valid are left out.
    pub fn trace(&self) -> Vec<(&'static str, String)> {
        let of_message = matches!(self.kind, EventKind::Message(_));
        let (own, of_sqs) = match of_message {
            true => (self.node.get("message_attributes"), self.node.get("attributes")),
            false => (self.node.get("detail"), self.node.get("detail")),
        };
        let text = |node: Option<&Node>, name: &str| node?.get(name)?.as_str().map(str::to_owned);
        let parent = text(own, "traceparent").filter(|text| is_traceparent(text));
        let state = text(own, "tracestate").filter(|text| parent.is_some() && is_printable(text));
        let xray = text(of_sqs, "AWSTraceHeader").filter(|text| text.starts_with("Root=1-") && is_printable(text));
        let [of_parent, of_state, of_xray] = TRACE_VARIABLES;
        let all = [(of_parent, parent), (of_state, state), (of_xray, xray)];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Returns whether a text has the form `VERSION-TRACE-PARENT-FLAGS`.
/// Source: <https://www.w3.org/TR/trace-context/#traceparent-header>
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &&str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]) && parts.iter().all(is_hex)
}

fn is_printable(text: &str) -> bool {
    text.len() <= CHARACTERS_MAX && text.bytes().all(|b| (0x20..0x7F).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::super::{Delivery, Door, Event};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn check(event: &Event, expect: &[(&str, &str)]) {
        let found = event.trace();
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(found, expect);
    }

    fn of_detail(detail: &str) -> Event {
        let text = format!(
            r#"{{"id":"1","source":"my.app","detail-type":"t","account":"1","time":"2026-01-01T00:00:00Z","region":"r","resources":[],"detail":{detail}}}"#
        );
        Event::decode(&text).expect("is an event")
    }

    #[test]
    fn an_events_detail_carries_it() {
        check(
            &of_detail(&format!(r#"{{"traceparent":"{PARENT}","tracestate":"a=b"}}"#)),
            &[("TRACEPARENT", PARENT), ("TRACESTATE", "a=b")],
        );
    }

    #[test]
    fn what_is_not_of_the_form_is_left_out() {
        check(&of_detail(r#"{"traceparent":"00-x-y-01","tracestate":"a=b","AWSTraceHeader":"--help"}"#), &[]);
        check(&of_detail(r#"{"traceparent":1}"#), &[]);
        check(&of_detail("{}"), &[]);
    }

    #[test]
    fn a_messages_attributes_carry_it() {
        let batch = format!(
            r#"{{"Records":[{{"messageId":"m","receiptHandle":"r","body":"{{}}","eventSource":"aws:sqs",
            "eventSourceARN":"arn:aws:sqs:eu-west-1:111122223333:jobs","awsRegion":"eu-west-1",
            "attributes":{{"AWSTraceHeader":"Root=1-5759e988-bd862e3fe1be46a994272793"}},
            "messageAttributes":{{"traceparent":{{"stringValue":"{PARENT}","dataType":"String"}}}}}}]}}"#
        );
        let Ok(Delivery::Batch(records)) = Delivery::open(Door::Queue, &batch).content else { panic!("is a batch") };
        let events = records[0].open().content.expect("is a message").events();
        let expect = [("TRACEPARENT", PARENT), ("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793")];
        check(&events[0], &expect);
    }
}
