//! Lambda function that starts the tasks of SQS messages. Only the messages that failed go back to their queue.

use std::process::ExitCode;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
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
        let handled = function.invoke(Door::Queue, event.payload.get(), deadline).await;
        let goes_back = handled
            .map_err(|error| Diagnostic { error_type: error.kind().into(), error_message: error.to_string() })?;
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = goes_back.into_iter().map(failure).collect();
        Ok::<_, Diagnostic>(response)
    }))
    .await
}

fn failure(message_id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message_id;
    failure
}
