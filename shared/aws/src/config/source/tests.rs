//! Where a config is read from.

use expect_test::{Expect, expect};

use super::ConfigSource;

fn check(text: &str, expected: Expect) {
    let shown = match text.parse::<ConfigSource>() {
        Ok(place) => format!("{place:?}"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_place_is_an_object_or_a_file() {
    check("s3://bucket/path/ecs-trigger.yaml", expect![[r#"S3 { bucket: "bucket", key: "path/ecs-trigger.yaml" }"#]]);
    check("file:///var/task/ecs-trigger.yaml", expect![[r#"File { path: "/var/task/ecs-trigger.yaml" }"#]]);
}

#[test]
fn anything_else_is_refused_with_what_to_write() {
    check("", expect!["ECS_TRIGGER_CONFIG is ``; it must be s3://BUCKET/KEY or file:///PATH"]);
    check(
        "ecs-trigger.yaml",
        expect!["ECS_TRIGGER_CONFIG is `ecs-trigger.yaml`; it must be s3://BUCKET/KEY or file:///PATH"],
    );
    check(
        "file://ecs-trigger.yaml",
        expect!["ECS_TRIGGER_CONFIG is `file://ecs-trigger.yaml`; it must be s3://BUCKET/KEY or file:///PATH"],
    );
    check("s3://bucket", expect!["ECS_TRIGGER_CONFIG is `s3://bucket`; it must be s3://BUCKET/KEY or file:///PATH"]);
    check("s3:///key", expect!["ECS_TRIGGER_CONFIG is `s3:///key`; it must be s3://BUCKET/KEY or file:///PATH"]);
}
