//! The workspace's own binaries, as a user would build them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::python::run;

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The path of the debug binary `name`, built if need be.
///
/// # Panics
/// The workspace does not build.
pub fn binary(name: &str) -> PathBuf {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let built = Command::new(env!("CARGO")).args(["build", "--workspace", "--bins"]).current_dir(root()).output();
        let built = built.unwrap_or_else(|error| panic!("cargo cannot be run: {error}"));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
    });
    target.join("debug").join(name)
}

/// The command line `ecs-trigger`, run in the workspace's folder, with no way to AWS.
pub fn command() -> Command {
    let mut command = Command::new(binary("ecs-trigger"));
    command.current_dir(root()).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("NO_COLOR", "1");
    command
}

/// Copies the debug binary `name` without its symbols: it is a tenth of the size then.
///
/// # Panics
/// It cannot be copied.
pub fn stripped(name: &str, to: &Path) {
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    std::fs::copy(binary(name), to).unwrap_or_else(|error| panic!("{name} cannot be copied: {error}"));
    run(Command::new("strip").arg(to));
}
