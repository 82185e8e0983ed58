//! What each operator means, trap by trap. Both the plain evaluation and the matcher decide each case.

use super::Pattern;
use super::evaluate::FlatEvent;
use super::matcher::Matcher;
use super::operator::parse_address;
use crate::text::json;

fn parse(text: &str) -> Result<Pattern, String> {
    let node = json::parse(text).map_err(|error| error.to_string())?;
    Pattern::parse(&node).map_err(|problems| problems.iter().map(|problem| problem.message.clone()).collect())
}

fn matches(pattern: &str, event: &str) -> bool {
    let parsed = parse(pattern).unwrap_or_else(|reason| panic!("{pattern}: {reason}"));
    let node = json::parse(event).unwrap_or_else(|error| panic!("{event}: {error}"));
    let plain = parsed.matches(&FlatEvent::new(&node));
    let fast = !Matcher::new([&parsed]).matches(event).expect("is an event").is_empty();
    assert_eq!(plain, fast, "{pattern} on {event}");
    plain
}

/// Checks that `operators`, as the array of a field, match the first values and not the others. Values are JSON; `""`
/// stands for no value.
fn check(operators: &str, matching: &[&str], other: &[&str]) {
    let pattern = format!(r#"{{"a":{operators}}}"#);
    let event = |value: &&str| if value.is_empty() { "{}".to_owned() } else { format!(r#"{{"a":{value}}}"#) };
    for value in matching {
        assert!(matches(&pattern, &event(value)), "{operators} matches {value}");
    }
    for value in other {
        assert!(!matches(&pattern, &event(value)), "{operators} does not match {value}");
    }
}

/// Checks that the whole pattern matches the first events and not the others.
fn check_whole(pattern: &str, matching: &[&str], other: &[&str]) {
    matching.iter().for_each(|event| assert!(matches(pattern, event), "{pattern} matches {event}"));
    other.iter().for_each(|event| assert!(!matches(pattern, event), "{pattern} does not match {event}"));
}

/// Checks that the pattern is refused, with `reason` in the message.
fn refused(pattern: &str, reason: &str) {
    let given = parse(pattern).expect_err(pattern);
    assert!(given.contains(reason), "{pattern}: {given}");
}

#[test]
fn texts_equal_the_same_characters() {
    check(
        r#"["x"]"#,
        &[r#""x""#, r#""\u0078""#, r#"["y","x"]"#, r#"[["x"]]"#],
        &[r#""X""#, r#""xx""#, "null", "", "[]"],
    );
    check(r#"["5","true"]"#, &[r#""5""#, r#""true""#], &["5", "true"]);
    check(r#"["é"]"#, &[r#""\u00e9""#], &["\"e\u{301}\""]);
    check(r#"[""]"#, &[r#""""#], &["null", "", "[]"]);
}

#[test]
fn numbers_equal_the_same_value_however_spelled() {
    check("[300]", &["300", "300.0", "3e2", "3.0E+2", "30000e-2"], &["301", r#""300""#, "true"]);
    check("[0]", &["-0", "0.0", "0e9", "-0.0"], &["1e-300"]);
    check("[0.1]", &["0.10", "1e-1"], &["0.1000000000000000055511151231257827"]);
    check("[-1.5]", &["-1.50", "-15e-1"], &["1.5"]);
}

#[test]
fn numbers_beyond_a_double_equal_the_same_spelling() {
    check("[123456789012345678901]", &["123456789012345678901"], &["123456789012345678901.0", "123456789012345678902"]);
    check("[9007199254740992]", &["9007199254740992", "9007199254740992.0"], &["9007199254740993"]);
    check("[4.9E-324]", &["4.9e-324", "49e-325"], &["5e-324", "0"]);
    check("[1e400]", &["1e400"], &["10e399", "1e401"]);
}

#[test]
fn literals_equal_themselves() {
    check("[null]", &["null"], &["", "[]", "{}", "0", "false", r#""null""#]);
    check("[true,false]", &["true", "false"], &[r#""true""#, "1", "null"]);
}

#[test]
fn a_text_that_is_an_address_equals_every_spelling_of_it() {
    check(
        r#"["10.0.0.1"]"#,
        &[r#""10.0.0.1""#, r#""010.0.0.1""#, r#""10.00.000.1""#],
        &[r#""10.0.0.2""#, r#""10.0.0""#],
    );
    check(r#"["::1"]"#, &[r#""0:0:0:0:0:0:0:1""#, r#""::0001""#], &[r#""::2""#, r#""1""#]);
    check(r#"["::00001"]"#, &[r#""::1""#, r#""0000:00000::00001""#], &[r#""::10001""#]);
    check(r#"[{"exactly":"10.0.0.1"}]"#, &[r#""10.0.0.1""#], &[r#""010.0.0.1""#]);
    for text in [
        "",
        ".",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1..2.3",
        "a.b.c.d",
        "1.2.3.4 ",
        "::ffff:1.2.3.4",
        ":",
        "12:",
        "fe80::1%eth0",
    ] {
        assert_eq!(parse_address(text), None, "{text}");
    }
}

#[test]
fn prefix_and_suffix_look_at_texts_only() {
    check(r#"[{"prefix":"in/"}]"#, &[r#""in/a""#, r#""in/""#], &[r#""in""#, r#""out/in/""#, "5", "null"]);
    check(r#"[{"suffix":".csv"}]"#, &[r#""a.csv""#, r#"".csv""#], &[r#""a.csv.gz""#, "5"]);
    check(r#"[{"prefix":""}]"#, &[r#""""#, r#""x""#], &["null", "5", ""]);
    check(r#"[{"prefix":"\""}]"#, &[r#""\"a""#], &[r#""a""#, r#""""#]);
    check(r#"[{"prefix":{"equals-ignore-case":"In"}}]"#, &[r#""iN/a""#], &[r#""out""#]);
    check(r#"[{"suffix":{"equals-ignore-case":".CSV"}}]"#, &[r#""a.csv""#, r#""a.Csv""#], &[r#""a.cs""#]);
    check(r#"[{"prefix":"a"},{"suffix":"z"}]"#, &[r#""ab""#, r#""yz""#], &[r#""by""#]);
}

#[test]
fn case_is_ignored_by_each_character_of_the_pattern() {
    check(r#"[{"equals-ignore-case":"aB"}]"#, &[r#""AB""#, r#""ab""#], &[r#""abc""#, r#""a""#, "5"]);
    check(r#"[{"equals-ignore-case":"straße"}]"#, &[r#""STRASSE""#, r#""Straße""#], &[r#""strasse_""#]);
    check(r#"[{"equals-ignore-case":"STRASSE"}]"#, &[r#""strasse""#], &[r#""straße""#]);
    check("[{\"equals-ignore-case\":\"\u{212a}\"}]", &["\"k\"", "\"\u{212a}\""], &["\"K\""]);
    check(r#"[{"equals-ignore-case":"😀"}]"#, &[r#""😀""#], &[r#""😁""#]);
}

#[test]
fn a_wildcard_stands_for_any_characters_of_a_text() {
    check(
        r#"[{"wildcard":"in/*.csv"}]"#,
        &[r#""in/.csv""#, r#""in/a/b.csv""#],
        &[r#""in/a.csv.gz""#, r#""out/a.csv""#],
    );
    check(r#"[{"wildcard":"*a*b*"}]"#, &[r#""ab""#, r#""xaxbx""#], &[r#""ba""#, "5"]);
    check(r#"[{"wildcard":"a*a"}]"#, &[r#""aa""#, r#""aba""#], &[r#""a""#]);
    check(r#"[{"wildcard":"a\\*b"}]"#, &[r#""a*b""#], &[r#""axb""#]);
    check(r#"[{"wildcard":"a\\\\*"}]"#, &[r#""a\\x""#], &[r#""ax""#]);
    check(r#"[{"wildcard":"a?c"}]"#, &[r#""a?c""#], &[r#""abc""#]);
    check(r#"[{"wildcard":""}]"#, &[r#""""#], &[r#""a""#]);
    for pattern in ["a**b", r"a\\", r"a\\n"] {
        refused(&format!(r#"{{"a":[{{"wildcard":"{pattern}"}}]}}"#), "");
    }
}

#[test]
fn numeric_compares_numbers() {
    check(r#"[{"numeric":["<",5]}]"#, &["4", "-1e9", "4.999"], &["5", "5.0", r#""4""#, "true", "null", ""]);
    check(r#"[{"numeric":["<=",5]}]"#, &["5.0"], &["5.1"]);
    check(r#"[{"numeric":["=",3.0e2]}]"#, &["300"], &["301"]);
    check(r#"[{"numeric":[">",0,"<=",5]}]"#, &["1e-9", "5"], &["0", "-0", "5.01"]);
    check(r#"[{"numeric":[">",0]}]"#, &["1"], &["9007199254740993", "1e400"]);
    for terms in [
        "[]",
        r#"["<"]"#,
        r#"["<","5"]"#,
        r#"["<",5,">",1]"#,
        r#"[">",5,"<",5]"#,
        r#"["=",1,"=",1]"#,
        r#"["!=",1]"#,
        r#"["<",1e400]"#,
        "5",
    ] {
        refused(&format!(r#"{{"a":[{{"numeric":{terms}}}]}}"#), "");
    }
}

#[test]
fn cidr_holds_addresses_of_its_own_family() {
    check(r#"[{"cidr":"10.0.0.77/8"}]"#, &[r#""10.255.0.1""#], &[r#""11.0.0.1""#, r#""a01::1""#, r#""host""#, "5"]);
    check(r#"[{"cidr":"0.0.0.0/0"}]"#, &[r#""1.2.3.4""#], &[r#""2001:db8::1""#, "7"]);
    check(r#"[{"cidr":"2001:db8::/32"}]"#, &[r#""2001:0DB8::5""#], &[r#""2001:db9::""#]);
    check(r#"[{"cidr":"02001:db8::/32/"}]"#, &[r#""2001:db8::1""#], &[]);
    for block in ["10.0.0.1", "10.0.0.1/32", "10.0.0.1/-1", "::1/128", "10.0.0.1/x", "10.0.0.1/8/8", "host/8"] {
        refused(&format!(r#"{{"a":[{{"cidr":"{block}"}}]}}"#), "");
    }
}

#[test]
fn anything_but_matches_whatever_else_is_there() {
    check(
        r#"[{"anything-but":"x"}]"#,
        &[r#""y""#, "5", "null", "true", r#"["x","y"]"#],
        &[r#""x""#, "", "[]", r#"["x","x"]"#],
    );
    check(r#"[{"anything-but":[1,2]}]"#, &["3", r#""1""#, "123456789012345678901"], &["1.0", "2"]);
    check(r#"[{"anything-but":{"prefix":"x"}}]"#, &[r#""y""#, "5"], &[r#""xy""#, ""]);
    check(r#"[{"anything-but":{"suffix":["x","y"]}}]"#, &[r#""z""#], &[r#""ax""#, r#""ay""#]);
    check(r#"[{"anything-but":{"wildcard":"*"}}]"#, &["5"], &[r#""x""#]);
    check(r#"[{"anything-but":{"equals-ignore-case":["x"]}}]"#, &[r#""y""#], &[r#""X""#]);
    check(r#"[{"anything-but":"10.0.0.1"}]"#, &[r#""010.0.0.1""#], &[r#""10.0.0.1""#]);
    check(r#"[{"anything-but":"x"},{"anything-but":"y"}]"#, &[r#""x""#, r#""y""#], &[""]);
    for excluded in [
        "[]",
        r#"["x",1]"#,
        "null",
        "true",
        "[null]",
        r#"{"prefix":""}"#,
        r#"{"exists":true}"#,
        "{}",
        r#"{"prefix":[]}"#,
        "1e400",
    ] {
        refused(&format!(r#"{{"a":[{{"anything-but":{excluded}}}]}}"#), "");
    }
}

#[test]
fn exists_asks_for_values_not_for_objects() {
    check(r#"[{"exists":true}]"#, &["null", "0", r#"["x"]"#], &["", "[]", "{}", r#"{"b":1}"#]);
    check(r#"[{"exists":false}]"#, &["", "[]", "{}", r#"{"b":1}"#], &["null", "0"]);
    check(r#"["x",{"exists":false}]"#, &["", r#""x""#], &[r#""y""#]);
}

#[test]
fn paths_are_their_steps_joined_by_dots() {
    check_whole(r#"{"d":{"s.t":["x"]}}"#, &[r#"{"d":{"s":{"t":"x"}}}"#, r#"{"d.s.t":"x"}"#], &[r#"{"d":{"s":"x"}}"#]);
    check_whole(r#"{"\u0061":["x"]}"#, &[r#"{"a":"x"}"#], &[]);
    check_whole(r#"{"":["x"]}"#, &[r#"{"":"x"}"#], &["{}", r#"{"":{"":"x"}}"#]);
    check_whole(r#"{"":{"":["x"]}}"#, &[r#"{"":{"":"x"}}"#, r#"{".":"x"}"#], &[r#"{"":"x"}"#]);
}

#[test]
fn the_last_of_two_equal_paths_counts() {
    check_whole(r#"{"a":["x"],"a":["y"]}"#, &[r#"{"a":"y"}"#], &[r#"{"a":"x"}"#]);
    check_whole(r#"{"$or":[{"a":["x"]},{"b":["y"]}],"a":["z"]}"#, &[r#"{"a":"z"}"#], &[r#"{"a":"x"}"#]);
    check_whole(
        r#"{"a":["z"],"$or":[{"a":["x"]},{"b":["y"]}]}"#,
        &[r#"{"a":"x"}"#, r#"{"a":"z","b":"y"}"#],
        &[r#"{"a":"z"}"#],
    );
    check_whole(r#"{"a":["x"]}"#, &[r#"{"a":"x","a":"y"}"#, r#"{"a":"y","a":"x"}"#], &[]);
}

#[test]
fn or_multiplies_out() {
    check_whole(
        r#"{"s":["s"],"d":{"$or":[{"a":[1]},{"$or":[{"b":[2]},{"c":[3]}]}]}}"#,
        &[r#"{"s":"s","d":{"a":1}}"#, r#"{"s":"s","d":{"c":3}}"#],
        &[r#"{"d":{"a":1}}"#, r#"{"s":"s","d":{"a":2}}"#],
    );
    refused(r#"{"$or":[{"a":[1]}]}"#, "at least 2");
    refused(r#"{"$or":{"a":[1]}}"#, "must be an Array");
    refused(r#"{"$or":[{"a":[1]},1]}"#, "Only JSON object");
    refused(r#"{"$or":[{"prefix":[1]},{"a":[1]}]}"#, "reserved");
    refused(r#"{"$or":[{},{"a":[1]}]}"#, "Empty objects");
    let many = vec![r#""$or":[{"a":[1]},{"b":[1]}]"#; 20].join(",");
    refused(&format!("{{{many}}}"), "multiplies out");
}

#[test]
fn values_in_one_array_come_from_one_element() {
    let both = r#"{"l":{"a":[1],"b":[2]}}"#;
    check_whole(both, &[r#"{"l":[{"a":0},{"a":1,"b":2}]}"#, r#"{"l":{"a":1,"b":2}}"#], &[r#"{"l":[{"a":1},{"b":2}]}"#]);
    check_whole(r#"{"l":{"a":[1]},"m":{"b":[2]}}"#, &[r#"{"l":[{"a":1}],"m":[{"b":0},{"b":2}]}"#], &[]);
    check_whole(
        r#"{"l":{"m":{"a":[1],"b":[2]},"c":[3]}}"#,
        &[r#"{"l":[{"m":[{"a":0},{"a":1,"b":2}],"c":3}]}"#],
        &[r#"{"l":[{"m":[{"a":1},{"b":2}],"c":3}]}"#, r#"{"l":[{"m":{"a":1,"b":2}},{"c":3}]}"#],
    );
    check_whole(r#"{"l":[1],"l.a":[2]}"#, &[r#"{"l":[1,{"a":2}]}"#], &[r#"{"l":[{"a":2}]}"#]);
}

#[test]
fn absence_in_an_array_is_judged_in_order_of_the_names() {
    check_whole(
        r#"{"l":{"a":[1],"z":[{"exists":false}]}}"#,
        &[r#"{"l":[{"a":1},{"z":2}]}"#],
        &[r#"{"l":[{"a":1,"z":2}]}"#],
    );
    check_whole(r#"{"l":{"a":[{"exists":false}],"z":[1]}}"#, &[r#"{"l":[{"z":1}]}"#], &[r#"{"l":[{"a":1},{"z":1}]}"#]);
}

#[test]
fn malformed_patterns_are_refused_with_eventbridges_reasons() {
    refused("[]", "Filter is not an object");
    refused("{}", "Empty objects are not allowed");
    refused(r#"{"a":{}}"#, "Empty objects are not allowed");
    refused(r#"{"a":[]}"#, "Empty arrays are not allowed");
    refused(r#"{"a":"x"}"#, "must be an object or an array");
    refused(r#"{"a":[[1]]}"#, "Match value must be");
    refused(r#"{"a":[{}]}"#, "Match expression name not found");
    refused(r#"{"a":[{"regex":"x"}]}"#, "Unrecognized match type regex");
    refused(r#"{"a":[{"Prefix":"x"}]}"#, "Unrecognized match type Prefix");
    refused(r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "Only one key allowed");
    refused(r#"{"a":[{"prefix":["x"]}]}"#, "prefix match pattern must be a string");
    refused(r#"{"a":[{"exists":"true"}]}"#, "must be either true or false");
    refused(r#"{"a":[{"exactly":5}]}"#, "must be a string");
    refused(r#"{"a":[1]} x"#, "end of the text");
    refused(r#"{"a":["x"#, "end of the text");
}

#[test]
fn patterns_are_bounded() {
    let fields = |count: usize| (0..count).map(|number| format!(r#""f{number}":[1]"#)).collect::<Vec<_>>().join(",");
    assert!(parse(&format!("{{{}}}", fields(256))).is_ok());
    refused(&format!("{{{}}}", fields(257)), "at most 256 fields");
    refused(&format!(r#"{{"a":[1{}]}}"#, "0".repeat(1000)), "more than 1000 characters");
}

#[test]
fn every_reason_is_given_at_once() {
    let given = parse(r#"{"a":"x","b":[{"regex":"x"},[1]],"c":{}}"#).expect_err("is refused");
    for reason in ["must be an object", "Unrecognized", "Match value", "Empty objects"] {
        assert!(given.contains(reason), "{given}");
    }
}
