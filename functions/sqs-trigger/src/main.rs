//! Lambda: messages of SQS queues start their tasks; exactly those that failed go back.

use std::process::ExitCode;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;
use trigger_aws::{Function, telemetry};
use trigger_core::event::Delivery;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    telemetry::exit_code(serve().await)
}

async fn serve() -> Result<(), Error> {
    let function = &Function::start().await?;
    run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        // What is no batch names no message that could go back alone: the error makes all of them go back.
        let records = Delivery::batch(event.payload.get())
            .map_err(|error| Diagnostic { error_type: "DecodeError".into(), error_message: error.to_string() })?;
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = function.handle_batch(&records).await.into_iter().map(failure).collect();
        Ok::<_, Diagnostic>(response)
    }))
    .await
}

fn failure(message_id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message_id;
    failure
}
