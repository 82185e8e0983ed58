//! The whole file.

use super::decode::record;
use super::local::Local;
use super::route::RouteConfig;
use super::task::TaskSettings;
use super::text::Mapping;
use crate::document::Spanned;

record! {
    /// The routing config of ecs-trigger: which events start which ECS tasks.
    pub struct ConfigFile ("a mapping with `version`, `tasks` and `routes`") {
        /// The version of this file's format: 1.
        #[schemars(range(min = 1, max = 1))]
        pub version: Spanned<u32>,
        /// Settings that every task starts from. A task's own settings replace them; mappings (`tags`) are merged.
        pub defaults: Option<TaskSettings>,
        /// What can be launched, by name.
        pub tasks: Mapping<TaskSettings>,
        /// Which events launch it. Every route that matches an event launches its task.
        pub routes: Vec<RouteConfig>,
        /// How `ecs-trigger dev` runs the tasks on this machine. Without meaning on AWS.
        pub local: Option<Local>,
    }
}
