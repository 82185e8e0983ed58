//! Records as the table holds them: packed, because each write pays for each KB of the item.
//!
//! A record is deflated, in zlib's format, with a dictionary: text that is typical of records, then what the item's
//! other attributes say. So the item pays only for what is particular to the launch, and says it once.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// A longer text, in bytes, is neither packed nor unpacked: a reader of the table must not run out of memory.
pub const UNPACKED_BYTES_MAX: usize = 1 << 20;

/// Why a record cannot be packed or unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPacked {
    /// Its text is too long.
    #[error("the record has more than {UNPACKED_BYTES_MAX} bytes")]
    TooLong,
    /// It is damaged, or was packed with another dictionary.
    #[error("the record is not packed as this ecs-trigger packs records: {0}")]
    Other(String),
}

/// Returns the text that is known when the record of an item is unpacked: what attributes say that never change.
pub fn known(item: &str, object: Option<&str>) -> String {
    format!("{item}{}", object.unwrap_or_default())
}

/// Packs the JSON of a record. `known` is the text of [`known()`].
///
/// # Errors
/// The record is too long.
pub fn pack(record: &str, known: &str) -> Result<Vec<u8>, NotPacked> {
    if record.len() > UNPACKED_BYTES_MAX {
        return Err(NotPacked::TooLong);
    }
    let mut deflate = Compress::new(Compression::default(), true);
    deflate.set_dictionary(&dictionary(known)).map_err(|error| NotPacked::Other(error.to_string()))?;
    let mut packed = Vec::with_capacity(record.len() / 2 + ROOM);
    loop {
        let rest = record.as_bytes().get(position(deflate.total_in())..).unwrap_or_default();
        match deflate.compress_vec(rest, &mut packed, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => return Ok(packed),
            Ok(_) => packed.reserve(record.len() + ROOM),
            Err(error) => return Err(NotPacked::Other(error.to_string())),
        }
    }
}

/// Unpacks the JSON of a record that was packed with this `known`.
///
/// # Errors
/// The bytes were not packed so, or would become too long.
pub fn unpack(packed: &[u8], known: &str) -> Result<String, NotPacked> {
    let other = |reason: &str| NotPacked::Other(reason.to_owned());
    let mut inflate = Decompress::new(true);
    let mut record = Vec::with_capacity(packed.len().saturating_mul(6).clamp(ROOM, UNPACKED_BYTES_MAX));
    loop {
        let rest = packed.get(position(inflate.total_in())..).unwrap_or_default();
        match inflate.decompress_vec(rest, &mut record, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) => return String::from_utf8(record).map_err(|error| other(&error.to_string())),
            Ok(_) if record.len() < record.capacity() => return Err(other("its end is missing")),
            Ok(_) if record.len() >= UNPACKED_BYTES_MAX => return Err(NotPacked::TooLong),
            Ok(_) => record.reserve_exact(record.len().min(UNPACKED_BYTES_MAX - record.len())),
            Err(error) if error.needs_dictionary().is_some() => {
                inflate.set_dictionary(&dictionary(known)).map_err(|error| other(&error.to_string()))?;
            }
            Err(error) => return Err(other(&error.to_string())),
        }
    }
}

/// The first room for a text, in bytes.
const ROOM: usize = 256;

