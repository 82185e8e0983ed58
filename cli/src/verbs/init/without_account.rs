//! The account in a build without the AWS verbs: there is none to look at.

use clap::Args;

use super::offers::{Described, Offers};
use super::prompt::Prompt;
use crate::exit::Failed;

/// Options about the account to look at: none.
#[derive(Debug, Args)]
pub(super) struct AccountFlags {}

/// An account that was looked at. There is none.
#[derive(Debug)]
pub(super) enum Looked {}

impl AccountFlags {
    pub(super) fn look(&self, _: Option<&mut Prompt<'_>>) -> Result<Option<Looked>, Failed> {
        Ok(None)
    }

    pub(super) fn task_definition(&self) -> Option<&str> {
        None
    }
}

impl Looked {
    pub(super) fn offers(&self) -> &Offers {
        match *self {}
    }

    pub(super) fn describe(&self, _: &str) -> Result<Described, Failed> {
        match *self {}
    }
}
