//! Every dependency has a permissive license, and is built once.

use std::collections::BTreeMap;
use std::process::Command;

use e2e::root;
use serde_json::Value;

/// The permissive licenses that dependencies may have. Security advisories are not checked, as their database needs a
/// network.
const ALLOWED: [&str; 16] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    // Fonts, which may be embedded.
    "OFL-1.1",
    "Ubuntu-font-1.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Returns whether every part of an `AND` has an alternative in an `OR` that is allowed.
fn is_allowed(licence: &str) -> bool {
    let any_of = |part: &str| {
        part.replace('/', " OR ").split(" OR ").any(|one| ALLOWED.contains(&one.trim_matches(['(', ')', ' '])))
    };
    licence.split(" AND ").all(any_of)
}

#[test]
fn every_dependency_has_a_permissive_licence() {
    let metadata =
        Command::new(env!("CARGO")).args(["metadata", "--format-version=1", "--locked"]).current_dir(root()).output();
    let metadata: Value = serde_json::from_slice(&metadata.expect("cargo runs").stdout).expect("is JSON");
    let packages = metadata["packages"].as_array().expect("is a list");
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !is_allowed(package["license"].as_str().unwrap_or_default()))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(packages.len() > 100, "the list of dependencies is read");
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn a_licence_outside_the_list_is_refused() {
    assert!(
        is_allowed("MIT OR GPL-3.0")
            && is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0")
            && is_allowed("Unlicense/MIT")
    );
    assert!(!is_allowed("AGPL-3.0") && !is_allowed("MIT AND GPL-3.0") && !is_allowed(""));
}

/// Returns each third-party package that a selection builds, with its features.
fn features(selection: &[&str]) -> BTreeMap<String, String> {
    let arguments = ["tree", "--locked", "--prefix", "none", "--format", "{p}|{f}"];
    let output =
        Command::new(env!("CARGO")).args(arguments).args(selection).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    let lines = text.lines().filter_map(|line| line.split_once('|')).filter(|(package, _)| !package.contains(" (/"));
    lines.map(|(package, features)| (package.to_owned(), features.trim_end_matches(" (*)").to_owned())).collect()
}

/// Otherwise a developer who goes from `cargo test --workspace` to `cargo run -p ecs-trigger` builds dependencies a second time.
#[test]
fn every_selection_builds_one_set_of_dependencies() {
    let all = features(&["--workspace", "--edges", "normal,build,dev"]);
    let packages = [
        "ecs-trigger",
        "event-trigger",
        "sqs-trigger",
        "queue-scaler",
        "worker-shim",
        "trigger-core",
        "trigger-local",
        "infra",
        "e2e",
    ];
    let mut selections = vec![vec!["--workspace", "--edges", "normal,build"]];
    selections.extend(packages.map(|package| vec!["--package", package, "--edges", "normal,build"]));
    selections.extend(packages.map(|package| vec!["--package", package, "--edges", "normal,build,dev"]));
    selections.push(vec!["--package", "ecs-trigger", "--no-default-features", "--edges", "normal,build"]);
    let mut missing = Vec::new();
    for selection in selections {
        for (package, features) in features(&selection) {
            match all.get(&package) {
                Some(unified) if *unified != features => {
                    missing.push(format!("{}: {package} has {features} instead of {unified}", selection.join(" ")));
                }
                _ => {}
            }
        }
    }
    assert!(missing.is_empty(), "add these features to shared/unified-features or unified-features-aws: {missing:#?}");
}
