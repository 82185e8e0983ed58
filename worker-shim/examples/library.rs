//! A worker in Rust that calls a function for each message instead of running a command.

use std::sync::Arc;
use std::time::Duration;

use worker_shim::protection::{AGENT_VARIABLE, Protection};
use worker_shim::queue::{self, Queue};
use worker_shim::{Options, work};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let queue = Queue::open(queue::client().await, "images", Duration::from_secs(60)).await?;
    let agent = std::env::var(AGENT_VARIABLE).ok();
    let protection = Arc::new(Protection::new(agent.as_deref())?);
    let options = Options { queues: vec![queue], concurrency: 4, idle_exit: None, retry_delay: None, timeout: None };
    let summary = work(options, protection, |message, _| async move {
        println!("{}: {} bytes", message.id, message.body.len());
        Ok(())
    })
    .await?;
    println!("{} done, {} failed", summary.done, summary.failed);
    Ok(())
}
