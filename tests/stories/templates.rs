//! Every CloudFormation template passes CloudFormation's linter and a security scan.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{command, environment, root};

/// Returns the folders of `examples/`.
fn examples() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root().join("examples"))
        .expect("is there")
        .map(|entry| entry.expect("can be read").path())
        .collect();
    folders.sort();
    folders
}

/// Returns the platform's templates, which are written by hand.
fn platform() -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("infra/platform")).expect("is there");
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

/// Writes the templates of all examples and of their buckets to files, and returns the paths.
fn synthesised(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for example in examples() {
        let name = example.file_name().expect("has a name").to_string_lossy().into_owned();
        for (suffix, options) in [("stack", &[][..]), ("storage", &["--storage"][..])] {
            let synth = command().arg("synth").arg(&example).args(options).output().expect("runs");
            assert!(synth.status.success(), "{}", String::from_utf8_lossy(&synth.stderr));
            let file = folder.join(format!("{name}-{suffix}.yaml"));
            fs::write(&file, synth.stdout).expect("is written");
            files.push(file);
        }
    }
    assert!(files.len() >= 10, "the examples are found");
    files
}

#[test]
fn every_template_passes_cloudformations_linter() {
    let folder = tempfile::tempdir().expect("a folder");
    let linter = environment("linters", "linters.txt").join("bin/cfn-lint");
    let files = [synthesised(folder.path()), platform()].concat();
    let lint = Command::new(linter).args(&files).output().expect("runs");
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
}

#[test]
fn every_template_passes_a_security_scan() {
    let folder = tempfile::tempdir().expect("a folder");
    let scanner = environment("linters", "linters.txt").join("bin/checkov");
    let mut scan = Command::new(scanner);
    scan.args(["--framework", "cloudformation", "--compact", "--quiet", "--skip-download"]);
    scan.arg("--config-file").arg(root().join("infra/checkov.yaml"));
    for file in [synthesised(folder.path()), platform()].concat() {
        scan.arg("--file").arg(file);
    }
    let scan = scan.env("HTTPS_PROXY", "http://127.0.0.1:9").output().expect("runs");
    assert!(scan.status.success(), "{}", String::from_utf8_lossy(&scan.stdout));
}
