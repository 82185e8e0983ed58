//! `local`: how `ecs-trigger dev` runs tasks on this machine.

use crate::text::Spanned;
use crate::text::decode::record;
use crate::text::values::{Duration, Mapping};

record! {
    /// How `ecs-trigger dev` runs the tasks on this machine. Paths are relative to the config's folder.
    pub struct Local ("a mapping") {
        /// The folder that stands for each bucket, by the bucket's name. Default: `buckets/NAME` for each bucket that a route
        /// names.
        pub buckets: Option<Mapping<Spanned<String>>>,
        /// The folder that stands for each queue, by the queue's name, and how the queue treats its messages. Default: the
        /// folder `queues/NAME` for each queue that a route names.
        pub queues: Option<Mapping<LocalQueue>>,
        /// How each task definition's containers run here, by family.
        pub task_definitions: Option<Mapping<LocalTaskDefinition>>,
    }
}

record! {
    /// A queue on this machine: a folder, each file of which is a message.
    pub struct LocalQueue ("a mapping") {
        /// The folder. Messages that were received too often go to the folder of this name with `-dead-letter` after it.
        /// Default: `queues/NAME`.
        pub folder: Option<Spanned<String>>,
        /// How long after it was received a message that failed can be received again. Default: 30s.
        #[schemars(extend("default" = "30s"))]
        pub visibility_timeout: Option<Duration>,
        /// How often a message is received before it goes to the dead-letter folder. Default: 3.
        #[schemars(range(min = 1), extend("default" = 3))]
        pub max_receive_count: Option<Spanned<u32>>,
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
