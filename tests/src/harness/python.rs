//! Tools that Python's package index has, in virtual environments below `target/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::binaries::root;

/// A virtual environment with the packages of `tests/LIST.txt`, made once for each version of that list.
///
/// # Panics
/// Python 3 or the packages cannot be had.
pub fn environment(name: &str, list: &str) -> PathBuf {
    let requirements = root().join("tests").join(list);
    let folder = root().join("target").join(name);
    let stamp = folder.join("requirements.txt");
    fs::create_dir_all(root().join("target")).unwrap_or_else(|error| panic!("no target folder: {error}"));
    let lock = root().join("target").join(format!("{name}.lock"));
    let lock = File::create(lock).unwrap_or_else(|error| panic!("no lock: {error}"));
    lock.lock().unwrap_or_else(|error| panic!("no lock: {error}"));
    if read(&stamp) != read(&requirements) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--requirement"]).arg(&requirements));
        fs::copy(&requirements, &stamp).unwrap_or_else(|error| panic!("no stamp: {error}"));
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
