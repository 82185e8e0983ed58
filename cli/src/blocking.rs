//! Runs asynchronous work from a verb.

use crate::exit::Failed;

/// Runs a future to its end on the current thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
