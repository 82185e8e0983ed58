//! Dead-letter queues: reads them without taking letters away.

use std::collections::{BTreeMap, HashMap};
use std::io::IsTerminal;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, QueueAttributeName,
};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::Value;
use trigger_aws::clients::causes;
use trigger_core::dead_letters::{DeadMessage, Letter};
use trigger_core::event::Queue;
use trigger_core::routing::RoutingConfig;

use crate::account::refused;
use crate::diagnostics;
use crate::exit::Failed;
use crate::operation::Deployed;
use crate::output::printable;

/// SQS returns and changes at most this many messages at once.
const MESSAGES_AT_ONCE: u8 = 10;
/// A letter that is read is hidden from others for this many seconds, or until the pass ends.
const HIDDEN_SECONDS: i32 = 300;
/// SQS asks all of its servers if it may take this many seconds. Otherwise a queue may look empty that is not.
const WAIT_SECONDS: i32 = 1;
/// A pass ends when SQS returns only known letters this many times in a row.
const REPEATS_MAX: usize = 3;
/// At most this many letters of a queue are read: SQS hides at most 120,000 messages of a queue.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const READ_MAX: usize = 100_000;
/// So many queues are asked at once.
const QUEUES_AT_ONCE: usize = 8;

/// Resolves when the user presses Ctrl-C.
pub(crate) type Stopped = Shared<BoxFuture<'static, ()>>;

/// Returns what resolves when the user presses Ctrl-C.
pub(crate) fn stopped() -> Stopped {
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without the signal's handler, the signal ends the process.
            std::future::pending::<()>().await;
        }
    }
    .boxed()
    .shared()
}

/// A dead-letter queue.
#[derive(Debug)]
pub(crate) struct Mailbox {
    url: String,
    /// Whether it is the stack's own, to which functions, rules and schedules send.
    is_own: bool,
    /// The routes' queues whose messages come here.
    sources: Vec<Source>,
}

/// A queue of a route.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) queue: Queue,
    pub(crate) url: String,
}

/// A message that was received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) message: DeadMessage,
    pub(crate) receipt: String,
    /// Where the message goes back to.
    pub(crate) source: Option<Source>,
    /// As SQS returned it.
    pub(crate) raw: Message,
}

/// Returns the dead-letter queues of a stack and of its routes' queues.
pub(crate) async fn mailboxes(deployed: &Deployed) -> Result<Vec<Mailbox>, Failed> {
    let sqs = &deployed.account.sqs;
    let own = deployed.stack.outputs.get(infra::DEAD_LETTERS_OUTPUT);
    let mut all: Vec<Mailbox> =
        own.map(|url| Mailbox { url: url.clone(), is_own: true, sources: Vec::new() }).into_iter().collect();
    let queues = deployed.config.queues();
    let found = stream::iter(queues).map(|queue| async move { (queue, of_queue(sqs, queue).await) });
    let found: Vec<_> = found.buffered(QUEUES_AT_ONCE).collect().await;
    for (queue, found) in found {
        match found {
            Ok(Some((source, url))) => match all.iter_mut().find(|known| known.url == url) {
                Some(known) => known.sources.push(source),
                None => all.push(Mailbox { url, is_own: false, sources: vec![source] }),
            },
            Ok(None) => {}
            Err(reason) => {
                let text = format!("cannot find the dead letters of the queue {}: {reason}", queue.name);
                diagnostics::warning(&printable(&text));
            }
        }
    }
    Ok(all)
}

/// Reads the first letters of each queue that `takes` takes, at most `limit`, without taking them away.
pub(crate) async fn read(
    deployed: &Deployed,
    mailboxes: &[Mailbox],
    stopped: &Stopped,
    limit: usize,
    takes: impl Fn(&Letter) -> bool,
) -> Result<Vec<Vec<Letter>>, Failed> {
    let spinner = match std::io::stderr().is_terminal() {
        true => ProgressBar::new_spinner().with_message("letters read"),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} {msg}, {per_sec}") {
        spinner.set_style(style);
    }
    let (takes, spinner) = (&takes, &spinner);
    let passes = mailboxes.iter().map(|mailbox| async move {
        let mut pass = Pass::new(mailbox, &deployed.account.sqs, stopped.clone());
        let letters = pass.letters(&deployed.config, limit, takes, spinner).await;
        pass.release().await;
        letters
    });
    // All passes come to their end, so that none leaves letters hidden.
    let read: Vec<_> = stream::iter(passes).buffered(QUEUES_AT_ONCE).collect().await;
    spinner.finish_and_clear();
    read.into_iter().collect()
}

