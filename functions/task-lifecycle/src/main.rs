//! Lambda: tasks that stop are recorded, and what follows is done; once a minute, what is due is looked at.

use std::process::ExitCode;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;
use trigger_aws::functions::{Function, deadline};
use trigger_aws::telemetry;
use trigger_core::event::LifecycleEvent;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    telemetry::exit_code(serve().await)
}

async fn serve() -> Result<(), Error> {
    let function = &Function::start().await?;
    run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let of_lifecycle = LifecycleEvent::decode(event.payload.get())
            .map_err(|error| Diagnostic { error_type: "DecodeError".into(), error_message: error.to_string() })?;
        let looked = function.look_after(&of_lifecycle, deadline(event.context.deadline)).await;
        looked.map_err(|error| Diagnostic { error_type: "LedgerError".into(), error_message: error.to_string() })
    }))
    .await
}
