//! Every CloudFormation template passes CloudFormation's linter, AWS's offline validator and a security scan.

#[path = "../../infra/src/compare/steps/matrix.rs"]
mod matrix;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use e2e::{command, environment, root};
use infra::{
    ARCHITECTURE_PARAMETER, Action, BUCKET_PARAMETER, Body, Change, Detail, Parameters, Step, Template, functions,
    stack, steps,
};
use serde_json::Value;

use matrix::Member;

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

/// Fails unless CloudFormation's linter finds nothing in the templates.
fn lint(files: &[PathBuf]) {
    let linter = environment("linters", "linters.txt").join("bin/cfn-lint");
    let lint = Command::new(linter).args(files).output().expect("runs");
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
}

/// Fails unless AWS's offline validator has at most remarks about the templates. Returns the types with the properties of
/// which it says that CloudFormation replaces a resource when they change.
fn validate(files: &[PathBuf]) -> Vec<(String, String)> {
    let python = environment("linters", "linters.txt").join("bin/python");
    let validator = Command::new(python).arg(root().join("tests/validate.py")).args(files).output().expect("runs");
    assert!(validator.status.success(), "{}", String::from_utf8_lossy(&validator.stderr));
    let found: Value = serde_json::from_slice(&validator.stdout).expect("is JSON");
    assert_eq!(found["problems"].as_array().map(Vec::as_slice), Some(&[][..]), "{:#}", found["problems"]);
    serde_json::from_value(found["create_only"].clone()).expect("is a list of pairs")
}

/// A file's name has at most so many characters of the configs' names.
const NAME_CHARACTERS_MAX: usize = 200;

/// A template that a deployment sends.
struct Sent {
    file: PathBuf,
    /// Whether it is a config's own, or is sent when one part is added to a config or removed from it.
    is_of_one_part: bool,
}

/// Writes each template once that deployments between any two configs of the matrix send. Each file is named for the
/// configs between which its template is sent first.
fn sent(folder: &Path) -> Vec<Sent> {
    let matrix = matrix::matrix();
    let fresh = matrix.iter().map(|member| (member.body.template.to_string(), member.name(), true));
    let half = |first: usize| {
        let mut found = Vec::new();
        for before in matrix.iter().skip(first).step_by(2) {
            for after in &matrix {
                let known = [&before.body, &after.body];
                let steps = matrix::forth_and_back(&before.body, &after.body);
                for body in steps.iter().filter_map(Step::body).filter(|body| !known.contains(body)) {
                    let name = format!("{} to {}", before.name(), after.name());
                    found.push((body.template.to_string(), name, differ_by_one_part(before, after)));
                }
            }
        }
        found
    };
    let between = thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        [half(0), other.join().expect("steps are planned")].concat()
    });
    let mut templates: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for (template, name, is_of_one_part) in fresh.chain(between) {
        templates.entry(template).or_insert((name, false)).1 |= is_of_one_part;
    }
    let write = |(position, (template, (name, is_of_one_part))): (usize, (String, (String, bool)))| {
        let name: String = name.chars().take(NAME_CHARACTERS_MAX).collect();
        let file = folder.join(format!("{position} {name}.json"));
        fs::write(&file, template).expect("is written");
        Sent { file, is_of_one_part }
    };
    templates.into_iter().enumerate().map(write).collect()
}

fn differ_by_one_part(one: &Member, other: &Member) -> bool {
    let lacks = |of: &Member, other: &Member| of.parts.iter().filter(|part| !other.parts.contains(part)).count();
    lacks(one, other) + lacks(other, one) == 1
}

#[test]
fn every_template_passes_cloudformations_linter_and_validator() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [synthesised(folder.path()), platform()].concat();
    lint(&files);
    validate(&files);
}

/// The linter takes much longer than the validator, so it sees only what is sent around a change of one part.
#[test]
fn every_template_between_any_two_configs_passes_the_validator_and_those_around_one_part_the_linter() {
    let folder = tempfile::tempdir().expect("a folder");
    let sent = sent(folder.path());
    // Templates beside each other are of about the same size, so both halves take the same time.
    let half = |first: usize| {
        let sent: Vec<&Sent> = sent.iter().skip(first).step_by(2).collect();
        let of_one_part = sent.iter().filter(|sent| sent.is_of_one_part).map(|sent| sent.file.clone());
        lint(&of_one_part.collect::<Vec<_>>());
        validate(&sent.iter().map(|sent| sent.file.clone()).collect::<Vec<_>>())
    };
    let create_only = thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let one = half(0);
        [one, other.join().expect("both judges accept the templates")].concat()
    });
    for (kind, path) in create_only {
        let detail = Detail { path: path.clone(), before: None, after: None };
        let change = Change { id: String::new(), kind, action: Action::Modify, details: vec![detail] };
        assert!(change.replaces(), "a change of {path} replaces an {}", change.kind);
    }
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
