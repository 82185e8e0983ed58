//! Dead letters that are delivered again: those of ecs-trigger, and Lambda's own.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::identity::LaunchKey;

/// A dead letter that is delivered again, to continue its launch or to handle its event again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redrive {
    /// The dead letter of a launch in the ledger.
    Launch(LaunchKey),
    /// The dead letter of an event without a launch, with the event as it was delivered.
    Event(String),
}

/// A dead letter that ecs-trigger wrote.
#[derive(Deserialize)]
struct Letter<'a> {
    #[serde(rename = "dead_letter")]
    _version: u32,
    launch: Option<String>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    event_text: Option<String>,
}

/// The record of a failed invocation, as Lambda sends it to a failure destination.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InvocationRecord<'a> {
    #[serde(rename = "requestContext")]
    _request_context: RequestContext,
    #[serde(borrow)]
    request_payload: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    #[serde(rename = "functionArn")]
    _function_arn: String,
    #[serde(rename = "condition")]
    _condition: String,
}

impl Redrive {
    /// Parses a text. Returns `None` if it is not a dead letter.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Most texts are not dead letters: this saves parsing them twice.
        if text.contains("\"dead_letter\"")
            && let Ok(letter) = serde_json::from_str::<Letter<'_>>(text)
        {
            return match letter.launch {
                Some(launch) => LaunchKey::parse(&launch).map(Self::Launch),
                None => letter.event_text.or_else(|| Some(letter.event?.get().to_owned())).map(Self::Event),
            };
        }
        if text.contains("\"requestPayload\"")
            && let Ok(record) = serde_json::from_str::<InvocationRecord<'_>>(text)
        {
            return Some(Self::Event(record.request_payload.get().to_owned()));
        }
        None
    }
}
