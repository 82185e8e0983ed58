//! The verbs that talk to an AWS account, in a build without them: each says what to build instead.

use clap::Args;

use crate::exit::Failed;

macro_rules! missing {
    ($($module:ident $verb:ident $help:literal,)*) => {$(
        pub(crate) mod $module {
            #[doc = $help]
            #[derive(Debug, clap::Args)]
            pub(crate) struct $verb {
                #[command(flatten)]
                rest: super::Rest,
            }

            impl $verb {
                pub(crate) fn run(self) -> Result<(), crate::exit::Failed> {
                    super::refuse(&self.rest, stringify!($module))
                }
            }
        }
    )*};
}

missing! {
    deploy Deploy "Create or update the stack (not in this build)",
    destroy Destroy "Delete the stack (not in this build)",
    diff Diff "Show what `deploy` would change (not in this build)",
    replay Replay "Run a route for objects or firings that it missed (not in this build)",
    rollback Rollback "Deploy what was deployed before (not in this build)",
    verify Verify "Check the account against the config (not in this build)",
}

/// Whatever the verb takes.
#[derive(Debug, Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    arguments: Vec<String>,
}

fn refuse(_: &Rest, verb: &str) -> Result<(), Failed> {
    let message = "needs the AWS verbs, which this build does not have; build it without `--no-default-features`";
    Err(Failed::Usage(format!("`ecs-trigger {verb}` {message}")))
}
