//! Decodes any text as each kind of delivery, as a message's body, and as a config with environment variables and an
//! included file. No decoder may panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;
use trigger_core::event::{Delivery, Door, Queue, Record};

fuzz_target!(|text: &str| {
    for door in [Door::EventBridge, Door::Schedule, Door::Queue, Door::TaskLifecycle] {
        if let Ok(Delivery::Batch(records)) = Delivery::open(door, text).content {
            records.iter().for_each(|record| drop(record.open()));
        }
    }
    let queue = Queue::parse(text).or_else(|| Queue::parse("jobs.fifo"));
    let attributes = vec![("MessageGroupId".to_owned(), text.to_owned())];
    if let Some(queue) = queue {
        let record = Record {
            message_id: "m".to_owned(),
            queue,
            body: text.to_owned(),
            message_attributes: attributes.clone(),
            attributes,
            unreadable: None,
        };
        let _ = record.open();
    }
    let mut source = Source::new("fuzz", text);
    source.include("included", text);
    let _ = RoutingConfig::parse_with(source, &|name| (name.len() % 2 == 0).then(|| name.to_owned()));
});
