//! What was delivered, without the dead letters around it.

use std::borrow::Cow;

use super::DecodeError;
use super::dead_letter::{Redrive, RedrivenLaunch};

/// A decoded text. If the text was the dead letter of an event, the event in that letter is decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened<'a, T> {
    /// The decoded text: the delivered one, or the one inside the dead letter.
    pub text: Cow<'a, str>,
    /// The result of decoding it.
    pub content: Result<T, DecodeError>,
}

impl<'a, T> Opened<'a, T> {
    /// Decodes a text. If it is the dead letter of an event, decodes the event in that letter instead.
    pub(super) fn new(
        text: &'a str,
        of_launch: impl Fn(RedrivenLaunch) -> T,
        decode: impl Fn(&str) -> Result<T, DecodeError>,
    ) -> Self {
        let mut text = Cow::Borrowed(text);
        for _ in 0..LETTERS_MAX {
            match Redrive::parse(&text) {
                Some(Ok(Redrive::Launch(key))) => return Self { text, content: Ok(of_launch(key)) },
                Some(Ok(Redrive::Event(event))) => text = Cow::Owned(event),
                Some(Err(error)) => return Self { text, content: Err(error) },
                None => {
                    let content = decode(&text);
                    return Self { text, content };
                }
            }
        }
        let problem = format!("is inside more than {LETTERS_MAX} dead letters; deliver the event itself");
        Self { text, content: Err(DecodeError::Field { field: "event".to_owned(), problem }) }
    }
}

/// An event inside more nested dead letters than this is refused.
const LETTERS_MAX: u32 = 4;
