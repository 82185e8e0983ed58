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

/// Writes a config with every setting that an account may demand. Returns its folder.
fn demanding(folder: &Path) -> PathBuf {
    let config = folder.join("demanding");
    fs::create_dir_all(&config).expect("is made");
    fs::write(config.join("ecs-trigger.yaml"), DEMANDING).expect("is written");
    config
}

const DEMANDING: &str = r#"
version: 1
storage: { bucket: team-state }
tasks: { t: { task_definition: t, overrides: { container_overrides: [{ name: app }] } } }
routes:
  - { name: events, on: { s3: { bucket: uploads } }, run: t, concurrency: { max: 2 } }
  - { name: hourly, on: { schedule: rate(1 hour) }, run: t }
  - { name: jobs, on: { queue: jobs, s3: { bucket: uploads } }, run: t }
  - { name: theirs, on: { queue: theirs }, run: t }
workers: [{ run: t, queue: work, scaling: { max: 3, acceptable_latency: 1m, msg_processing_time: 1s } }]
stack:
  name: images
  tags: { team: images, cost-center: 4711 }
  permissions_boundary: team/boundary
  role_path: /team/
  name_prefix: team-
  log_class: INFREQUENT_ACCESS
  vpc: { subnets: [subnet-0a1b2c3d], security_groups: [sg-0a1b2c3d] }
  kms_key: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  queues: { jobs: { queue: create }, work: { queue: create } }
"#;

/// Writes the templates of all examples and of their buckets to files, and returns the paths.
fn synthesised(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for example in examples().into_iter().chain([demanding(folder)]) {
        let name = example.file_name().expect("has a name").to_string_lossy().into_owned();
        for (suffix, options) in [("stack", &[][..]), ("storage", &["--storage"][..])] {
            let synth = command().arg("synth").arg(&example).args(options).output().expect("runs");
            assert!(synth.status.success(), "{}", String::from_utf8_lossy(&synth.stderr));
            let file = folder.join(format!("{name}-{suffix}.yaml"));
            fs::write(&file, synth.stdout).expect("is written");
            files.push(file);
        }
    }
    assert!(files.len() >= 12, "the examples are found");
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
