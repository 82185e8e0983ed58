//! Warnings about patterns. All tests go through [`check`] or [`overlap`].

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
            "p:1:2: warning: no event has a field `deatil`; did you mean `detail`? (put the event's own fields below `detail`)"
        ],
    );
    check(
        r#"{"$or":[{"soruce":["x"]},{"bucket":["y"]}]}"#,
        expect![[r#"
        p:1:10: warning: no event has a field `soruce`; did you mean `source`? (put the event's own fields below `detail`)
        p:1:27: warning: no event has a field `bucket` (put the event's own fields below `detail`)"#]],
    );
}

#[test]
fn a_path_given_twice_counts_once() {
    check(
        r#"{"source":["a"],"source":["b"]}"#,
        expect![
            "p:1:17: warning: `source` appears twice in this pattern, and only the last one counts (remove one, or merge both lists into one, of which any value matches)"
        ],
    );
    check(
        r#"{"detail":{"a":{"b":["x"]},"a.b":["y"]}}"#,
        expect![
            "p:1:28: warning: `detail.a.b` appears twice in this pattern, and only the last one counts (remove one, or merge both lists into one, of which any value matches)"
        ],
    );
    check(
        r#"{"detail":{"$or":[{"a":["x"]},{"b":["y"]}],"a":["z"]}}"#,
        expect![
            "p:1:44: warning: `detail.a` appears twice in this pattern, and only the last one counts (remove one, or merge both lists into one, of which any value matches)"
        ],
    );
}

#[test]
fn prefix_beside_suffix_means_or() {
    check(
        r#"{"detail":{"key":[{"prefix":"in/"},{"suffix":".csv"}]}}"#,
        expect![[
            r#"p:1:12: warning: a value of `detail.key` matches if either the prefix or the suffix fits (to require both, write one wildcard, as in {"wildcard": "prefix*suffix"}, or in short form `key: { prefix: ..., suffix: ... }`)"#
        ]],
    );
}

#[test]
fn two_anything_but_match_everything() {
    check(
        r#"{"detail":{"a":[{"anything-but":"x"},{"anything-but":{"prefix":"y"}}]}}"#,
        expect![[
            r#"p:1:12: warning: a value of `detail.a` matches if any one of its anything-but operators allows it (to exclude several values, list them in one operator, as in {"anything-but": ["a", "b"]}; different kinds of exclusion cannot be combined for one field)"#
        ]],
    );
}

#[test]
fn some_patterns_match_nothing() {
    check(
        r#"{"account":[123456789012]}"#,
        expect![
            "p:1:2: warning: no event matches this condition on `account` (match a string; this field is never a number, true, false, null or absent)"
        ],
    );
    check(
        r#"{"source":[{"exists":false}]}"#,
        expect![
            "p:1:2: warning: no event matches this condition on `source` (match a string; this field is never a number, true, false, null or absent)"
        ],
    );
    check(
        r#"{"resources":[{"numeric":[">",1]}]}"#,
        expect![
            "p:1:2: warning: no event matches this condition on `resources` (match a string; `resources` is a list of strings)"
        ],
    );
    check(
        r#"{"detail":["x"]}"#,
        expect![
            "p:1:2: warning: no event matches this condition on `detail` (name a field below `detail`, which is an object)"
        ],
    );
    check(
        r#"{"source":{"name":["x"]}}"#,
        expect![
            "p:1:12: warning: no event matches this condition on `source.name` (match the top-level field itself, which has no fields below it)"
        ],
    );
}

#[test]
fn a_replayed_event_has_a_name_of_its_own() {
    check(r#"{"replay-name":[{"exists":false}],"source":["a"]}"#, expect![[""]]);
}

#[test]
fn an_operator_outside_a_list_is_a_field() {
    check(
        r#"{"detail":{"size":{"numeric":[">",5]},"a":{"b":{"anything-but":["x"]}}}}"#,
        expect![[r#"
            p:1:20: warning: `numeric` is read as the name of a field here (write the operator in the field's list: `[{ numeric: [">", 5] }]`)
            p:1:49: warning: `anything-but` is read as the name of a field here (write the operator in the field's list: `[{ anything-but: [x] }]`)"#]],
    );
    check(r#"{"detail":{"size":[{"numeric":[">",5]}],"wildcards":["x"]}}"#, expect![[""]]);
}

#[test]
fn keys_are_as_they_are_named() {
    let key = |key: &str| format!(r#"{{"detail":{{"object":{{"key":[{key}]}}}}}}"#);
    check(
        &key(r#""/in/a.csv",{"wildcard":"/in/*"},{"prefix":"in/"}"#),
        expect![[r#"
        p:1:22: warning: keys usually do not begin with a slash, as `/in/a.csv` does (write `in/a.csv`)
        p:1:22: warning: keys usually do not begin with a slash, as `/in/*` does (write `{ wildcard: "in/*" }`)"#]],
    );
    check(
        &key(r#""in/*.csv",{"wildcard":"in/*.csv"}"#),
        expect![[
            r#"p:1:22: warning: only a key with an asterisk in its name equals `in/*.csv` (write `{ wildcard: "in/*.csv" }`)"#
        ]],
    );
    check(
        &key(r#"{"prefix":"in/*/a"},{"prefix":"in/*"}"#),
        expect![[r#"
        p:1:22: warning: `*` stands for itself in `in/*/a` (write `{ wildcard: "in/*/a*" }`)
        p:1:22: warning: `*` stands for itself in `in/*` (write `{ prefix: in/ }`)"#]],
    );
    check(
        &key(r#"{"suffix":"/a*.csv"}"#),
        expect![[r#"p:1:22: warning: `*` stands for itself in `/a*.csv` (write `{ wildcard: "*/a*.csv" }`)"#]],
    );
    check(
        &key(r#"{"prefix":"100%/"},{"prefix":"a%20b+c/"}"#),
        expect![[
            r#"p:1:22: warning: keys are not URL-encoded in events, but `a%20b+c/` is (write `{ prefix: "a b+c/" }`)"#
        ]],
    );
    check(&key(r#"{"anything-but":{"prefix":"/in"}}"#), expect![[""]]);
    check(r#"{"detail":{"path":["/in/*"]}}"#, expect![[""]]);
}

#[test]
fn a_long_pattern_could_not_become_a_rule() {
    let keys: Vec<String> = (0..300).map(|number| format!("\"key-{number}\"")).collect();
    check(
        &format!(r#"{{"detail":{{"key":[{}]}}}}"#, keys.join(",")),
        expect![
            "p:1:1: warning: the pattern has 2910 characters, too many for an EventBridge rule (split the route; EventBridge allows 2048 unless the account's quota is raised)"
        ],
    );
}

/// Returns whether the two patterns may match the same event, in either order.
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
