//! A deployed stack, with the config in force.

use infra::Owner;
use trigger_aws::config::ConfigSource;
use trigger_aws::{Aws, Places};
use trigger_core::event::identity::LaunchKey;
use trigger_core::history::{HistoryQuery, Launches, is_named};
use trigger_core::launch::LaunchRecord;
use trigger_core::routing::RoutingConfig;
use trigger_engine::ports::{LaunchStore, Ports};

use super::PlaceOptions;
use crate::account::Account;
use crate::config::load;
use crate::deployment::{Stack, existing};
use crate::diagnostics;
use crate::exit::Failed;

/// An id is looked for among so many of the latest launches.
const SEARCHED: usize = 1000;

/// A deployed stack.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub(crate) account: Account,
    pub(crate) stack: Stack,
    /// The config in force: the one that the functions read.
    pub(crate) config: RoutingConfig,
    /// The ports of the stack's functions, with the user's credentials.
    pub(crate) ports: Aws,
}

impl PlaceOptions {
    /// Opens the deployed stack of the config.
    pub(crate) async fn deployed(&self) -> Result<Deployed, Failed> {
        let config = load(&self.config, &self.environment, false)?;
        let name = config.stack.name();
        let account = self.account.connect(name).await?;
        let stack = existing(&account, name, &Owner::of_functions(&config)).await?.filter(|it| !it.is_leftover());
        let stack = stack.ok_or_else(|| {
            let local = "pass --local to ask for what `ecs-trigger dev` runs on this machine";
            Failed::Usage(format!("the stack {name} is not deployed; run `ecs-trigger deploy` first, or {local}"))
        })?;
        let config = in_force(&account, &stack).await?;
        let places = Places {
            table: stack.outputs.get(infra::TABLE_OUTPUT).cloned(),
            work_queue: stack.queues.get(infra::WORK_QUEUES[0]).cloned(),
            dead_letter_queue: stack.outputs.get(infra::DEAD_LETTERS_OUTPUT).cloned(),
        };
        let ports = Aws::at(&account.sdk_config, places);
        Ok(Deployed { account, stack, config, ports })
    }
}

/// Reads the config that the functions of a stack read.
async fn in_force(account: &Account, stack: &Stack) -> Result<RoutingConfig, Failed> {
    let unknown = || Failed::Aws(format!("the stack {} does not say where its config is; deploy it again", stack.name));
    let bucket = stack.parameters.get(infra::BUCKET_PARAMETER).cloned().ok_or_else(unknown)?;
    let key = infra::config_key(&stack.name, infra::CONFIG_FILE);
    let version = ConfigSource::S3 { bucket, key }.read(&account.s3, None).await;
    let version = version.map_err(|error| Failed::Aws(error.to_string()))?.ok_or_else(unknown)?;
    version.parse_with(&|name| stack.variable(name)).map_err(|error| Failed::Aws(error.to_string()))
}

impl Deployed {
    /// Returns the launch store.
    pub(crate) fn store(&self) -> Result<&impl LaunchStore, Failed> {
        let store = self.config.ledger().and_then(|_| self.ports.store());
        store.ok_or_else(|| {
            Failed::Usage(
                "the deployed config has no `storage`, so its launches are not recorded; add \
                 `storage: { bucket: NAME }` and deploy"
                    .to_owned(),
            )
        })
    }

    pub(crate) async fn history(&self, query: &HistoryQuery, limit: usize) -> Result<Vec<LaunchRecord>, Failed> {
        let store = self.store()?;
        let (mut launches, mut after) = (Vec::new(), None);
        loop {
            let page = store.history(query, after).await.map_err(|error| Failed::Aws(error.to_string()))?;
            for (launch, reason) in page.unreadable {
                diagnostics::warning(&format!("cannot read the record of the launch {launch}: {reason}"));
            }
            launches.extend(page.launches.into_iter().map(|stored| stored.record));
            after = page.next;
            if after.is_none() || launches.len() >= limit {
                launches.truncate(limit);
                return Ok(launches);
            }
        }
    }

    pub(super) async fn find(&self, named: &str) -> Result<LaunchRecord, Failed> {
        if let Some(key) = LaunchKey::parse(named) {
            let read = self.store()?.read(std::slice::from_ref(&key)).await;
            let read = read.map_err(|error| Failed::Aws(error.to_string()))?.pop().flatten();
            return read.map(|stored| stored.record).ok_or_else(|| Failed::Usage(format!("there is no launch {key}")));
        }
        let mut found = self.history(&HistoryQuery::new(Launches::All), SEARCHED).await?;
        found.retain(|record| is_named(record, named));
        match found.as_slice() {
            [_] => Ok(found.remove(0)),
            [] => Err(Failed::Usage(format!(
                "none of the latest {SEARCHED} launches has an id that begins with `{named}`; name an older one as \
                 ROUTE/DATE/ID"
            ))),
            [first, ..] => Err(Failed::Usage(format!(
                "{} launches have an id that begins with `{named}`, such as {}; write more of it",
                found.len(),
                first.key
            ))),
        }
    }
}
