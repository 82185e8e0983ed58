//! Every library we ship is free to use, and none reaches the network through a system library we would have to install.

use std::process::Command;

use e2e::root;
use serde_json::Value;

/// Permissive licences. (Advisories would need a database that cannot be had without a network.)
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
    // Fonts, which may be embedded and drawn with.
    "OFL-1.1",
    "Ubuntu-font-1.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether one side of every `AND` is allowed by one side of an `OR`.
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