fn position(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Returns the dictionary: what is nearest to its end is found best.
fn dictionary(known: &str) -> Vec<u8> {
    [TYPICAL, known].concat().into_bytes()
}

/// Text that is typical of records. zlib's format has the checksum of the dictionary, so another one is noticed. A
/// better text is a further constant, with which new records are packed; this one must remain, to unpack the old ones.
const TYPICAL: &str = concat!(
    // What few records have.
    r#","ephemeralStorage":{"sizeInGiB":,"environmentFiles":[{"value":"arn:aws:s3:::","type":"s3"}],"#,
    r#""resourceRequirements":[{"value":"1","type":"GPU"}],"volumeConfigurations":[{"name":"","managedEBSVolume":{"#,
    r#""roleArn":"arn:aws:iam::","encrypted":true,"volumeType":"gp3","sizeInGiB":,"tagSpecifications":[{"resourceType":"#,
    r#""volume","filesystemType":"xfs","terminationPolicy":{"deleteOnTermination":true}}}],"referenceId":","#,
    r#""placementConstraints":[{"type":"memberOf","expression":"attribute:ecs."},{"type":"distinctInstance"}],"#,
    r#""placementStrategy":[{"type":"spread","field":"attribute:ecs.availability-zone"},{"type":"binpack","field":""#,
    r#""taskRoleArn":"arn:aws:iam::role/","executionRoleArn":"arn:aws:iam::role/","memoryReservation":,"cpu":"1024","#,
    r#""memory":"2048"},"group":","platformVersion":"LATEST","enableExecuteCommand":true,"enableECSManagedTags":true,"#,
    r#""propagateTags":"TASK_DEFINITION","tags":[{"key":"","value":""},{"key":"","value":""}],"launchType":"EC2","#,
    r#"},"capacity":[{"capacityProviderStrategy":[{"capacityProvider":"FARGATE_SPOT","weight":1,"base":0}],"#,
    r#""given_up":{"failed":"ECS could not start all tasks: ","skipped":"full","older","superseded""replaced","settled","#,
    r#""ended":{"at":"","outcome":{"dead_lettered":"the task arn:aws:ecs:: EssentialContainerExited, Essential "#,
    r#"container in task exited; app: exit code 1; the task "},"concluding":{"at":","outcome":"stopped","reopened":{"#,
    r#""attempts":1,"retried":1},"not_before":"2026-,"stop":"timeout","stop_asked":true,"stop":"replaced","#,
    r#""vanished":true,"retried":true},{"arn":"TaskFailedToStart""SpotInterruption""UserInitiated""#,
    r#""stopped_reason":"Task failed to start","CannotPullContainerError: ResourceInitializationError: "#,
    r#""reason":"OutOfMemoryError: Container killed due to memory usage","Timeout waiting for network interface "#,
    r#"provisioning to complete.","Your Spot Task was interrupted.","#,
    r#""undecided":{"reply":{"error":{"code":"ThrottlingException","message":"Rate exceeded""of_server":true,"#,
    r#""resource_ids":["nothing":{"message":"timeout"}},"times":1,"since":"2026-,"again":"2026-,"in_doubt":true,"#,
    r#""failures":[{"arn":"arn:aws:ecs::container-instance/","reason":"RESOURCE:MEMORY","detail":""RESOURCE:CPU""#,
    r#""Capacity is unavailable at this time. Please try again later or in a different availability zone","#,
    r#""retry":{"attempts":3,"on":["failed_to_start","spot_interruption","timeout",{"exit_code":[1]}],"#,
    r#""concurrency":{"slots":"/","max":1,"when_full":"queue"},"sequence":{"name":"/","sequencer":""},"set":"/","#,
    r#""slot":"released","slot":"held","slot":"waiting","ticket":1,"is_latest":true,"index":0,"#,
    // Events of a schedule, of a queue, and of others.
    r#"["schedule","arn:aws:scheduler::schedule/default/","2026-T00:00:00Z"],"event":{"text":"{\"route\":\"\","#,
    r#"\"schedule\":\"\",\"schedule_arn\":\"arn:aws:scheduler::schedule/default/\",\"scheduled_time\":\"2026-T00:00"#,
    r#":00Z\"}"},["event","aws.","],"event":{"uri":"s3:///payloads/.json"},["message","","],"event":{"text":"{\"queue"#,
    r#"\":\"\",\"message_id\":\"\",\"attributes\":{\"SentTimestamp\":\"17\",\"SenderId\":\"AIDA\"},\"message_attributes"#,
    r#"\":{},\"body\":{\"AROA:\"MessageGroupId\":\"\",\"AWSTraceHeader\":\"Root=1-\","#,
    // A short launch by an event of S3.
    r#"{"version":2,"key":{"route":"","date":"2026-","id":""},"task":"","slice":0,"event_id":"-4","identity":["s3","#,
    r#""Object Created",""],"event":{"text":"{\"version\":\"0\",\"id\":\"\",\"detail-type\":\"Object Created\","#,
    r#"\"source\":\"aws.s3\",\"account\":\"\",\"time\":\"2026-T00:00:00Z\",\"region\":\"ap-northeast-eu-west-1us-east-1"#,
    r#"\",\"resources\":[\"arn:aws:s3:::\"],\"detail\":{\"version\":\"0\",\"bucket\":{\"name\":\"\"},\"object\":{"#,
    r#"\"key\":\"\",\"size\":,\"etag\":\"\",\"version-id\":\"\",\"sequencer\":\"00\"},\"request-id\":\"\",\"requester"#,
    r#"\":\"\",\"source-ip-address\":\"1\",\"reason\":\"CompleteMultipartUpload\"PutObject\"}}"},"config_etag":"\"\"","#,
    r#""request":{"cluster":"","taskDefinition":"","count":1,"launchType":"FARGATE","networkConfiguration":{"#,
    r#""awsvpcConfiguration":{"subnets":["subnet-0","subnet-0"],"securityGroups":["sg-0"],"assignPublicIp":"ENABLED"}},"#,
    r#""startedBy":"ecs-trigger//2026-/0","overrides":{"containerOverrides":[{"name":"app","command":["s3://"],"#,
    r#""environment":[{"name":"","value":""},{"name":"ECS_TRIGGER_ROUTE","value":""},{"name":"ECS_TRIGGER_EVENT_ID","#,
    r#""value":""},{"name":"ECS_TRIGGER_INDEX","value":"0"},{"name":"ECS_TRIGGER_COUNT","value":"1"},{"name":"#,
    r#""ECS_TRIGGER_EVENT_URI","value":"s3://"},{"name":"ECS_TRIGGER_ATTEMPT","value":"0"}]}]},"clientToken":""},"#,
    r#""timeout_seconds":3600,"retry":{"attempts":3,"on":["any"],"backoff_seconds":10},"created":"2026-T00:00:00.Z","#,
    r#""attempts":[{"count":1,"rung":0,"client_token":"","opened":"2026-","calling":"2026-"}],"tasks":[],"due":"2026-","#,
    r#""reply":{"tasks":{"task_arns":["arn:aws:ecs:us-east-1::task/"]}}}],"tasks":[{"arn":"arn:aws:ecs:us-east-1:"#,
    r#":task/","attempt":0,"since":"2026-","stopped":{"stop_code":"EssentialContainerExited","stopped_reason":"Essential"#,
    r#" container in task exited","containers":[{"name":"app","exit_code":0}]}}],"due":"2026-","ended":{"at":"2026-","#,
    r#""outcome":"succeeded"}}"#,
);

#[cfg(test)]
mod tests;
