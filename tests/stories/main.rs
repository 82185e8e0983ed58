//! Stories: the real binaries against a real emulator of AWS.

#![expect(clippy::expect_used, reason = "a story that cannot go on has failed")]

mod account;
mod cli;
mod config;
mod dependencies;
mod deploy;
mod dev;
mod docs;
mod launch_rate;
mod launch_store;
mod least_privilege;
mod object_created;
mod promise;
mod queues;
mod rooms;
mod schedules;
mod simulation;
mod store_contract;
mod templates;
mod workers;
