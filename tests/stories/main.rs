//! Stories: the real binaries against a real emulator of AWS.

#![expect(clippy::expect_used, reason = "a story that cannot go on has failed")]

mod account;
mod cli;
mod config;
mod dependencies;
mod deploy;
mod dev;
mod dev_endpoints;
mod docs;
mod init;
mod launch_rate;
mod launch_store;
mod least_privilege;
mod object_created;
mod operate_dead_letters;
mod operate_logs_and_status;
mod operate_run_and_replay;
mod promise;
mod queues;
mod rooms;
mod schedules;
mod simulation;
mod store_contract;
mod templates;
mod workers;
