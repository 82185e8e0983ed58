//! Dead letters that are delivered again: ecs-trigger's, and Lambda's own.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::DecodeError;
use super::identity::LaunchKey;

/// A launch whose dead letter is delivered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivenLaunch {
    /// The launch.
    pub launch: LaunchKey,
    /// How often the launch had been redriven when the letter was written. Of a letter that is delivered twice, or after
    /// a later one, the launch does not start again.
    pub redrives: u32,
}

/// A dead letter of ecs-trigger that is delivered again, so that its event is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redrive {
    /// The letter of a launch in the ledger.
    Launch(RedrivenLaunch),
    /// The letter of an event of which nothing was launched: the event as it was delivered.
    Event(String),
}

#[derive(Deserialize)]
struct Letter<'a> {
    #[serde(rename = "dead_letter")]
    _version: u32,
    launch: Option<String>,
    #[serde(default)]
    redrives: u32,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    event_text: Option<String>,
}

impl Redrive {
    /// Parses a text. Returns `None` if it is not a dead letter of ecs-trigger.
    pub(super) fn parse(text: &str) -> Option<Result<Self, DecodeError>> {
        // Most texts are not dead letters: this saves parsing them twice.
        if !text.contains("\"dead_letter\"") {
            return None;
        }
        let letter: Letter<'_> = serde_json::from_str(text).ok()?;
        if let Some(launch) = letter.launch {
            let wrong = || DecodeError::Field {
                field: "launch".to_owned(),
                problem: "is not the name of a launch; deliver the dead letter as it was written".to_owned(),
            };
            let redriven = |launch| Self::Launch(RedrivenLaunch { launch, redrives: letter.redrives });
            return Some(LaunchKey::parse(&launch).map(redriven).ok_or_else(wrong));
        }
        letter.event_text.or_else(|| Some(letter.event?.get().to_owned())).map(|event| Ok(Self::Event(event)))
    }
}

/// The record of an invocation, as Lambda sends it to a destination.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InvocationRecord<'a> {
    request_context: RequestContext,
    #[serde(borrow)]
    request_payload: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    #[serde(rename = "functionArn")]
    _function_arn: String,
    condition: String,
}

/// Returns the event of a failed invocation, if the text is Lambda's record of one.
pub(super) fn failed_invocation(text: &str) -> Option<&str> {
    if !text.contains("\"requestPayload\"") {
        return None;
    }
    let record: InvocationRecord<'_> = serde_json::from_str(text).ok()?;
    (record.request_context.condition != "Success").then(|| record.request_payload.get())
}
