//! The envelope that EventBridge puts around every event's detail.

use super::DecodeError;
use super::fields::Fields;

/// The fields that every EventBridge event has.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The event's id, a UUID that EventBridge generates.
    pub id: String,
    /// Who sent it, such as `aws.s3`.
    pub source: String,
    /// What happened, such as `Object Created`.
    pub detail_type: String,
    /// The id of the account that the event comes from.
    pub account: String,
    /// When it happened, as an RFC 3339 time in UTC.
    pub time: String,
    /// The Region that the event comes from.
    pub region: String,
    /// The ARNs of the resources that the event is about.
    pub resources: Vec<String>,
}

impl Envelope {
    pub(super) fn decode(event: &Fields<'_>) -> Result<Self, DecodeError> {
        let time = event.string("time")?;
        if !is_timestamp(&time) {
            return Err(event.error("time", format!("must be a time such as 2026-01-31T23:59:59Z, found `{time}`")));
        }
        Ok(Self {
            id: event.string("id")?,
            source: event.string("source")?,
            detail_type: event.string("detail-type")?,
            account: event.string("account")?,
            time,
            region: event.string("region")?,
            resources: event.strings("resources")?,
        })
    }
}

/// Returns whether `text` has the form `YYYY-MM-DDThh:mm:ss`, an optional fraction, and `Z` or an offset.
fn is_timestamp(text: &str) -> bool {
    const FORM: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let (Some(start), Some(rest)) = (text.as_bytes().get(..FORM.len()), text.get(FORM.len()..)) else { return false };
    let fits =
        start.iter().zip(FORM).all(|(byte, form)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form });
    let zone =
        rest.strip_prefix('.').map_or(rest, |fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit()));
    let offset = zone.strip_prefix(['+', '-']).is_some_and(|offset| {
        offset.len() == 5
            && offset.bytes().enumerate().all(|(at, b)| if at == 2 { b == b':' } else { b.is_ascii_digit() })
    });
    fits && (zone == "Z" || offset)
}
