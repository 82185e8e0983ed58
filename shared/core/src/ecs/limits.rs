//! AWS's limits on one RunTask call, and a few of our own.
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html> and the service model.

/// The maximum number of tasks of one RunTask call.
pub const COUNT_MAX: u32 = 10;
/// The maximum number of tasks that one route starts for one event, over all calls. Our own limit.
pub const TASKS_MAX: u32 = 10_000;
/// The maximum number of rungs of a capacity ladder. Our own limit.
pub const RUNGS_MAX: usize = 10;
/// The maximum wait before a task is started again, in seconds. Our own limit.
pub const BACKOFF_SECONDS_MAX: u64 = 3600;
/// The maximum number of starts of a task that fails. Our own limit.
pub const RETRY_ATTEMPTS_MAX: u32 = 20;
/// The maximum number of characters of all overrides as JSON.
pub const OVERRIDES_CHARACTERS_MAX: usize = 8192;
/// The maximum number of items of a capacity provider strategy.
pub const STRATEGY_ITEMS_MAX: usize = 20;
/// The maximum weight of a capacity provider.
pub const WEIGHT_MAX: u32 = 1000;
/// The maximum base of a capacity provider.
pub const BASE_MAX: u32 = 100_000;
/// The maximum number of subnets of a task.
pub const SUBNETS_MAX: usize = 16;
/// The maximum number of security groups of a task.
pub const SECURITY_GROUPS_MAX: usize = 5;
/// The maximum number of placement strategies of a task.
pub const PLACEMENT_STRATEGIES_MAX: usize = 5;
/// The maximum number of placement constraints of a task.
pub const PLACEMENT_CONSTRAINTS_MAX: usize = 10;
/// The maximum number of characters of a placement constraint's expression.
pub const EXPRESSION_CHARACTERS_MAX: usize = 2000;
/// The maximum number of characters of `startedBy`.
pub const STARTED_BY_CHARACTERS_MAX: usize = 128;
/// The maximum number of characters of `referenceId`.
pub const REFERENCE_ID_CHARACTERS_MAX: usize = 1024;
/// The maximum number of tags of a task.
pub const TAGS_MAX: usize = 50;
/// The maximum number of characters of a tag's key.
pub const TAG_KEY_CHARACTERS_MAX: usize = 128;
/// The maximum number of characters of a tag's value.
pub const TAG_VALUE_CHARACTERS_MAX: usize = 256;
/// The size of ephemeral storage on Fargate, in GiB.
pub const EPHEMERAL_STORAGE_GIB: std::ops::RangeInclusive<u32> = 21..=200;
/// The minimum memory of a container, in MiB.
pub const CONTAINER_MEMORY_MIB_MIN: u32 = 4;
/// The maximum number of containers of a task definition.
pub const CONTAINERS_MAX: usize = 10;

/// Returns the first character of a text that a tag's key or value cannot contain, if there is one.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html>
pub fn refused_in_tag(text: &str) -> Option<char> {
    let allowed = |c: char| c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c);
    text.chars().find(|c| !allowed(*c))
}

/// Returns whether Fargate has a task size of these CPU units and MiB.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html>
pub fn is_fargate_size(cpu_units: u32, memory_mib: u32) -> bool {
    let (smallest, largest, step) = match cpu_units {
        256 => return matches!(memory_mib, 512 | 1024 | 2048),
        512 => (1024, 4096, 1024),
        1024 => (2048, 8192, 1024),
        2048 => (4096, 16_384, 1024),
        4096 => (8192, 30_720, 1024),
        8192 => (16_384, 61_440, 4096),
        16_384 => (32_768, 122_880, 8192),
        _ => return false,
    };
    (smallest..=largest).contains(&memory_mib) && (memory_mib - smallest).is_multiple_of(step)
}

/// Parses CPU units: `1024` or `1 vCPU`.
pub fn cpu_units(text: &str) -> Option<u32> {
    quantity(text, &["vcpu"])
}

/// Parses MiB: `2048` or `2 GB`.
pub fn memory_mib(text: &str) -> Option<u32> {
    quantity(text, &["gb", "gib"])
}

/// Parses a number of CPU units or MiB, written plainly or in a unit of 1024: `1024`, `1 vCPU`, `0.5 vCPU`, `2GB`.
fn quantity(text: &str, units: &[&str]) -> Option<u32> {
    let lower = text.trim().to_ascii_lowercase();
    if let Some(number) = units.iter().find_map(|unit| lower.strip_suffix(unit)) {
        let number: f64 = number.trim().parse().ok()?;
        let product = number * 1024.0;
        return (product.fract() == 0.0 && (0.0..1e9).contains(&product)).then_some(product as u32);
    }
    lower.parse().ok()
}
