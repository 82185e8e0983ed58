//! SQS queues.

use std::fmt;

/// The timeout of the function that handles messages, in seconds.
pub const SQS_TRIGGER_TIMEOUT_SECONDS: u32 = 60;
/// A queue with a smaller `maxReceiveCount` dead-letters messages merely because Lambda is throttled.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
pub const RECEIVES_MIN: u32 = 5;

/// Returns the shortest visibility timeout that AWS recommends for a queue, in seconds: six times the function's
/// timeout, plus the batch window. Source: as above.
pub fn visibility_timeout_min(batch_window: u32) -> u32 {
    6 * SQS_TRIGGER_TIMEOUT_SECONDS + batch_window
}

/// An SQS queue: its name and, if they are known, its Region and account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Queue {
    /// The name. A FIFO queue's name ends in `.fifo`.
    pub name: String,
    /// The Region.
    pub region: Option<String>,
    /// The account's 12 digits.
    pub account: Option<String>,
}

impl Queue {
    /// Parses a queue's name, ARN (`arn:aws:sqs:eu-west-1:111122223333:jobs`) or URL
    /// (`https://sqs.eu-west-1.amazonaws.com/111122223333/jobs`).
    pub fn parse(text: &str) -> Option<Self> {
        let queue = if let Some(arn) = text.strip_prefix("arn:") {
            match arn.split(':').collect::<Vec<_>>().as_slice() {
                [_, "sqs", region, account, name] => Self::new(name, Some(region), Some(account)),
                _ => return None,
            }
        } else if let Some((_, url)) = text.split_once("://") {
            match url.split('/').collect::<Vec<_>>().as_slice() {
                [host, account, name] => {
                    let mut labels = host.split('.');
                    let region = labels.next().filter(|label| *label == "sqs").and_then(|_| labels.next());
                    Self::new(name, region, Some(account))
                }
                _ => return None,
            }
        } else {
            Self::new(text, None, None)
        };
        queue.has_legal_name().then_some(queue)
    }

    pub(super) fn new(name: &str, region: Option<&str>, account: Option<&str>) -> Self {
        let known = |part: Option<&str>| part.filter(|part| !part.is_empty()).map(str::to_owned);
        Self { name: name.to_owned(), region: known(region), account: known(account) }
    }

    /// Returns whether the Region and the account, if they are known, have the form that AWS uses.
    pub fn has_legal_place(&self) -> bool {
        let region = |region: &String| region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let account = |account: &String| account.len() == 12 && account.chars().all(|c| c.is_ascii_digit());
        self.region.as_ref().is_none_or(region) && self.account.as_ref().is_none_or(account)
    }

    fn has_legal_name(&self) -> bool {
        let stem = self.name.strip_suffix(".fifo").unwrap_or(&self.name);
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !stem.is_empty() && self.name.len() <= 80 && stem.chars().all(legal)
    }

    /// Returns the name of the dead-letter queue that the stack creates together with this queue.
    pub fn dead_letters_name(&self) -> String {
        match self.name.strip_suffix(".fifo") {
            Some(stem) => format!("{stem}-dead-letters.fifo"),
            None => format!("{}-dead-letters", self.name),
        }
    }

    /// Returns whether the messages of a group keep their order.
    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    /// Returns whether both can be the same queue. A Region or account that is unknown on one side does not matter.
    pub fn is(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        self.name == other.name && same(&self.region, &other.region) && same(&self.account, &other.account)
    }
}

/// Writes the ARN if the Region and the account are known, otherwise the name.
impl fmt::Display for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.region, &self.account) {
            (Some(region), Some(account)) => write!(formatter, "arn:aws:sqs:{region}:{account}:{}", self.name),
            _ => formatter.write_str(&self.name),
        }
    }
}
