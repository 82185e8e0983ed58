//! The AWS account that a verb works on.

use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;
use trigger_aws::clients;

use crate::exit::Failed;
use crate::output::{message, printable};
use crate::signed::Signer;

/// AWS has this long to say who calls it, retries included.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(20);

/// Options that select the account, the Region and the endpoint.
#[derive(Debug, Args)]
#[command(next_help_heading = "AWS")]
pub(crate) struct AccountOptions {
    /// Call this endpoint, for example an emulator, instead of AWS; `deploy` gives it to the functions as
    /// AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    pub(crate) endpoint_url: Option<String>,
    /// Profile in ~/.aws/config to take credentials and Region from.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// AWS Region; overrides the profile and the environment.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

/// The SDK clients of one account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) cloudformation: aws_sdk_cloudformation::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) ecr: aws_sdk_ecr::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) signer: Signer,
    pub(crate) identity: Identity,
    pub(crate) sdk_config: SdkConfig,
}

/// Who calls AWS, and where.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The account's number.
    pub(crate) account: String,
    /// The ARN of the user or role.
    pub(crate) arn: String,
    /// The Region.
    pub(crate) region: String,
    /// The profile that the user named.
    profile: Option<String>,
    endpoint_url: Option<String>,
}

impl Identity {
    /// Prints on standard error who works on which stack, and where.
    fn show(&self, stack: &str) {
        let optional = |what: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!(", {what} {value}")).unwrap_or_default()
        };
        let place = format!(
            "account {}, Region {}{}{}, stack {stack}, as {}",
            self.account,
            self.region,
            optional("profile", &self.profile),
            optional("endpoint", &self.endpoint_url),
            self.arn
        );
        message!("{}", printable(&place));
    }

    /// Returns the partition: `aws`, or another one in China and for governments.
    pub(crate) fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }

    /// Returns the identity as JSON.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "account": self.account, "arn": self.arn, "region": self.region, "profile": self.profile })
    }
}

impl AccountOptions {
    /// Loads the SDK's configuration, creates the clients, and tells the user who and where he is before anything else.
    /// Fails if no Region is configured, or if AWS does not say whose account it is.
    pub(crate) async fn connect(&self, stack: &str) -> Result<Account, Failed> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(60))
            .build();
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).http_client(clients::https()).timeout_config(timeouts);
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(profile) = &self.profile {
            // Without this, the SDK would prefer credentials from the environment to those of the named profile.
            let credentials = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
            let region = ProfileFileRegionProvider::builder().profile_name(profile).build();
            loader = loader.profile_name(profile).credentials_provider(credentials).region(region);
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let sdk_config = loader.load().await;
        let Some(region) = sdk_config.region().map(ToString::to_string) else {
            return Err(Failed::Usage(
                "no AWS Region is configured; pass --region REGION or set AWS_REGION".to_owned(),
            ));
        };
        let identity = self.identity(&sdk_config, region).await?;
        identity.show(stack);
        Ok(Account {
            cloudformation: aws_sdk_cloudformation::Client::new(&sdk_config),
            dynamodb: clients::dynamodb(&sdk_config),
            ecr: aws_sdk_ecr::Client::new(&sdk_config),
            ecs: clients::ecs(&sdk_config),
            iam: aws_sdk_iam::Client::new(&sdk_config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&sdk_config),
            s3: clients::s3(&sdk_config),
            sqs: clients::sqs(&sdk_config),
            signer: Signer::new(sdk_config.clone()),
            identity,
            sdk_config,
        })
    }

    /// Asks AWS who calls it.
    async fn identity(&self, sdk_config: &SdkConfig, region: String) -> Result<Identity, Failed> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_timeout(IDENTITY_TIMEOUT)
            .build();
        let config = aws_sdk_sts::config::Builder::from(sdk_config).timeout_config(timeouts).build();
        let asked = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
        let endpoint_url = self.endpoint_url.clone();
        let place = endpoint_url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default();
        let known = asked.map_err(|error| {
            Failed::Aws(format!(
                "AWS in the Region {region}{place} does not say whose account it is: {}; check the credentials, the \
                 profile, the Region and the network",
                clients::causes(&error)
            ))
        })?;
        Ok(Identity {
            account: known.account().unwrap_or_default().to_owned(),
            arn: known.arn().unwrap_or_default().to_owned(),
            region,
            profile: self.profile.clone(),
            endpoint_url,
        })
    }
}

/// Returns the failure of an AWS call: `what` failed, and AWS's answer or why AWS could not be reached.
pub(crate) fn refused(what: &str, error: &dyn std::error::Error) -> Failed {
    Failed::Aws(format!("{what}: {}", clients::causes(error)))
}
