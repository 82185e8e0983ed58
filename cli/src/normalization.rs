//! Unicode forms: texts that look the same and differ in how their characters are composed.

use icu_normalizer::ComposingNormalizerBorrowed;
use trigger_core::event::Event;
use trigger_core::pattern::Pattern;
use trigger_core::pattern::evaluate::FlatEvent;
use trigger_core::pattern::explain::{AlternativeExplanation, Explanation};
use trigger_core::routing::EventPattern;
use trigger_core::text::{Entry, Kind, Node};

/// Returns the paths of the fields that the explanation shows as a miss, and that match once all texts of the event and
/// the pattern have the same Unicode form (NFC). EventBridge compares texts as they are.
pub(crate) fn only_in_form(pattern: &EventPattern, event: &Event, explanation: &Explanation) -> Vec<String> {
    let Some(nearest) = explanation.alternatives.first().filter(|_| !explanation.matches) else { return Vec::new() };
    let Ok(composed_pattern) = Pattern::parse(&composed(&pattern.node)) else { return Vec::new() };
    let composed_event = composed(&event.node);
    let composed = composed_pattern.explain(&FlatEvent::new(&composed_event));
    let fields = |alternative: &AlternativeExplanation| alternative.fields.clone();
    let matching: Vec<_> =
        composed.alternatives.iter().flat_map(fields).filter(|field| field.verdict.is_satisfied()).collect();
    let misses = nearest.fields.iter().filter(|field| !field.verdict.is_satisfied());
    let differs =
        misses.filter(|miss| matching.iter().any(|field| (field.span, &field.path) == (miss.span, &miss.path)));
    differs.map(|miss| miss.path.clone()).collect()
}

fn composed(node: &Node) -> Node {
    let kind = match &node.kind {
        Kind::String(text) => Kind::String(ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()),
        Kind::Array(elements) => Kind::Array(elements.iter().map(composed).collect()),
        Kind::Object(entries) => Kind::Object(
            entries.iter().map(|entry| Entry { key: entry.key.clone(), value: composed(&entry.value) }).collect(),
        ),
        other => other.clone(),
    };
    Node { span: node.span, kind }
}

#[cfg(test)]
mod tests {
    use trigger_core::event::Event;
    use trigger_core::pattern::Pattern;
    use trigger_core::pattern::evaluate::FlatEvent;
    use trigger_core::routing::EventPattern;
    use trigger_core::text::json;

    use super::only_in_form;

    #[test]
    fn a_miss_by_the_unicode_form_alone_is_known() {
        let composed = "caf\u{e9} \u{ac00}";
        let decomposed = "cafe\u{301} \u{1100}\u{1161}";
        let checks: [(&str, String, &[&str]); 5] = [
            (decomposed, format!(r#"{{"detail":{{"key":["{composed}"]}}}}"#), &["detail.key"]),
            (composed, format!(r#"{{"detail":{{"key":[{{"prefix":"{decomposed}"}}]}}}}"#), &["detail.key"]),
            (decomposed, format!(r#"{{"detail":{{"key":["{composed}"],"n":[1]}}}}"#), &["detail.key"]),
            (composed, format!(r#"{{"detail":{{"key":["{composed}"]}}}}"#), &[]),
            (decomposed, r#"{"detail":{"key":["cafe"]}}"#.to_owned(), &[]),
        ];
        for (key, pattern, expected) in checks {
            let event = format!(
                r#"{{"id":"1","source":"my.app","detail-type":"t","account":"1","time":"2026-01-01T00:00:00Z","region":"r","detail":{{"key":"{key}"}}}}"#
            );
            let event = Event::decode(&event).expect("is an event");
            let node = json::parse(&pattern).expect("is JSON");
            let parsed = Pattern::parse(&node).expect("is a pattern");
            let pattern = EventPattern { node, buckets: Vec::new(), pattern: parsed };
            let explanation = pattern.pattern.explain(&FlatEvent::new(&event.node));
            assert_eq!(only_in_form(&pattern, &event, &explanation), expected, "{key}");
        }
    }
}
