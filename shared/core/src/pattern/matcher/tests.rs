//! The matcher and the explanations agree with the plain evaluation, and the matcher's work is bounded, whatever an
//! event holds.

use proptest::prelude::*;

use super::scan::scan;
use super::solve::Steps;
use super::{MatchError, Matcher};
use crate::pattern::Pattern;
use crate::pattern::evaluate::FlatEvent;
use crate::text::json;

fn pattern(text: &str) -> Pattern {
    let node = json::parse(text).expect("is JSON");
    Pattern::parse(&node).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

#[test]
fn patterns_are_named_once_and_in_their_order() {
    let patterns = [
        pattern(r#"{"b":["x"]}"#),
        pattern(r#"{"$or":[{"a":[1]},{"b":["x"]},{"b":[{"exists":true}]}]}"#),
        pattern(r#"{"b":[{"anything-but":"x"}]}"#),
        pattern(r#"{"b":[{"prefix":""}]}"#),
    ];
    let matcher = Matcher::new(&patterns);
    assert_eq!(matcher.matches(r#"{"a":1,"b":"x"}"#), Ok(vec![0, 1, 3]));
    assert_eq!(Matcher::new([]).matches("{}"), Ok(vec![]));
}

#[test]
fn what_is_not_one_json_object_is_an_error_even_where_no_pattern_looks() {
    let patterns = [pattern(r#"{"a":["x"]}"#)];
    let matcher = Matcher::new(&patterns);
    for text in [
        "",
        "[]",
        "1",
        r#"{"a":"x""#,
        r#"{"a":"x"}}"#,
        r#"{"a":"x","z":[1,}"#,
        r#"{"a":"x","z":tru}"#,
        r#"{"a":"x" "z":1}"#,
    ] {
        assert!(matcher.matches(text).is_err(), "{text}");
    }
    let deep = format!(r#"{{"a":"x","z":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    assert!(matcher.matches(&deep).is_err());
}

#[test]
fn values_lead_to_their_patterns_by_each_kind_of_key() {
    let mut patterns = Vec::new();
    for number in 0..300 {
        patterns.push(pattern(&format!(r#"{{"k":["v{number}"]}}"#)));
        patterns.push(pattern(&format!(r#"{{"k":[{{"prefix":"p{number}/"}}]}}"#)));
        patterns.push(pattern(&format!(r#"{{"k":[{{"suffix":"/s{number}"}}]}}"#)));
        patterns.push(pattern(&format!(r#"{{"k":[{{"wildcard":"*-{number}"}}]}}"#)));
        let (bottom, top) = (number * 10, number * 10 + 10);
        patterns.push(pattern(&format!(r#"{{"n":[{{"numeric":[">=",{bottom},"<",{top}]}}]}}"#)));
        patterns.push(pattern(&format!(r#"{{"n":[{number}.5,1e{number}]}}"#)));
    }
    let matcher = Matcher::new(&patterns);
    let matches = |event: &str| matcher.matches(event).expect("is an event");
    assert_eq!(matches(r#"{"k":"v17"}"#), [17 * 6]);
    assert_eq!(matches(r#"{"k":"p17/x/s3"}"#), [3 * 6 + 2, 17 * 6 + 1]);
    assert_eq!(matches(r#"{"k":"x-29"}"#), [29 * 6 + 3]);
    assert_eq!(matches(r#"{"n":17}"#), [6 + 4]);
    assert_eq!(matches(r#"{"n":2990}"#), [299 * 6 + 4]);
    assert_eq!(matches(r#"{"n":17.5}"#), [6 + 4, 17 * 6 + 5]);
    assert_eq!(matches(r#"{"n":3000}"#), [0_usize; 0]);
}

/// Returns how many values the search for a pattern looks at in an event that must not match.
fn steps(pattern_text: &str, event: &str) -> usize {
    let matcher = Matcher::new(&[pattern(pattern_text)]);
    let found = scan(event, &matcher.paths).expect("is an event");
    let mut steps = Steps { taken: 0, max: usize::MAX };
    assert!(matcher.decide(&found, &mut steps).is_empty());
    assert!(matcher.matches(event).is_ok(), "far from the bound");
    steps.taken
}

/// Returns a list of objects, each with one of these fields in turn.
fn list(fields: &[&str], length: usize) -> String {
    let elements = (0..length).map(|number| format!(r#"{{"{}":{number}}}"#, fields[number % fields.len()]));
    format!("[{}]", elements.collect::<Vec<_>>().join(","))
}

/// The attacks: arrays in which each field alone matches everywhere, but all fields together match nowhere. The work
/// must grow in proportion to the event, not to a power of its size.
#[test]
fn arrays_are_settled_in_proportion_to_the_event() {
    let apart = |length| {
        let [a, b, c] = ["a", "b", "c"].map(|field| list(&[field], length));
        let pattern = r#"{"x":{"a":[{"exists":true}]},"y":{"b":[{"exists":true}]},"z":{"c":[{"numeric":["<",0]}]}}"#;
        steps(pattern, &format!(r#"{{"x":{a},"y":{b},"z":{c}}}"#))
    };
    let below_one_element = |length| {
        let [a, b, c] = ["a", "b", "c"].map(|field| list(&[field], length));
        let pattern = r#"{"t":{"x":{"a":[{"exists":true}]},"y":{"b":[{"exists":true}]},"z":{"c":[{"exists":true}]},"zz":["no"]}}"#;
        steps(pattern, &format!(r#"{{"t":[{{"x":{a},"y":{b},"z":{c},"zz":"yes"}},{{"zz":"no"}}]}}"#))
    };
    let one_array = |length| {
        let pattern = r#"{"l":{"a":[{"exists":true}],"b":[{"exists":true}],"c":[{"exists":true}]}}"#;
        steps(pattern, &format!(r#"{{"l":{}}}"#, list(&["a", "b", "c"], 3 * length)))
    };
    let absent = |length| {
        let pattern = r#"{"l":{"a":[{"exists":true}],"b":[{"exists":true}],"c":[{"exists":false}]}}"#;
        steps(pattern, &format!(r#"{{"l":{}}}"#, list(&["a", "b", "c"], 3 * length)))
    };
    for (name, attack) in [
        ("apart", &apart as &dyn Fn(usize) -> usize),
        ("below one element", &below_one_element),
        ("one array", &one_array),
        ("absent", &absent),
    ] {
        let steps = attack(400);
        assert!(steps <= 20 * 400, "{name}: {steps} steps for three times 400 values");
        assert!(attack(4000) <= 11 * steps, "{name}: ten times the event, ten times the work");
    }
}

/// Duplicate keys make every array a separate choice: an event can pose any puzzle. The work is bounded.
#[test]
fn an_event_that_is_a_puzzle_is_given_up() {
    let pattern = pattern(r#"{"l":{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1]}}"#);
    let puzzle = r#""l":[{"a":1},{"b":1},{"c":1}],"#.repeat(300);
    let event = format!(r#"{{{puzzle}"l":[{{"a":1,"d":1}},{{"e":1,"b":1}},{{"c":1}}]}}"#);
    assert_eq!(Matcher::new([&pattern]).matches(&event), Err(MatchError::TooAmbiguous));
}

#[test]
fn equal_elements_lead_to_their_alternatives_once() {
    let branches: Vec<String> = (0..2000).map(|number| format!(r#"{{"b{number}":[{{"exists":true}}]}}"#)).collect();
    let patterns = [pattern(&format!(r#"{{"a":["x"],"$or":[{}]}}"#, branches.join(",")))];
    let event = format!(r#"{{"a":[{}"x"],"b7":1}}"#, r#""x","#.repeat(5000));
    let matcher = Matcher::new(&patterns);
    let found = scan(&event, &matcher.paths).expect("is an event");
    assert_eq!(found.distinct_values().count(), 2);
    assert_eq!(matcher.matches(&event), Ok(vec![0]));
}

fn scalar() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#""x""#,
        r#""xy""#,
        r#""yx""#,
        r#""X""#,
        r#""""#,
        r#""10.0.0.1""#,
        r#""010.0.0.1""#,
        r#""::1""#,
        "1",
        "1.0",
        "2",
        "-0",
        "0",
        "12345678901234567890",
        "12345678901234567890.0",
        "1e400",
        "true",
        "null",
        r#""\u0078""#,
    ])
    .prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "a.b", "", r"\u0061"])
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec((key(), value), 0..4).prop_map(|entries| {
        let entries: Vec<String> = entries.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
        format!("{{{}}}", entries.join(","))
    })
}

fn event() -> impl Strategy<Value = String> {
    let value = scalar().prop_recursive(4, 24, 4, |value| {
        prop_oneof![
            object(value.clone()),
            prop::collection::vec(value, 0..4).prop_map(|elements| format!("[{}]", elements.join(","))),
        ]
    });
    object(value)
}

fn operator() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        r#"{"prefix":"x"}"#,
        r#"{"prefix":""}"#,
        r#"{"suffix":"x"}"#,
        r#"{"prefix":{"equals-ignore-case":"x"}}"#,
        r#"{"suffix":{"equals-ignore-case":"Y"}}"#,
        r#"{"equals-ignore-case":"xY"}"#,
        r#"{"wildcard":"x*"}"#,
        r#"{"wildcard":"*x"}"#,
        r#"{"wildcard":"*"}"#,
        r#"{"anything-but":"x"}"#,
        r#"{"anything-but":[1,2]}"#,
        r#"{"anything-but":{"prefix":"x"}}"#,
        r#"{"anything-but":{"wildcard":"x*"}}"#,
        r#"{"numeric":[">",0]}"#,
        r#"{"numeric":["=",1]}"#,
        r#"{"numeric":[">=",0,"<",2]}"#,
        r#"{"cidr":"10.0.0.0/8"}"#,
        r#"{"exactly":"10.0.0.1"}"#,
        r#"{"exists":true}"#,
        r#"{"exists":false}"#,
    ])
    .prop_map(str::to_owned);
    prop_oneof![scalar().prop_filter("strings only in patterns of this form", |scalar| scalar != "1e400"), special]
}

fn pattern_text() -> impl Strategy<Value = String> {
    let leaf =
        prop::collection::vec(operator(), 1..3).prop_map(|operators| format!("[{}]", operators.join(","))).boxed();
    let nonempty = |object: &String| object != "{}";
    let flat = object(leaf.clone()).prop_filter("not empty", nonempty).boxed();
    let nested = object(prop_oneof![leaf, flat.clone()]).prop_filter("not empty", nonempty).boxed();
    let or = (flat.clone(), nested.clone(), nested.clone())
        .prop_map(|(one, other, rest)| format!(r#"{{"$or":[{one},{other}],{}"#, &rest[1..]));
    prop_oneof![flat, nested, or.clone(), or.prop_map(|or| format!(r#"{{"a":{or}}}"#))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_matcher_decides_as_the_plain_evaluation_and_explanations_agree(
        patterns in prop::collection::vec(pattern_text(), 1..6),
        event in event(),
    ) {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| pattern(text)).collect();
        let node = json::parse(&event).expect("is JSON");
        let flat = FlatEvent::new(&node);
        let plain: Vec<usize> = (0..patterns.len()).filter(|number| patterns[*number].matches(&flat)).collect();
        prop_assert_eq!(Matcher::new(&patterns).matches(&event), Ok(plain.clone()));
        for (number, pattern) in patterns.iter().enumerate() {
            let explanation = pattern.explain(&flat);
            prop_assert_eq!(explanation.matches, plain.contains(&number));
            prop_assert_eq!(explanation.alternatives[0].matches, explanation.matches);
            let satisfied = explanation.alternatives.iter().filter(|alternative| alternative.matches);
            for alternative in satisfied {
                prop_assert!(alternative.fields.iter().all(|field| field.verdict.is_satisfied()));
            }
        }
    }
}
