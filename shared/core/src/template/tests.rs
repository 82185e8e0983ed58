//! What templates render for events. Most tests go through [`check`].

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{Context, Templates};
use crate::event::Event;
use crate::fixtures::{OBJECT_CREATED, event, object_created, s3_event};
use crate::text::{Source, Span, Spanned};

/// Renders a template for an event and returns the text, or what is wrong.
fn render(template: &str, event: &str) -> String {
    let source = Source::new("c.yaml", format!("command: \"{template}\""));
    let text = Spanned { span: Span::new(9, source.text.len()), value: template.to_owned() };
    let (mut templates, mut problems) = (Templates::default(), Vec::new());
    let template = templates.parse(&text, &source, &mut problems);
    if !problems.is_empty() {
        return problems.iter().map(|problem| problem.line(&source)).collect::<Vec<_>>().join("\n");
    }
    let event = Event::decode(event).expect("the fixture is an event");
    match template.render(&templates, &Context::new(&event, None), &source) {
        Ok(rendered) => rendered.text,
        Err(error) => format!("error: {error}"),
    }
}

fn check(template: &str, expected: Expect) {
    expected.assert_eq(&render(template, OBJECT_CREATED));
}

#[test]
fn a_template_sees_the_object_by_short_names() {
    check("s3://{{ bucket }}/{{ key }}", expect!["s3://uploads/incoming/report.tar.gz"]);
    check(
        "{{ size }} {{ etag }} {{ version_id }} {{ sequencer }} {{ reason }}",
        expect!["5 b1946ac92492d2347c6235b4d2611184 IYV3p45BT0ac8hjHg1houSdS1a.Mro8e 617f08299329d189 PutObject"],
    );
}

#[test]
fn a_template_sees_every_field_of_the_event() {
    check(
        "{{ detail.object.key }} {{ detail['request-id'] }} {{ detail.object['version-id'] }}",
        expect!["incoming/report.tar.gz N4N7GDK58NMKJ12R IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"],
    );
    check(
        "{{ id }} {{ source }} {{ detail_type }} {{ account }} {{ time }} {{ region }} {{ resources[0] }}",
        expect![
            "17793124-05d4-b198-2fde-7ededc63b103 aws.s3 Object Created 111122223333 2021-11-12T00:00:00Z ca-central-1 arn:aws:s3:::uploads"
        ],
    );
    check("{{ event['detail-type'] }} {{ event.detail.bucket.name }}", expect!["Object Created uploads"]);
}

#[test]
fn filters_take_keys_apart() {
    check(
        "{{ key | basename }} {{ key | dirname }} {{ key | stem }} {{ key | extension }}",
        expect!["report.tar.gz incoming report.tar gz"],
    );
    check(
        "{{ key | stem | stem }}|{{ 'plain' | dirname }}|{{ '.hidden' | stem }}|{{ '.hidden' | extension }}|",
        expect!["report||.hidden||"],
    );
    check(
        "{{ (key | split('/'))[0] }} {{ key | split('/') | last }} {{ key | split('.') | join('-') }}",
        expect!["incoming report.tar.gz incoming/report-tar-gz"],
    );
    check(
        "{{ key | replace('incoming/', 'done/') | upper }} {{ 'ABC' | lower }} {{ ' x ' | trim }}",
        expect!["DONE/REPORT.TAR.GZ abc x"],
    );
}