/// Returns a route's queue, and the URL of its dead-letter queue if it has one.
async fn of_queue(sqs: &Client, queue: &Queue) -> Result<Option<(Source, String)>, String> {
    let url = url_of(sqs, queue).await?;
    let get = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::RedrivePolicy);
    let got = get.send().await.map_err(|error| causes(&error))?;
    let policy = got.attributes().and_then(|attributes| attributes.get(&QueueAttributeName::RedrivePolicy));
    let policy: Option<Value> = policy.and_then(|policy| serde_json::from_str(policy).ok());
    let target = policy.and_then(|policy| Queue::parse(policy["deadLetterTargetArn"].as_str()?));
    match target {
        Some(target) => Ok(Some((Source { queue: queue.clone(), url }, url_of(sqs, &target).await?))),
        None => Ok(None),
    }
}

async fn url_of(sqs: &Client, queue: &Queue) -> Result<String, String> {
    let get = sqs.get_queue_url().queue_name(&queue.name).set_queue_owner_aws_account_id(queue.account.clone());
    let got = get.send().await.map_err(|error| causes(&error))?;
    Ok(got.queue_url().unwrap_or_default().to_owned())
}

impl Mailbox {
    /// Returns the queue's name.
    pub(crate) fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.name().ends_with(".fifo")
    }

    fn received(&self, raw: Message) -> Option<Received> {
        let attribute = |name| raw.attributes().and_then(|attributes| attributes.get(&name)).map(String::as_str);
        let moved_from = attribute(MessageSystemAttributeName::DeadLetterQueueSourceArn).and_then(Queue::parse);
        let source = match (&moved_from, self.sources.as_slice()) {
            // A message of a queue that no route uses is not ours.
            (Some(queue), sources) => Some(sources.iter().find(|source| source.queue.is(queue))?),
            (None, _) if self.is_own => None,
            (None, [only]) => Some(only),
            (None, _) => return None,
        };
        let sent = attribute(MessageSystemAttributeName::SentTimestamp).and_then(|sent| sent.parse().ok());
        let texts = raw.message_attributes().into_iter().flatten();
        let texts = texts.filter_map(|(name, value)| Some((name.clone(), value.string_value()?.to_owned())));
        let message = DeadMessage {
            message_id: raw.message_id().unwrap_or_default().to_owned(),
            body: raw.body().unwrap_or_default().to_owned(),
            attributes: texts.collect(),
            sent: sent.and_then(|sent| Timestamp::from_millisecond(sent).ok()),
            given_up_by: source.map(|source| source.queue.clone()),
        };
        let receipt = raw.receipt_handle().unwrap_or_default().to_owned();
        Some(Received { message, receipt, source: source.cloned(), raw })
    }
}

