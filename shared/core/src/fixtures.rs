//! Events that tests share.

/// The `Object Created` event from S3's documentation.
pub(crate) const OBJECT_CREATED: &str = r#"{
  "version": "0",
  "id": "17793124-05d4-b198-2fde-7ededc63b103",
  "detail-type": "Object Created",
  "source": "aws.s3",
  "account": "111122223333",
  "time": "2021-11-12T00:00:00Z",
  "region": "ca-central-1",
  "resources": ["arn:aws:s3:::uploads"],
  "detail": {
    "version": "0",
    "bucket": { "name": "uploads" },
    "object": {
      "key": "incoming/report.tar.gz",
      "size": 5,
      "etag": "b1946ac92492d2347c6235b4d2611184",
      "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
      "sequencer": "617f08299329d189"
    },
    "request-id": "N4N7GDK58NMKJ12R",
    "requester": "123456789012",
    "source-ip-address": "1.2.3.4",
    "reason": "PutObject"
  }
}"#;

/// Returns an S3 event with this detail-type and detail.
pub(crate) fn s3_event(detail_type: &str, detail: &str) -> String {
    event("aws.s3", detail_type, detail)
}

/// Returns an event with this source, detail-type and detail.
pub(crate) fn event(source: &str, detail_type: &str, detail: &str) -> String {
    format!(
        r#"{{"version":"0","id":"e-1","detail-type":"{detail_type}","source":"{source}","account":"111122223333",
            "time":"2026-01-31T23:59:59Z","region":"eu-west-1","resources":[],"detail":{detail}}}"#
    )
}

/// Returns an `Object Created` event for this key.
pub(crate) fn object_created(key: &str) -> String {
    OBJECT_CREATED.replace(r#""incoming/report.tar.gz""#, &crate::text::json::quote(key))
}
