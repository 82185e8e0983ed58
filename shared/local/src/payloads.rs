//! The payloads port on a folder.

use std::fs;
use std::path::{Path, PathBuf};

use trigger_core::ecs::TaskRequest;
use trigger_core::environment;
use trigger_engine::ports::{PayloadError, Payloads};

/// The folder, below the project's, in which `dev` keeps its own files.
pub(crate) const STATE_FOLDER: &str = ".ecs-trigger";

/// A payloads port that stores events too large for a launch below the project's folder.
#[derive(Debug, Clone)]
pub struct FolderPayloads {
    /// The project's folder.
    pub project: PathBuf,
}

impl Payloads for FolderPayloads {
    async fn put(&self, uri: &str, event: &str) -> Result<(), PayloadError> {
        let path = path_of(&self.project, uri);
        let folder = path.parent().unwrap_or(&self.project);
        let put = fs::create_dir_all(folder).and_then(|()| fs::write(&path, event));
        put.map_err(|error| PayloadError(format!("{}: {error}", path.display())))
    }

    async fn get(&self, uri: &str) -> Result<String, PayloadError> {
        let path = path_of(&self.project, uri);
        fs::read_to_string(&path).map_err(|error| PayloadError(format!("{}: {error}", path.display())))
    }
}

/// Returns the path of the file that takes the place of an S3 object.
fn path_of(project: &Path, uri: &str) -> PathBuf {
    let key = uri.strip_prefix("s3://").and_then(|place| place.split_once('/')).map_or(uri, |(_, key)| key);
    project.join(STATE_FOLDER).join(key)
}

/// Returns the request with the event's URI replaced by that of its file on this machine.
pub(crate) fn with_local_event(mut request: TaskRequest, project: &Path) -> TaskRequest {
    let variables = request.overrides.container_overrides.iter_mut().flat_map(|container| &mut container.environment);
    for variable in variables.filter(|variable| variable.name == environment::EVENT_URI) {
        variable.value = format!("file://{}", path_of(project, &variable.value).display());
    }
    request
}
