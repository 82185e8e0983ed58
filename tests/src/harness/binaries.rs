//! Builds the workspace's own binaries, as a user would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::harness::python::run;

/// Returns the workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Returns the path of the debug binary `name`, and builds the workspace's binaries first.
///
/// # Panics
/// The workspace does not build.
pub fn binary(name: &str) -> PathBuf {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let built = Command::new(env!("CARGO")).args(["build", "--workspace", "--bins"]).current_dir(root()).output();
        let built = built.unwrap_or_else(|error| panic!("cannot run cargo: {error}"));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
    });
    target.join("debug").join(name)
}

/// Returns a command that runs `ecs-trigger` in the workspace's folder, without access to AWS.
pub fn command() -> Command {
    let mut command = Command::new(binary("ecs-trigger"));
    command.current_dir(root()).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("NO_COLOR", "1");
    command
}

/// Copies the debug binary `name` without its symbols, which make up nine tenths of it.
///
/// # Panics
/// The binary cannot be copied.
pub fn stripped(name: &str, to: &Path) {
    copy(&small(name), to);
}

/// Returns the path of the debug binary `name` without its symbols.
pub(crate) fn small(name: &str) -> PathBuf {
    static SMALL: Made = Made::new(BTreeMap::new());
    once(&SMALL, name, || {
        let path = root().join("target/tmp").join("stripped").join(name);
        copy(&binary(name), &path);
        run(Command::new("strip").arg(&path));
        path
    })
}

/// The files that are made once for all stories, by name.
pub(crate) type Made = Mutex<BTreeMap<String, PathBuf>>;

/// Returns the path of the file of this name, and makes it if no story has asked for it yet.
pub(crate) fn once(made: &Made, name: &str, make: impl FnOnce() -> PathBuf) -> PathBuf {
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(name.to_owned()).or_insert_with(make).clone()
}

fn copy(from: &Path, to: &Path) {
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
}
