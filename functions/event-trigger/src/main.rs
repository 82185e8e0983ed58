//! Lambda: an EventBridge event starts its tasks.

use std::process::ExitCode;
use std::time::Instant;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;
use trigger_aws::config_source::ConfigSource;
use trigger_aws::{EcsLauncher, clients, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    telemetry::exit_code(serve().await)
}

async fn serve() -> Result<(), Error> {
    let sdk_config = clients::sdk_config().await;
    let config = &ConfigSource::from_environment()?.load(&sdk_config).await?;
    let launcher = &EcsLauncher::new(clients::ecs(&sdk_config));

    run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let started = Instant::now();
        let result = trigger_engine::handle(event.payload.get(), config, launcher).await;
        telemetry::report(&result, started.elapsed());
        // A raised error makes Lambda deliver the event again, and in the end dead-letter it.
        result
            .map(drop)
            .map_err(|error| Diagnostic { error_type: error.kind().into(), error_message: error.to_string() })
    }))
    .await
}
