//! Installs Python tools into virtual environments below `target/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::binaries::root;

/// Returns the folder of a virtual environment with the packages that the file `list` in `tests` names. Creates it again
/// when that file has changed.
///
/// # Panics
/// Python 3 is missing, or the packages cannot be installed.
pub fn environment(name: &str, list: &str) -> PathBuf {
    let requirements = root().join("tests").join(list);
    let folder = root().join("target").join(name);
    let stamp = folder.join("requirements.txt");
    fs::create_dir_all(root().join("target")).unwrap_or_else(|error| panic!("cannot create target: {error}"));
    let lock = root().join("target").join(format!("{name}.lock"));
    let lock = File::create(lock).unwrap_or_else(|error| panic!("cannot create the lock file: {error}"));
    lock.lock().unwrap_or_else(|error| panic!("cannot lock the environment: {error}"));
    if read(&stamp) != read(&requirements) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--no-compile", "--requirement"])
            .arg(&requirements));
        fs::copy(&requirements, &stamp).unwrap_or_else(|error| panic!("cannot copy the requirements: {error}"));
    }
    folder
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
