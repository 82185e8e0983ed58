//! JSON and YAML texts parsed into trees.

use proptest::prelude::*;

use super::json;
use super::{Entry, Kind, Node, Source, Span, Spanned, yaml};

#[test]
fn json_keeps_number_spellings_and_duplicate_keys() {
    let text = r#"{"a":1.50,"a":-0e+2,"b":[null,true,false,"x\u0041\ud83d\ude00\n"]}"#;
    let node = json::parse(text).expect("is JSON");
    assert_eq!(json::write(&node), "{\"a\":1.50,\"a\":-0e+2,\"b\":[null,true,false,\"xA😀\\n\"]}");
}

#[test]
fn half_a_surrogate_pair_is_the_replacement_character() {
    let node = json::parse(r#"["\ud800","\udc00x","\ud800\u0041","\ud83d\ude00"]"#).expect("is JSON");
    assert_eq!(json::write(&node), "[\"\u{fffd}\",\"\u{fffd}x\",\"\u{fffd}A\",\"😀\"]");
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let cases = [
        ("", 0),
        ("{", 1),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("{\"a\"}", 4),
        ("{\"a\":1,}", 7),
        ("01", 1),
        ("1.", 2),
        ("1e", 2),
        ("-", 0),
        ("+1", 0),
        (".5", 0),
        ("tru", 0),
        ("\"a", 2),
        ("\"\t\"", 1),
        (r#""\x""#, 1),
        (r#""\u12g4""#, 1),
        ("1 1", 2),
        ("'a'", 0),
        ("NaN", 0),
        ("[1]]", 3),
        ("\u{feff}1", 0),
        ("{a:1}", 1),
    ];
    for (text, at) in cases {
        let error = json::parse(text).expect_err(text);
        assert_eq!(error.span.start, at, "{text}: {error}");
    }
}

#[test]
fn yaml_scalars_resolve_as_jsons_do() {
    let text = "a: 1\nb: 1.50\nc: \"1\"\nd: yes\ne: true\nf: ~\ng:\nh: 0x1F\ni: '{{ x }}'\nj: !!str 5\nk: |\n  text\n";
    let node = yaml::parse(text).0.expect("is YAML");
    let expected = r#"{"a":1,"b":1.50,"c":"1","d":"yes","e":true,"f":null,"g":null,"h":"0x1F","i":"{{ x }}","j":"5","k":"text\n"}"#;
    assert_eq!(json::write(&node), expected);
}

#[test]
fn spans_are_bytes_and_places_count_characters() {
    let text = "é: \"ü\"\nb:\n  - {c: d}\n";
    let node = yaml::parse(text).0.expect("is YAML");
    let source = Source::new("f", text);
    let c = node.get("b").and_then(|b| match &b.kind {
        Kind::Array(elements) => elements[0].get("c"),
        _ => None,
    });
    let span = c.expect("is present").span;
    assert_eq!(&text[span.start..span.end], "d");
    assert_eq!(source.place(span), "f:3:9");
    let first = node.get("é").expect("is present").span;
    assert_eq!(&text[first.start..first.end], "\"ü\"");
    assert_eq!(source.place(first), "f:1:4");
}

#[test]
fn a_part_of_a_string_is_where_it_is_written() {
    let text = "plain: a b\nquoted: \"a b\"\nescaped: \"\\ta b\"\nliteral: |\n  a\n\n    b\n  b c\nfolded: >-\n  a\n  b\n\n  c d\nlines: é\n    b\n";
    let tree = yaml::parse(text).0.expect("is YAML");
    let source = Source::new("f", text);
    let places = |key: &str, part: &str| {
        let node = tree.get(key).expect("is there");
        let string = node.as_str().expect("is a string");
        let at = string.rfind(part).expect("is in it");
        let span = source.place_within(node.span, string, at..at + part.len());
        format!("{} {:?}", source.place(span), &text[span.start..span.end])
    };
    let cases = [
        ("plain", "b", "f:1:10 \"b\""),
        ("quoted", "b", "f:2:12 \"b\""),
        ("escaped", "b", "f:3:10 \"\\\"\\\\ta b\\\"\""),
        ("literal", "b\nb", "f:7:5 \"b\""),
        ("literal", "c", "f:8:5 \"c\""),
        ("folded", "b", "f:11:3 \"b\""),
        ("folded", "c", "f:13:3 \"c\""),
        ("folded", "a b\nc", "f:10:3 \"a\\n  b\""),
        ("lines", "b", "f:15:5 \"b\""),
    ];
    for (key, part, expected) in cases {
        assert_eq!(places(key, part), expected, "{key}");
    }
}

#[test]
fn a_value_in_flow_style_is_read_back() {
    let text =
        r#"{ a: x, b: in/*.csv, c: [-c, "5", "null", "", "a b", 'say "hi"', "it's \"x\"", "{{ key }}"], d: {}, e: 5 }"#;
    let node = yaml::parse(text).0.expect("is YAML");
    let written = yaml::flow(&node);
    assert_eq!(
        written,
        r#"{ a: x, b: "in/*.csv", c: [-c, "5", "null", "", "a b", 'say "hi"', "it's \"x\"", "{{ key }}"], d: {}, e: 5 }"#
    );
    assert_eq!(json::write(&yaml::parse(&written).0.expect("is YAML")), json::write(&node));
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Kind::Null),
        any::<bool>().prop_map(Kind::Bool),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?".prop_map(Kind::Number),
        any::<String>().prop_map(Kind::String),
    ];
    let kind = leaf.prop_recursive(4, 40, 6, |kind| {
        let node = kind.prop_map(|kind| Node { span: Span::default(), kind });
        let entry = (any::<String>(), node.clone())
            .prop_map(|(key, value)| Entry { key: Spanned { span: Span::default(), value: key }, value });
        prop_oneof![
            prop::collection::vec(node, 0..6).prop_map(Kind::Array),
            prop::collection::vec(entry, 0..6).prop_map(Kind::Object),
        ]
    });
    kind.prop_map(|kind| Node { span: Span::default(), kind })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(node in node()) {
        let text = json::write(&node);
        let read = json::parse(&text).expect("is JSON");
        prop_assert_eq!(json::write(&read), text);
    }

    /// This parser and serde_json accept the same texts, except for numbers beyond a double's range and for depth.
    #[test]
    fn the_grammar_is_serde_jsons(text in "[\\[\\]{}:,\"\\\\0-9eE+\\-. tfn]{0,12}") {
        let ours = json::parse(&text).is_ok();
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in any::<String>()) {
        let _ = json::parse(&text);
        let _ = yaml::parse(&text);
    }

    /// Texts that are close to YAML with templates and variables.
    #[test]
    fn no_line_makes_the_parser_panic(text in "[\\[\\]{}:,\"'#%$ é\\-|\n]{0,16}") {
        let _ = yaml::parse(&text);
    }

    #[test]
    fn every_part_of_a_string_has_a_place(string in "[a é\n{}\"'\\\\]{0,8}", written in "[a é\n{}\"'\\\\|]{0,12}", start in 0_usize..10, end in 0_usize..10) {
        let source = Source::new("f", written.as_str());
        let (start, end) = (start.min(string.len()), end.min(string.len()));
        let span = source.place_within(Span::new(0, written.len()), &string, start.min(end)..start.max(end));
        prop_assert!(written.get(span.start..span.end).is_some(), "{span:?}");
    }
}
