//! Lambda function that scales the workers of queues. It is invoked once a minute and decides several times per
//! invocation.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;
use trigger_aws::functions::{ScalerFunction, deadline};
use trigger_aws::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    telemetry::exit_code(serve().await)
}

async fn serve() -> Result<(), Error> {
    let function = &ScalerFunction::start().await?;
    run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        function.scale(deadline(event.context.deadline)).await;
        Ok::<(), Error>(())
    }))
    .await
}
