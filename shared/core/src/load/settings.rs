//! A task's settings: on one rung of its ladder, and without their positions.

use crate::config::launching::CapacityConfig;
use crate::config::task::TaskSettings;
use crate::text::Spanned;

/// Returns a task's settings on one rung of its ladder.
pub(super) fn on_rung(settings: &TaskSettings, rung: &CapacityConfig) -> TaskSettings {
    let mut on_rung = TaskSettings { capacity: None, ..settings.clone() };
    if rung.launch_type.is_some() || rung.capacity_provider_strategy.is_some() {
        on_rung.launch_type.clone_from(&rung.launch_type);
        on_rung.capacity_provider_strategy.clone_from(&rung.capacity_provider_strategy);
    }
    on_rung.platform_version = rung.platform_version.clone().or(on_rung.platform_version);
    on_rung.network = rung.network.clone().or(on_rung.network);
    if rung.cpu.is_some() || rung.memory.is_some() {
        let overrides = on_rung.overrides.get_or_insert_default();
        overrides.cpu = rung.cpu.clone().or(overrides.cpu.take());
        overrides.memory = rung.memory.clone().or(overrides.memory.take());
    }
    on_rung
}

pub(super) fn value<T: Clone>(setting: &Option<Spanned<T>>) -> Option<T> {
    setting.as_ref().map(|setting| setting.value.clone())
}

pub(super) fn values<T: Clone>(setting: Option<&Spanned<Vec<Spanned<T>>>>) -> Vec<T> {
    setting.into_iter().flat_map(|items| &items.value).map(|item| item.value.clone()).collect()
}
