//! Explanations of matches and near misses. All tests go through [`check`].

use expect_test::{Expect, expect};

use crate::pattern::Pattern;
use crate::pattern::evaluate::FlatEvent;
use crate::text::{Source, json};

fn check(pattern: &str, event: &str, expected: Expect) {
    let source = Source::new("p", pattern);
    let parsed = Pattern::parse(&json::parse(pattern).expect("is JSON")).expect("is a pattern");
    let node = json::parse(event).expect("is JSON");
    let explanation = parsed.explain(&FlatEvent::new(&node));
    let mut shown = format!("{}\n", if explanation.matches { "matches" } else { "does not match" });
    for alternative in &explanation.alternatives {
        shown += &format!("alternative, matches: {}, misses: {}\n", alternative.matches, alternative.misses());
        for field in &alternative.fields {
            let wanted = field.wanted.join(" or ");
            shown += &format!("  {} {} wants {wanted}: {:?}\n", source.place(field.span), field.path, field.verdict);
        }
    }
    expected.assert_eq(&shown);
}

#[test]
fn a_match_shows_the_values_that_match() {
    let pattern = r#"{"source":["aws.s3"],"detail":{"n":[{"numeric":[">",1]}],"gone":[{"exists":false}]}}"#;
    check(
        pattern,
        r#"{"source":"aws.s3","detail":{"n":[0,2]}}"#,
        expect![[r#"
        matches
        alternative, matches: true, misses: 0
          p:1:58 detail.gone wants {"exists":false}: AbsentAsWanted
          p:1:32 detail.n wants {"numeric":[">",1]}: Matched("2")
          p:1:2 source wants "aws.s3": Matched("\"aws.s3\"")
    "#]],
    );
}

#[test]
fn a_miss_says_what_is_absent_of_another_type_or_another_value() {
    let pattern = r#"{"a":["x",{"prefix":"y"}],"b":[5],"c":[{"exists":true}],"d":[{"exists":false}]}"#;
    check(
        pattern,
        r#"{"a":"z","b":"5","d":null}"#,
        expect![[r#"
        does not match
        alternative, matches: false, misses: 4
          p:1:2 a wants "x" or {"prefix":"y"}: NoMatch(["\"z\""])
          p:1:27 b wants 5: WrongType(["\"5\""])
          p:1:35 c wants {"exists":true}: Absent
          p:1:57 d wants {"exists":false}: Present(["null"])
    "#]],
    );
}

#[test]
fn the_nearest_alternative_comes_first() {
    let pattern = r#"{"$or":[{"a":[1],"b":[1]},{"a":[2],"b":[2]}]}"#;
    check(
        pattern,
        r#"{"a":2,"b":1,"c":1}"#,
        expect![[r#"
        does not match
        alternative, matches: false, misses: 1
          p:1:10 a wants 1: NoMatch(["2"])
          p:1:18 b wants 1: Matched("1")
        alternative, matches: false, misses: 1
          p:1:28 a wants 2: Matched("2")
          p:1:36 b wants 2: NoMatch(["1"])
    "#]],
    );
    check(
        pattern,
        r#"{"a":2,"b":2}"#,
        expect![[r#"
        matches
        alternative, matches: true, misses: 0
          p:1:28 a wants 2: Matched("2")
          p:1:36 b wants 2: Matched("2")
        alternative, matches: false, misses: 2
          p:1:10 a wants 1: NoMatch(["2"])
          p:1:18 b wants 1: NoMatch(["2"])
    "#]],
    );
}

#[test]
fn fields_that_match_in_different_elements_are_told() {
    check(
        r#"{"l":{"a":[1],"b":[2]}}"#,
        r#"{"l":[{"a":1,"b":3},{"a":4,"b":2}]}"#,
        expect![[r#"
        does not match
        alternative, matches: false, misses: 0
          p:1:7 l.a wants 1: Matched("1")
          p:1:15 l.b wants 2: Matched("2")
    "#]],
    );
}

#[test]
fn values_are_shortened_and_control_characters_escaped() {
    let long = "x".repeat(200);
    check(
        r#"{"a":["b"]}"#,
        &format!(r#"{{"a":["{long}","\u001b[31m","e","f","g","h"]}}"#),
        expect![[r#"
        does not match
        alternative, matches: false, misses: 1
          p:1:2 a wants "b": NoMatch(["\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... (200 characters)", "\"\\u001b[31m\"", "\"e\"", "\"f\"", "\"g\""])
    "#]],
    );
}

#[test]
fn what_is_wanted_is_shown_as_the_pattern_has_it() {
    let operators = r#"["x",5.0,true,null,{"exactly":"10.0.0.1"},"10.0.0.1",{"prefix":"p"},{"suffix":{"equals-ignore-case":"S"}},
        {"equals-ignore-case":"I"},{"wildcard":"a*\\*"},{"numeric":["=",5]},{"numeric":[">",0,"<=",5]},{"numeric":["<",1]},
        {"cidr":"10.0.0.0/8"},{"anything-but":"a"},{"anything-but":[1,2]},{"anything-but":{"suffix":["b"]}},{"exists":false}]"#;
    let parsed =
        Pattern::parse(&json::parse(&format!(r#"{{"a":{operators}}}"#)).expect("is JSON")).expect("is a pattern");
    let shown: Vec<String> = parsed.alternatives[0].fields[0].operators.iter().map(ToString::to_string).collect();
    expect![[r#"
        "x"
        5.0
        true
        null
        {"exactly":"10.0.0.1"}
        "10.0.0.1"
        {"prefix":"p"}
        {"suffix":{"equals-ignore-case":"S"}}
        {"equals-ignore-case":"I"}
        {"wildcard":"a*\\*"}
        {"numeric":["=",5]}
        {"numeric":[">",0,"<=",5]}
        {"numeric":["<",1]}
        {"cidr":"10.0.0.0/8"}
        {"anything-but":["a"]}
        {"anything-but":[1,2]}
        {"anything-but":{"suffix":["b"]}}
        {"exists":false}"#]]
    .assert_eq(&shown.join("\n"));
    // The text shown is itself a pattern with the same meaning.
    let again = Pattern::parse(&json::parse(&format!(r#"{{"a":[{}]}}"#, shown.join(","))).expect("is JSON"));
    let again = again.expect("is a pattern");
    assert_eq!(again.alternatives[0].fields[0].operators, parsed.alternatives[0].fields[0].operators);
}