#[test]
fn filters_encode() {
    check(
        "{{ 'a b/ü&+' | urlencode }} {{ 'a b' | b64encode }} {{ 'a' | sha256 }}",
        expect!["a%20b%2F%C3%BC%26%2B YSBi ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"],
    );
    check(
        "{{ detail.bucket | tojson }} {{ '<\\'>' | tojson }} {{ resources | tojson }}",
        expect![[r#"{"name":"uploads"} "<'>" ["arn:aws:s3:::uploads"]"#]],
    );
    check("{{ key | length }} {{ '12' | int + 1 }} {{ size | string }}", expect!["22 13 5"]);
}

#[test]
fn a_missing_field_is_an_error_that_names_field_template_and_line() {
    check(
        "{{ detail.object.owner }}",
        expect![[
            r#"error: c.yaml:1:14: the event has no `detail.object.owner` (in the template "{{ detail.object.owner }}")"#
        ]],
    );
    check(
        "x {{ detail.owner.name | upper }}",
        expect![[
            r#"error: c.yaml:1:16: the event has no `detail.owner` (in the template "x {{ detail.owner.name | upper }}")"#
        ]],
    );
    expect![[r#"error: c.yaml:1:14: the event has no `bucket` (in the template "{{ bucket }}")"#]]
        .assert_eq(&render("{{ bucket }}", &event("my.app", "x", "{}")));
}

#[test]
fn a_default_stands_for_a_missing_field_and_for_null() {
    check("{{ detail.object.owner | default('nobody') }} {{ size | default('0') }}", expect!["nobody 5"]);
    expect!["-"].assert_eq(&render("{{ detail.a | default('-') }}", &event("my.app", "x", r#"{"a":null}"#)));
    check(
        "{{ key | default }}",
        expect![[
            r#"error: c.yaml:1:14: default needs one replacement, as in `default('-')` (in the template "{{ key | default }}")"#
        ]],
    );
}

#[test]
fn a_value_without_one_obvious_text_is_an_error() {
    check(
        "{{ detail.object }}",
        expect![[
            r#"error: c.yaml:1:14: a value is a list or an object; write it as JSON with `| tojson`, or pick a part of it (in the template "{{ detail.object }}")"#
        ]],
    );
    check(
        "{{ resources }}",
        expect![[
            r#"error: c.yaml:1:14: a value is a list or an object; write it as JSON with `| tojson`, or pick a part of it (in the template "{{ resources }}")"#
        ]],
    );
    expect![[r#"error: c.yaml:1:14: a value is null; give a default, as in `{{ value | default('-') }}` (in the template "{{ detail.a }}")"#]].assert_eq(&render("{{ detail.a }}", &event("my.app", "x", r#"{"a":null}"#)));
}

#[test]
fn numbers_and_booleans_have_the_text_that_json_has() {
    let detail = r#"{"a":12345678901234567890,"b":-7,"c":1.5,"d":true,"e":123456789012345678901234567890}"#;
    let template = "{{ detail.a }} {{ detail.b }} {{ detail.c }} {{ detail.d }} {{ detail.e }}";
    expect!["12345678901234567890 -7 1.5 true 123456789012345678901234567890"]
        .assert_eq(&render(template, &event("my.app", "x", detail)));
}

#[test]
fn conditions_and_tests_work() {
    check(
        "{% if size > 3 %}big{% else %}small{% endif %} {{ 'a' if key is startingwith('in') else 'b' }}",
        expect!["big a"],
    );
    let deleted = r#"{"bucket":{"name":"b"},"object":{"key":"k","sequencer":"1"},"reason":"DeleteObject","deletion-type":"Permanently Deleted"}"#;
    let deleted = s3_event("Object Deleted", deleted);
    expect!["gone"].assert_eq(&render("{% if size is defined %}{{ size }}{% else %}gone{% endif %}", &deleted));
    expect![[r#"error: c.yaml:1:14: the event has no `size` (in the template "{{ size }}")"#]]
        .assert_eq(&render("{{ size }}", &deleted));
}

#[test]
fn wrong_templates_are_refused_at_load() {
    check(
        "{{ key",
        expect![
            "c.yaml:1:14: error: the template has a syntax error: unexpected end of input, expected end of variable block (write literal braces as `{{ '{{' }}`; docs/templates.md lists the filters)"
        ],
    );
    check(
        "{{ ky }}",
        expect![[
            r#"c.yaml:1:14: error: no event has a field `ky`; did you mean `key`? (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)"#
        ]],
    );
    check(
        "{{ key | basenme }}",
        expect![
            "c.yaml:1:20: error: unknown filter `basenme`; did you mean `basename`? (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int`, `string` and `tagsafe`)"
        ],
    );
    check(
        "{{ now() }}",
        expect![[
            r#"c.yaml:1:14: error: no event has a field `now` (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)"#
        ]],
    );
    check(
        "{% include 'x' %}",
        expect![
            "c.yaml:1:14: error: the template has a syntax error: unknown statement include (write literal braces as `{{ '{{' }}`; docs/templates.md lists the filters)"
        ],
    );
}

#[test]
fn the_work_of_a_template_is_bounded() {
    check(
        "{% for a in key %}{% for b in key %}{% for c in key %}{% for d in key %}x{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
        expect![[
            r#"error: c.yaml:1:77: the template takes more than 100000 steps, where each 64 bytes that it reads or makes are one; use a part of the event, or set `large_payload: s3` on the route (in the template "{% for a in key %}{% for b in key %}{% for c in key %}{% for d in key %}x{% endfor %}{% endfor %}{% endfor %}{% endfor %}")"#
        ]],
    );
}

#[test]
fn text_without_braces_is_taken_as_it_is() {
    check(
        "a {{ bucket }}\n",
        expect![[r#"
        a uploads
    "#]],
    );
    check("$KEY `id` %s } {", expect!["$KEY `id` %s } {"]);
}

proptest! {
    #[test]
    fn a_key_is_rendered_character_by_character_whatever_it_holds(key in "\\PC{1,40}") {
        prop_assert_eq!(render("{{ key }}", &object_created(&key)), key.clone());
        prop_assert_eq!(render("<{{ detail.object.key }}>", &object_created(&key)), format!("<{key}>"));
    }
}

#[test]
fn a_missing_field_is_named_whatever_is_made_of_it() {
    check(
        "{{ detail.nope | upper | trim }} {{ key }}",
        expect![[
            r#"error: c.yaml:1:14: the event has no `detail.nope` (in the template "{{ detail.nope | upper | trim }} {{ key }}")"#
        ]],
    );
    check(
        "é {{ (detail.é | split('/'))[0] }}",
        expect![
            "c.yaml:1:24: error: the template has a syntax error: unexpected character (write literal braces as `{{ '{{' }}`; docs/templates.md lists the filters)"
        ],
    );
    check("{{ (detail.owner | default({})).name | default('-') }}", expect!["-"]);
}

#[test]
fn filters_are_checked_beside_raw_blocks_and_the_word_raw() {
    check(
        "{{ key | replace('raw/', '') | basenme }}",
        expect![
            "c.yaml:1:42: error: unknown filter `basenme`; did you mean `basename`? (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int`, `string` and `tagsafe`)"
        ],
    );
    check(
        "{%- raw -%}{{ a | b }}{% endraw %} {{ key | basenme }}",
        expect![
            "c.yaml:1:55: error: unknown filter `basenme`; did you mean `basename`? (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int`, `string` and `tagsafe`)"
        ],
    );
    check(
        "{{ detail.raw | upper }}",
        expect![[r#"error: c.yaml:1:14: the event has no `detail.raw` (in the template "{{ detail.raw | upper }}")"#]],
    );
}

#[test]
fn no_template_makes_the_loading_panic() {
    check(
        "{{ é",
        expect![
            "c.yaml:1:14: error: the template has a syntax error: unexpected character (write literal braces as `{{ '{{' }}`; docs/templates.md lists the filters)"
        ],
    );
    check(
        &format!("{{{{ {} key }}}}", "not ".repeat(5000)),
        expect![
            "c.yaml:1:10: error: the template has 20010 characters; all overrides together have at most 8192 (shorten it)"
        ],
    );
    check(
        "{% raw %}{{ a | b }}{% endraw %}{# {{ x | nope }} #}",
        expect![[r#"
            c.yaml:1:53: error: unknown filter `nope` (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int`, `string` and `tagsafe`)
            c.yaml:1:49: error: no event has a field `x` (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), notification (S3 notifications), item or index (with for_each); write `event["name"]` for anything else)"#]],
    );
}

/// Every way in which a template can use a value: each must fail if the value is missing.
fn uses(missing: &str) -> Vec<String> {
    let arguments = ["", "('-')", "('a', 'b')"];
    let applied = super::filters::FILTERS
        .iter()
        .filter(|(name, _)| *name != "default")
        .flat_map(|(name, _)| arguments.map(|arguments| format!("{{{{ {missing} | {name}{arguments} }}}}")));
    let as_argument = super::filters::FILTERS.iter().flat_map(|(name, _)| {
        [format!("{{{{ 'a' | {name}({missing}) }}}}"), format!("{{{{ ['a'] | {name}({missing}) }}}}")]
    });
    let tests = super::filters::TESTS.iter().filter(|(name, _)| !super::filters::FOR_ABSENCE.contains(name));
    let tested = tests.flat_map(|(name, _)| {
        [format!("{{{{ {missing} is {name}('a') }}}}"), format!("{{{{ 'a' is {name}({missing}) }}}}")]
    });
    let operators = ["==", "!=", "<", ">", "+", "-", "*", "~", "and"]
        .map(|operator| format!("{{{{ {missing} {operator} 'a' }}}}"))
        .into_iter()
        .chain(["'a' ~", "'a' ==", "not", "1 +"].map(|before| format!("{{{{ {before} {missing} }}}}")));
    let statements = [
        format!("{{{{ {missing} }}}}"),
        format!("{{% if {missing} %}}a{{% endif %}}"),
        format!("{{% for a in {missing} %}}a{{% endfor %}}b"),
        format!("{{{{ {missing}[0] }}}}"),
        format!("{{{{ {missing}.a.b }}}}"),
        format!("{{{{ 'a' if {missing} else 'b' }}}}"),
    ];
    applied.chain(as_argument).chain(tested).chain(operators).chain(statements).collect()
}

#[test]
fn a_missing_field_is_an_error_in_every_filter_test_argument_literal_and_operator() {
    for missing in ["detail.nope", "detail.object['no-pe']", "resources[7]", "[detail.nope]", "{'a': detail.nope}"] {
        let is_literal = missing.starts_with(['[', '{']);
        for template in uses(missing) {
            // Without the word `default`, nothing may be missing. With it, filters and tests still refuse it, and so does
            // everything but operators that compare or join whole literals.
            let lenient = format!("{{{{ key | default('') }}}}{template}");
            let mut templates = vec![template];
            templates.extend((!is_literal).then_some(lenient));
            for template in templates {
                let rendered = render(&template, OBJECT_CREATED);
                assert!(rendered.contains("error: "), "{template} renders as {rendered:?}");
            }
        }
    }
}

#[test]
fn what_is_missing_is_named_by_its_path() {
    let named = |template: &str| {
        let rendered = render(template, OBJECT_CREATED);
        rendered
            .split_once("the event has no ")
            .map_or(rendered.clone(), |(_, rest)| rest.split_once(" (in").map_or(rest, |(name, _)| name).to_owned())
    };
    let table = [
        ("{{ detail.nope == 'x' }}", "`detail.nope`"),
        ("{{ detail.jbo | tojson }}", "`detail.jbo`"),
        ("{{ [key, detail.nope] | tojson }}", "`detail.nope`"),
        ("{{ {'a': detail.nope} | tojson }}", "`detail.nope`"),
        ("{{ resources | join(detail.nope) }}", "`detail.nope`"),
        ("{{ detail.object['no-pe'] }}", "`detail.object[\"no-pe\"]`"),
        ("{{ resources[7] }}", "`resources[7]`"),
        ("{{ detail.nope.deeper | default('-') }}", "`detail.nope`"),
        ("{{ key | default('-') }}{{ [detail.nope] | tojson }}", "`detail.nope`"),
        ("{% for one in resources %}{{ one.nope }}{% endfor %}", "`one.nope`"),
    ];
    for (template, name) in table {
        assert_eq!(named(template), name, "{template}");
    }
}

#[test]
fn numbers_have_the_text_that_the_event_gives_them() {
    let detail = r#"{"price":100.00,"e":1e3,"long":123456789012345678901234567890123456789012,"neg":-123456789012345678901234567890123456789012,"list":[1.10,2.5],"same":[2.0,2.00]}"#;
    let event = &event("my.app", "x", detail);
    let table = [
        ("{{ detail.price }}", "100.00"),
        ("{{ detail.e }} {{ 1000.0 }}", "1000.0 1000.0"),
        (
            "{{ detail.long > 5 }} {{ detail.neg < 0 }} {{ detail.neg }}",
            "true true -123456789012345678901234567890123456789012",
        ),
        ("{{ detail.long }}", "123456789012345678901234567890123456789012"),
        ("{{ detail.list | tojson }} {{ detail.list | join(' ') }}", "[1.10,2.5] 1.10 2.5"),
        ("{{ {'a': detail.long} | tojson }}", r#"{"a":123456789012345678901234567890123456789012}"#),
        ("{{ detail.price | string }}", "100.00"),
        ("{{ detail.price > 99 }} {{ detail.price == 100 }} {{ detail.price | int }}", "true true 100"),
        // One number that is written in two ways has the text of neither.
        ("{{ detail.same[0] }} {{ detail.same[1] }}", "2.0 2.0"),
    ];
    for (template, text) in table {
        assert_eq!(render(template, event), text, "{template}");
    }
}

#[test]
fn long_numbers_that_cannot_be_told_apart_are_an_error() {
    let detail = r#"{"a":1234567890123456789012345678901234567890,"b":1234567890123456789012345678901234567891}"#;
    let rendered = render("{{ detail.a }}", &event("my.app", "x", detail));
    assert!(rendered.contains("send them as texts"), "{rendered}");
}

#[test]
fn only_expressions_decide_whether_fields_may_be_missing() {
    let table = [
        ("report for {{ 'urgent' if 'urgent' in detail else 'normal' }}", "report for normal"),
        ("report for {{ 'named' if 'bucket' in detail else 'none' }}", "report for named"),
        ("{% for a in resources %}{{ 'x' if 'nope' in detail else 'y' }}{% endfor %}", "y"),
    ];
    for (template, text) in table {
        assert_eq!(render(template, OBJECT_CREATED), text, "{template}");
    }
    for strict in ["the default in {{ detail.nope }}", "{% for a in resources %}{{ [detail.nope] == [a] }}{% endfor %}"]
    {
        assert!(render(strict, OBJECT_CREATED).contains("the event has no `detail.nope`"), "{strict}");
    }
}

#[test]
fn a_tag_can_be_made_of_any_key() {
    check(
        "{{ 'report (1).csv' | tagsafe }} {{ 'é/ü:1' | tagsafe }} {{ key | tagsafe | length }}",
        expect!["report _1_.csv é/ü:1 22"],
    );
}

#[test]
fn the_memory_of_a_template_is_bounded() {
    let text = "N".repeat(120_000);
    let body = format!(r#"{{"text":"{text}","name":"{}","list":["{}"]}}"#, "x".repeat(10_000), "a\",\"".repeat(30_000));
    let event = &event("my.app", "x", &body);
    for template in [
        "{{ detail.text | replace('N', detail.name) }}",
        "{{ detail.list | join(detail.name) }}",
        "{% for a in detail.list %}{{ detail.text }}{% endfor %}",
        "{% for a in detail.list %}{{ [detail, detail, detail] | tojson }}{% endfor %}",
        "{{ 'x' * 90000000 }}",
        "{% set a = detail.text %}{% for b in detail.list %}{% set a = a ~ a %}{{ a | length }}{% endfor %}",
        "{{ detail.text | split('N') | join(detail.text) }}",
    ] {
        let rendered = render(template, event);
        assert!(
            rendered.contains("takes more than") || rendered.contains("too large"),
            "{template}: {}",
            &rendered[..200.min(rendered.len())]
        );
    }
}

#[test]
fn a_field_with_a_hyphen_is_refused_at_load_with_what_to_write() {
    let table = [
        ("{{ detail.object.version-id }}", "detail.object[\"version-id\"]"),
        ("{{ detail.request-id | upper }}", "detail[\"request-id\"]"),
        ("{{ detail-type }}", "detail_type"),
        ("{{ replay-name }}", "event[\"replay-name\"]"),
        ("{% if detail.a-b %}x{% endif %}", "detail[\"a-b\"]"),
    ];
    for (template, instead) in table {
        let instead = instead.replace('\\', "");
        let rendered = render(template, OBJECT_CREATED);
        assert!(rendered.contains(&format!("write `{instead}`")), "{template}: {rendered}");
    }
    check("{{ size - 1 }} {{ 'a-b' }} a-b {{- key -}} {{ size -1 }}", expect!["4 a-b a-bincoming/report.tar.gz4"]);
}
