//! What is odd about patterns. Two doors: [`check`], and [`overlap`].

use expect_test::{Expect, expect};

use super::{lint, may_overlap};
use crate::pattern::Pattern;
use crate::text::{Source, json};

fn parse(text: &str) -> Pattern {
    Pattern::parse(&json::parse(text).expect("is JSON")).expect("is a pattern")
}

fn check(text: &str, expected: Expect) {
    let source = Source::new("p", text);
    let warnings = lint(&json::parse(text).expect("is JSON"), &parse(text));
    expected.assert_eq(&warnings.iter().map(|warning| warning.line(&source)).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_usual_pattern_is_not_odd() {
    check(r#"{"source":["aws.s3"],"detail":{"$or":[{"a":[{"prefix":"x"}]},{"a":[{"suffix":"y"}]}]}}"#, expect![[""]]);
    check(r#"{"detail":{"a":[{"anything-but":["x","y"]}]},"resources":[{"suffix":"/x"}]}"#, expect![[""]]);
}

#[test]
fn an_unknown_top_level_field_is_probably_misspelled() {
    check(
        r#"{"deatil":{"a":[1]}}"#,
        expect![
            "p:1:2: warning: no event has a field `deatil`; did you mean `detail`? (an event's own fields stand below `detail`)"
        ],
    );
    check(
        r#"{"$or":[{"soruce":["x"]},{"bucket":["y"]}]}"#,
        expect![[r#"
        p:1:10: warning: no event has a field `soruce`; did you mean `source`? (an event's own fields stand below `detail`)
        p:1:27: warning: no event has a field `bucket` (an event's own fields stand below `detail`)"#]],
    );
}

#[test]
fn a_path_given_twice_counts_once() {
    check(
        r#"{"source":["a"],"source":["b"]}"#,
        expect![
            "p:1:17: warning: `source` stands twice in this pattern, and only the last counts (put both lists into one (that means or), or remove one)"
        ],
    );
    check(
        r#"{"detail":{"a":{"b":["x"]},"a.b":["y"]}}"#,
        expect![
            "p:1:28: warning: `detail.a.b` stands twice in this pattern, and only the last counts (put both lists into one (that means or), or remove one)"
        ],
    );
    check(
        r#"{"detail":{"$or":[{"a":["x"]},{"b":["y"]}],"a":["z"]}}"#,
        expect![
            "p:1:44: warning: `detail.a` stands twice in this pattern, and only the last counts (put both lists into one (that means or), or remove one)"
        ],
    );
}

#[test]
fn prefix_beside_suffix_means_or() {
    check(
        r#"{"detail":{"key":[{"prefix":"in/"},{"suffix":".csv"}]}}"#,
        expect![[
            r#"p:1:12: warning: prefix or suffix: a value of `detail.key` matches if either fits (to ask for both, write one wildcard, as in {"wildcard": "prefix*suffix"}, or in short form `key: { prefix: ..., suffix: ... }`)"#
        ]],
    );
}

#[test]
fn two_anything_but_match_everything() {
    check(
        r#"{"detail":{"a":[{"anything-but":"x"},{"anything-but":{"prefix":"y"}}]}}"#,
        expect![[
            r#"p:1:12: warning: two anything-but: a value of `detail.a` matches if either allows it (to exclude several values, list them in one, as in {"anything-but": ["a", "b"]}; different kinds of exclusion cannot be combined for one field)"#
        ]],
    );
}

#[test]
fn some_patterns_match_nothing() {
    check(
        r#"{"account":[123456789012]}"#,
        expect![
            "p:1:2: warning: nothing matches this: `account` (this field of every event is a text, never a number, true, false, null or absent)"
        ],
    );
    check(
        r#"{"source":[{"exists":false}]}"#,
        expect![
            "p:1:2: warning: nothing matches this: `source` (this field of every event is a text, never a number, true, false, null or absent)"
        ],
    );
    check(
        r#"{"resources":[{"numeric":[">",1]}]}"#,
        expect!["p:1:2: warning: nothing matches this: `resources` (`resources` is a list of texts)"],
    );
    check(
        r#"{"detail":["x"]}"#,
        expect!["p:1:2: warning: nothing matches this: `detail` (`detail` is an object: name a field below it)"],
    );
    check(
        r#"{"source":{"name":["x"]}}"#,
        expect![
            "p:1:12: warning: nothing matches this: `source.name` (this field of every event is a text and has nothing below it)"
        ],
    );
}

#[test]
fn a_long_pattern_could_not_become_a_rule() {
    let keys: Vec<String> = (0..300).map(|number| format!("\"key-{number}\"")).collect();
    check(
        &format!(r#"{{"detail":{{"key":[{}]}}}}"#, keys.join(",")),
        expect![
            "p:1:1: warning: a pattern of 2910 characters could not become an EventBridge rule (EventBridge allows 2048 unless the account's quota is raised; split the route)"
        ],
    );
}

/// Whether the two patterns may match the same event; the order makes no difference.
fn overlap(one: &str, other: &str) -> bool {
    let pattern = |key: &str| parse(&format!(r#"{{"source":["aws.s3"],"detail":{{"key":[{key}]}}}}"#));
    let (one, other) = (pattern(one), pattern(other));
    assert_eq!(may_overlap(&one, &other), may_overlap(&other, &one));
    may_overlap(&one, &other)
}

#[test]
fn patterns_overlap_where_their_fields_leave_it_open() {
    assert!(overlap(r#"{"prefix":"in/"}"#, r#"{"prefix":"in/csv/"}"#));
    assert!(!overlap(r#"{"prefix":"in/"}"#, r#"{"prefix":"out/"}"#));
    assert!(overlap(r#"{"prefix":"in/"}"#, r#"{"suffix":".csv"}"#));
    assert!(!overlap(r#"{"suffix":".csv"}"#, r#"{"suffix":".json"}"#));
    assert!(!overlap(r#""a""#, r#""b""#));
    assert!(overlap(r#""in/a""#, r#"{"prefix":"in/"}"#));
    assert!(!overlap(r#"{"wildcard":"in/*.csv"}"#, r#"{"wildcard":"in/*.json"}"#));
    assert!(overlap(r#"{"wildcard":"in/*.csv"}"#, r#"{"wildcard":"in/a*"}"#));
    assert!(!overlap(r#"{"wildcard":"in/*"}"#, r#"{"prefix":"out/"}"#));
    assert!(!overlap(r#"{"numeric":["<",5]}"#, r#"{"numeric":[">=",5]}"#));
    assert!(overlap(r#"{"numeric":["<=",5]}"#, r#"{"numeric":[">=",5]}"#));
    assert!(!overlap(r#"{"exists":false}"#, r#"{"exists":true}"#));
    assert!(!overlap("5", r#""5""#));
    assert!(overlap("5", "5.0"));
}
