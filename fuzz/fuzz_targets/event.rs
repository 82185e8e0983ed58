//! Any text as an event and as a config: neither makes the decoders panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trigger_core::config::RoutingConfig;
use trigger_core::document::Source;
use trigger_core::event::Event;

fuzz_target!(|text: &str| {
    let _ = Event::decode(text);
    let _ = RoutingConfig::parse(Source::new("fuzz", text));
});
