//! AWS's limits on one RunTask call.
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html> and the service model.

/// Tasks of one call.
pub const COUNT_MAX: u32 = 10;
/// Tasks of one event that one route starts, over all calls: a limit of ours.
pub const TASKS_MAX: u32 = 10_000;
/// Rungs of a capacity ladder: a limit of ours.
pub const RUNGS_MAX: usize = 10;
/// Seconds before a task is started again: a limit of ours.
pub const BACKOFF_SECONDS_MAX: u64 = 3600;
/// How often a task is started that fails: a limit of ours.
pub const RETRY_ATTEMPTS_MAX: u32 = 20;
/// Characters of all overrides as JSON.
pub const OVERRIDES_CHARACTERS_MAX: usize = 8192;
/// Items of a capacity provider strategy.
pub const STRATEGY_ITEMS_MAX: usize = 20;
/// A capacity provider's weight.
pub const WEIGHT_MAX: u32 = 1000;
/// A capacity provider's base.
pub const BASE_MAX: u32 = 100_000;
/// Subnets of a task.
pub const SUBNETS_MAX: usize = 16;
/// Security groups of a task.
pub const SECURITY_GROUPS_MAX: usize = 5;
/// Placement strategies of a task.
pub const PLACEMENT_STRATEGIES_MAX: usize = 5;
/// Placement constraints of a task.
pub const PLACEMENT_CONSTRAINTS_MAX: usize = 10;
/// Characters of a placement constraint's expression.
pub const EXPRESSION_CHARACTERS_MAX: usize = 2000;
/// Characters of `startedBy`.
pub const STARTED_BY_CHARACTERS_MAX: usize = 128;
/// Characters of `referenceId`.
pub const REFERENCE_ID_CHARACTERS_MAX: usize = 1024;
/// Tags of a task.
pub const TAGS_MAX: usize = 50;
/// Characters of a tag's key.
pub const TAG_KEY_CHARACTERS_MAX: usize = 128;
/// Characters of a tag's value.
pub const TAG_VALUE_CHARACTERS_MAX: usize = 256;
/// GiB of ephemeral storage.
pub const EPHEMERAL_STORAGE_GIB: std::ops::RangeInclusive<u32> = 21..=200;
/// MiB of a container's memory.
pub const CONTAINER_MEMORY_MIB_MIN: u32 = 4;
/// Containers of a task definition.
pub const CONTAINERS_MAX: usize = 10;

/// A character that a tag's key or value cannot hold, if there is one.
/// Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html>
pub fn refused_in_tag(text: &str) -> Option<char> {
    let allowed = |c: char| c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c);
    text.chars().find(|c| !allowed(*c))
}

/// Whether Fargate has a task size of these CPU units and MiB.
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

/// The CPU units that a text means: `1024` or `1 vCPU`.
pub fn cpu_units(text: &str) -> Option<u32> {
    quantity(text, &["vcpu"])
}

/// The MiB that a text means: `2048` or `2 GB`.
pub fn memory_mib(text: &str) -> Option<u32> {
    quantity(text, &["gb", "gib"])
}

/// A number of CPU units or MiB, written plainly or in the 1024-fold unit: `1024`, `1 vCPU`, `0.5 vCPU`, `2GB`.
fn quantity(text: &str, units: &[&str]) -> Option<u32> {
    let lower = text.trim().to_ascii_lowercase();
    if let Some(number) = units.iter().find_map(|unit| lower.strip_suffix(unit)) {
        let number: f64 = number.trim().parse().ok()?;
        let product = number * 1024.0;
        return (product.fract() == 0.0 && (0.0..1e9).contains(&product)).then_some(product as u32);
    }
    lower.parse().ok()
}
