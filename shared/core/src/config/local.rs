//! `local`: how `ecs-trigger dev` runs tasks on this machine.

use crate::text::Spanned;
use crate::text::decode::record;
use crate::text::values::{Duration, Environment, Mapping, Words};

record! {
    /// How `ecs-trigger dev` runs tasks on this machine. Paths are relative to the config's folder.
    pub struct Local ("a mapping") {
        /// The folder that stands in for each bucket, by bucket name. Default: `buckets/NAME` for each bucket that a
        /// route names.
        pub buckets: Option<Mapping<Spanned<String>>>,
        /// The folder that stands in for each queue, and the queue's settings, by queue name. Default: the folder
        /// `queues/NAME` for each queue that a route or worker names.
        pub queues: Option<Mapping<LocalQueue>>,
        /// How the containers of each task definition run on this machine, by the family's name. The workers of an ECS
        /// service are listed under the service's name.
        pub task_definitions: Option<Mapping<LocalTaskDefinition>>,
    }
}

record! {
    /// A queue on this machine: a folder in which each file is a message.
    pub struct LocalQueue ("a mapping") {
        /// The folder. Messages that were received too often move to the folder with this name and the suffix
        /// `-dead-letters`. Default: `queues/NAME`.
        pub folder: Option<Spanned<String>>,
        /// How long after it was received a failed message can be received again. Default: 30s.
        #[schemars(extend("default" = "30s"))]
        pub visibility_timeout: Option<Duration>,
        /// How often a message can be received before it moves to the dead-letter folder, at least 1. Default: 3.
        #[schemars(range(min = 1), extend("default" = 3))]
        pub max_receive_count: Option<Spanned<u32>>,
    }
}

record! {
    /// A task definition on this machine.
    pub struct LocalTaskDefinition ("a mapping with `container_definitions`") {
        /// The containers, by name.
        pub container_definitions: Mapping<LocalContainer>,
    }
}

record! {
    /// A container on this machine: a process, or with `image` a Docker container.
    pub struct LocalContainer ("a mapping with `entry_point`, `command` or `image`") {
        /// The program and its first arguments. It runs without a shell. A launch that overrides the command keeps it.
        pub entry_point: Option<Words<String>>,
        /// The arguments after `entry_point`. A launch can override them.
        pub command: Option<Words<String>>,
        /// Environment variables, by name, or AWS's own list of `name` and `value`. A launch can override them.
        pub environment: Option<Environment<String>>,
        /// The folder to run in. Default: the config's folder.
        pub working_directory: Option<Spanned<String>>,
        /// A Docker image to run instead of a process. It needs a running Docker engine.
        pub image: Option<String>,
        /// Whether the task ends when this container ends. Default: true.
        pub essential: Option<bool>,
    }
}
