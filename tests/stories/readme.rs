//! The README cannot rot: its commands run, its configs are valid, its outputs are what is printed.

#![expect(clippy::expect_used, reason = "a story that cannot go on has failed")]

use std::fs;
use std::process::Command;

use e2e::{binary, root};
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

/// The command that runs this very test.
const TESTS: &str = "cargo test --workspace";

/// A fenced block: its language and its text.
fn blocks() -> Vec<(String, String)> {
    let readme = fs::read_to_string(root().join("README.md")).expect("is there");
    let fenced = readme.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.split_once('\n'))
        .map(|(language, text)| (language.to_owned(), text.to_owned()))
        .collect()
}

#[test]
fn every_command_runs_and_prints_what_the_readme_says() {
    let bin = binary("ecs-trigger").parent().expect("lies in a folder").display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").expect("is set"));
    let blocks = blocks();
    let mut ran = 0;
    for (index, (language, script)) in blocks.iter().enumerate() {
        if language != "sh" || script.trim() == TESTS {
            continue;
        }
        let output = Command::new("bash")
            .args(["-e", "-c", script])
            .current_dir(root())
            .env("PATH", &path)
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            .env("NO_COLOR", "1")
            .output()
            .expect("bash runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{script}\n{said}");
        if let Some((_, expected)) = blocks.get(index + 1).filter(|(language, _)| language == "text") {
            assert_eq!(said.trim_end(), expected.trim_end(), "{script}");
        }
        ran += 1;
    }
    assert!(ran >= 3, "the README's commands are found");
    assert!(blocks.iter().any(|(_, script)| script.trim() == TESTS), "the README says how to test");
}

#[test]
fn every_config_is_valid() {
    let configs: Vec<_> = blocks().into_iter().filter(|(language, _)| language == "yaml").collect();
    assert!(configs.len() >= 3, "the README's configs are found");
    for (_, config) in configs {
        let source = Source::new("README.md", config.clone());
        if let Err(problems) = RoutingConfig::parse(source.clone()) {
            let problems: Vec<String> = problems.iter().map(|problem| problem.line(&source)).collect();
            panic!("{problems:#?}\n{config}");
        }
    }
}

#[test]
fn the_schedules_input_is_the_one_that_is_deployed() {
    let json = blocks().into_iter().find(|(language, _)| language == "json").expect("is shown");
    assert_eq!(json.1.trim(), trigger_core::event::SCHEDULER_INPUT);
}

#[test]
fn every_config_with_tests_passes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let with_tests = blocks().into_iter().filter(|(language, text)| language == "yaml" && text.contains("\ntests:"));
    let mut ran = 0;
    for (_, config) in with_tests {
        fs::write(folder.path().join("ecs-trigger.yaml"), &config).expect("is written");
        let tested = e2e::command().arg("test").arg(folder.path()).output().expect("runs");
        assert!(tested.status.success(), "{config}\n{}", String::from_utf8_lossy(&tested.stdout));
        ran += 1;
    }
    assert!(ran > 0, "the README's tests are found");
}
