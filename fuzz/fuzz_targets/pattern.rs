//! Splits the input at the first line break into a pattern and an event. Nothing may panic, and the matcher must agree
//! with the plain evaluation.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trigger_core::text::json;
use trigger_core::pattern::Pattern;
use trigger_core::pattern::evaluate::FlatEvent;
use trigger_core::pattern::lint::lint;
use trigger_core::pattern::matcher::Matcher;

fuzz_target!(|text: &str| {
    let Some((pattern, event)) = text.split_once('\n') else { return };
    let Ok(node) = json::parse(pattern) else { return };
    let Ok(pattern) = Pattern::parse(&node) else { return };
    let _ = lint(&node, &pattern);
    let matched = Matcher::new([&pattern]).matches(event).map(|matched| !matched.is_empty());
    if let (Ok(event), Ok(matched)) = (json::parse(event), matched) {
        let flat = FlatEvent::new(&event);
        assert_eq!(matched, pattern.matches(&flat));
        assert_eq!(matched, pattern.explain(&flat).matches);
    }
});
