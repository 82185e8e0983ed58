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
        Ok(text) => text,
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
            r#"error: c.yaml:1:16: the event has no `detail.owner.name` (in the template "x {{ detail.owner.name | upper }}")"#
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
            r#"c.yaml:1:14: error: no event has a field `ky`; did you mean `key`? (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), item or index (with for_each); write `event["name"]` for anything else)"#
        ]],
    );
    check(
        "{{ key | basenme }}",
        expect![
            "c.yaml:1:20: error: unknown filter `basenme`; did you mean `basename`? (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int` and `string`)"
        ],
    );
    check(
        "{{ now() }}",
        expect![[
            r#"c.yaml:1:14: error: no event has a field `now` (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), item or index (with for_each); write `event["name"]` for anything else)"#
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
            r#"error: c.yaml:1:11: too many steps (in the template "{% for a in key %}{% for b in key %}{% for c in key %}{% for d in key %}x{% endfor %}{% endfor %}{% endfor %}{% endfor %}")"#
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
            "c.yaml:1:42: error: unknown filter `basenme`; did you mean `basename`? (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int` and `string`)"
        ],
    );
    check(
        "{%- raw -%}{{ a | b }}{% endraw %} {{ key | basenme }}",
        expect![
            "c.yaml:1:55: error: unknown filter `basenme`; did you mean `basename`? (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int` and `string`)"
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
        c.yaml:1:53: error: unknown filter `nope` (choose from `basename`, `dirname`, `stem`, `extension`, `split`, `replace`, `lower`, `upper`, `trim`, `default`, `tojson`, `urlencode`, `b64encode`, `sha256`, `first`, `last`, `join`, `length`, `int` and `string`)
        c.yaml:1:49: error: no event has a field `x` (use bucket, key, size, etag or version_id (S3 events), detail or another event field, schedule, scheduled_time, scheduled or input (schedules), body, attributes, message_attributes, message_id, group_id or queue (messages), item or index (with for_each); write `event["name"]` for anything else)"#]],
    );
}