/// A pass over the letters of a queue. They are hidden from others until they are released.
pub(crate) struct Pass<'a> {
    mailbox: &'a Mailbox,
    sqs: &'a Client,
    stopped: Stopped,
    /// The receipts of the letters that were received, by message id.
    hidden: BTreeMap<String, String>,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(mailbox: &'a Mailbox, sqs: &'a Client, stopped: Stopped) -> Self {
        Self { mailbox, sqs, stopped, hidden: BTreeMap::new() }
    }

    async fn letters(
        &mut self,
        config: &RoutingConfig,
        limit: usize,
        takes: impl Fn(&Letter) -> bool,
        spinner: &ProgressBar,
    ) -> Result<Vec<Letter>, Failed> {
        let (mut letters, mut read) = (Vec::new(), 0);
        loop {
            let received = self.next().await?;
            read += received.len();
            spinner.inc(received.len() as u64);
            letters.extend(received.iter().map(|received| received.message.read(config).0).filter(&takes));
            if received.is_empty() {
                return Ok(letters);
            }
            if letters.len() >= limit || read >= READ_MAX {
                let name = self.mailbox.name();
                diagnostics::note(&format!("the queue {name} may hold more letters: only {read} were read"));
                letters.truncate(limit);
                return Ok(letters);
            }
        }
    }

    /// Returns letters that this pass has not seen, or none at its end.
    pub(crate) async fn next(&mut self) -> Result<Vec<Received>, Failed> {
        let mut repeats = 0;
        while repeats < REPEATS_MAX {
            let stopped = self.stopped.clone();
            let messages = tokio::select! {
                biased;
                () = stopped => return Err(Failed::Interrupted),
                messages = self.receive() => messages?,
            };
            if messages.is_empty() {
                break;
            }
            let (mut fresh, known) = (Vec::new(), self.hidden.len());
            for message in messages {
                let keys = message.message_id().zip(message.receipt_handle());
                let Some((id, receipt)) = keys.map(|(id, receipt)| (id.to_owned(), receipt.to_owned())) else {
                    continue;
                };
                if self.hidden.insert(id, receipt).is_none() {
                    fresh.extend(self.mailbox.received(message));
                }
            }
            if !fresh.is_empty() {
                return Ok(fresh);
            }
            repeats = if self.hidden.len() > known { 0 } else { repeats + 1 };
        }
        Ok(Vec::new())
    }

    async fn receive(&self) -> Result<Vec<Message>, Failed> {
        let receive = self.sqs.receive_message().queue_url(&self.mailbox.url);
        let receive = receive.max_number_of_messages(MESSAGES_AT_ONCE.into()).visibility_timeout(HIDDEN_SECONDS);
        let receive = receive.wait_time_seconds(WAIT_SECONDS).message_attribute_names("All");
        let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await;
        let name = self.mailbox.name();
        let received = received.map_err(|error| refused(&format!("cannot read the queue {name}"), &error))?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Deletes a letter.
    ///
    /// # Errors
    /// SQS did not delete it, as far as is known.
    pub(crate) async fn delete(sqs: &Client, mailbox: &Mailbox, received: &Received) -> Result<(), String> {
        let delete = sqs.delete_message().queue_url(&mailbox.url).receipt_handle(&received.receipt);
        delete.send().await.map(drop).map_err(|error| causes(&error))
    }

    /// Notes that a letter was deleted.
    pub(crate) fn forget(&mut self, message_id: &str) {
        self.hidden.remove(message_id);
    }

    /// Shows the letters to others again.
    pub(crate) async fn release(self) {
        let receipts: Vec<String> = self.hidden.into_values().collect();
        let parts = receipts.chunks(MESSAGES_AT_ONCE.into()).map(|receipts| {
            let entries = receipts.iter().enumerate().map(|(position, receipt)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(position.to_string());
                entry.receipt_handle(receipt).visibility_timeout(0).build()
            });
            let entries: Result<Vec<_>, _> = entries.collect();
            let change = self.sqs.change_message_visibility_batch().queue_url(&self.mailbox.url);
            async move { change.set_entries(entries.ok()).send().await.is_ok() }
        });
        let released: Vec<bool> = stream::iter(parts).buffer_unordered(QUEUES_AT_ONCE).collect().await;
        if released.contains(&false) {
            let name = self.mailbox.name();
            diagnostics::warning(&format!("letters of the queue {name} stay hidden for up to {HIDDEN_SECONDS} s"));
        }
    }
}

impl Received {
    /// Returns the message's group.
    pub(crate) fn group(&self) -> Option<String> {
        self.of_system(&MessageSystemAttributeName::MessageGroupId)
    }

    fn of_system(&self, name: &MessageSystemAttributeName) -> Option<String> {
        self.raw.attributes().and_then(|attributes| attributes.get(name)).cloned()
    }

    /// Sends the message back to the queue that it came from, with its attributes.
    ///
    /// # Errors
    /// SQS did not take it, as far as is known.
    pub(crate) async fn send_back(&self, sqs: &Client) -> Result<(), String> {
        let source = self.source.as_ref().ok_or("the queue that it came from is not known")?;
        let is_fifo = source.queue.is_fifo();
        let send = sqs.send_message().queue_url(&source.url).message_body(&self.message.body);
        let send = send
            .set_message_attributes(self.raw.message_attributes.clone().filter(|attributes| !attributes.is_empty()))
            .set_message_system_attributes(self.of_system(&MessageSystemAttributeName::AwsTraceHeader).and_then(trace))
            .set_message_group_id(self.group())
            // The message's own id could make the queue drop it as a repetition. This one is the same if it is sent twice.
            .set_message_deduplication_id(is_fifo.then(|| format!("redrive-{}", self.message.message_id)));
        send.send().await.map(drop).map_err(|error| causes(&error))
    }
}

/// Returns a message's trace header, to be sent with it.
fn trace(header: String) -> Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>> {
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(header).build().ok()?;
    Some(HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value)]))
}
