//! `local`: how `ecs-trigger dev` runs tasks on this machine.

use super::decode::record;
use super::text::Mapping;
use crate::document::Spanned;

record! {
    /// How `ecs-trigger dev` runs the tasks on this machine. Paths are relative to the config's folder.
    pub struct Local ("a mapping") {
        /// The folder that stands for each bucket, by the bucket's name. Default: `buckets/NAME` for each bucket that a route
        /// names.
        pub buckets: Option<Mapping<Spanned<String>>>,
        /// How each task definition's containers run here, by family.
        pub task_definitions: Option<Mapping<LocalTaskDefinition>>,
    }
}

record! {
    /// A task definition on this machine.
    pub struct LocalTaskDefinition ("a mapping with `container_definitions`") {
        /// Its containers, by name.
        pub container_definitions: Mapping<LocalContainer>,
    }
}

record! {
    /// A container on this machine: a process, or with `image` a container of a Docker engine.
    pub struct LocalContainer ("a mapping with `entry_point`, `command` or `image`") {
        /// What runs; an overridden command does not replace it. Never run by a shell.
        pub entry_point: Option<Vec<String>>,
        /// The words after `entry_point`, unless a launch overrides them.
        pub command: Option<Vec<String>>,
        /// Environment variables, unless a launch overrides them.
        pub environment: Option<Mapping<String>>,
        /// The folder to run in. Default: the config's folder.
        pub working_directory: Option<Spanned<String>>,
        /// An image to run instead of a process, where a Docker engine answers.
        pub image: Option<String>,
        /// Whether the task ends when this container ends. Default: true.
        pub essential: Option<bool>,
    }
}
