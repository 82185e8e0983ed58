//! Any text as each kind of delivery, as a message's body, and as a config with environment variables and an included file:
//! nothing makes the decoders panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;
use trigger_core::event::{Delivery, Event, Firing, Message, Queue, Record};

fuzz_target!(|text: &str| {
    let _ = Event::decode(text);
    let _ = Firing::decode(text);
    let _ = Delivery::batch(text);
    if let Ok(Delivery::Batch(records)) = Delivery::decode(text) {
        records.iter().for_each(|record| drop(Message::decode(record)));
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
        let _ = Message::decode(&record);
    }
    let mut source = Source::new("fuzz", text);
    source.include("included", text);
    let _ = RoutingConfig::parse_with(source, &|name| (name.len() % 2 == 0).then(|| name.to_owned()));
});
