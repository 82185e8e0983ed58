//! Dead letters that are delivered again.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::identity::LaunchKey;

/// A dead letter that is delivered again, so that its event is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redrive {
    /// The letter of a launch in the ledger.
    Launch(LaunchKey),
    /// The letter of an event of which nothing was launched: the event as it was delivered.
    Event(String),
}

impl Redrive {
    /// Returns what a text asks for, if it is a dead letter of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Letter<'a> {
            #[serde(rename = "dead_letter")]
            _version: u32,
            launch: Option<String>,
            #[serde(borrow)]
            event: Option<&'a RawValue>,
            event_text: Option<String>,
        }
        // Most texts are not letters: this saves reading them twice.
        if !text.contains("\"dead_letter\"") {
            return None;
        }
        let letter: Letter<'_> = serde_json::from_str(text).ok()?;
        match letter.launch {
            Some(launch) => LaunchKey::parse(&launch).map(Self::Launch),
            None => letter.event_text.or_else(|| Some(letter.event?.get().to_owned())).map(Self::Event),
        }
    }
}
