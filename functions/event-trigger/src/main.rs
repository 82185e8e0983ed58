//! Lambda function that starts the tasks of EventBridge events.

use std::process::ExitCode;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;
use trigger_aws::functions::{Function, deadline};
use trigger_aws::telemetry;
use trigger_core::event::Door;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    telemetry::exit_code(serve().await)
}

async fn serve() -> Result<(), Error> {
    let function = &Function::start().await?;
    run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let deadline = deadline(event.context.deadline);
        let handled = function.invoke(Door::EventBridge, event.payload.get(), deadline).await;
        handled
            .map(drop)
            .map_err(|error| Diagnostic { error_type: error.kind().into(), error_message: error.to_string() })
    }))
    .await
}
