//! From nothing to a config that runs: `init`, events by name, `emit`, `send --lines`, help and completion, as a user
//! sees them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use e2e::{Emulator, binary, command};
use tempfile::TempDir;

use crate::docs::{groups, verbs};

/// Runs `ecs-trigger` in a folder with this standard input. Returns the exit code and what it printed.
fn run(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    finish(command().args(arguments).current_dir(folder), input)
}

fn finish(command: &mut Command, input: &str) -> (Option<i32>, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("starts");
    // A verb that does not read its input may have ended already.
    let _ = child.stdin.take().expect("is piped").write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().expect("ends");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Asserts that the config in a folder is valid without a warning and passes its tests. Returns its text.
fn checked(folder: &Path) -> String {
    let (code, said) = run(folder, &["validate"], "");
    assert!(code == Some(0) && !said.contains("warning"), "{said}");
    let (code, said) = run(folder, &["test"], "");
    assert_eq!(code, Some(0), "{said}");
    fs::read_to_string(folder.join("ecs-trigger.yaml")).expect("is written")
}

#[test]
fn without_a_terminal_init_writes_an_example_and_never_overwrites_a_config() {
    let folder = folder();
    let (code, said) = run(folder.path(), &["init", "new/project"], "");
    assert_eq!(code, Some(0), "{said}");
    let wrote = "wrote new/project/ecs-trigger.yaml, and ecs-trigger.schema.json for editors\n\
                 change what is marked CHANGE: the task definition, the container, the subnets, what starts the tasks\n\
                 next: ecs-trigger test new/project, ecs-trigger dev new/project, ecs-trigger deploy new/project\n";
    assert_eq!(said, wrote);
    let project = folder.path().join("new/project");
    let example = checked(&project);
    assert!(example.starts_with("# yaml-language-server: $schema=ecs-trigger.schema.json\n"), "{example}");
    let schema = fs::read_to_string(project.join("ecs-trigger.schema.json")).expect("is written");
    assert_eq!(schema, run(&project, &["schema"], "").1);

    let (code, said) = run(&project, &["init", "--queue", "jobs"], "");
    assert!(code == Some(8) && said.contains("ecs-trigger.yaml exists; pass --force to overwrite it"), "{said}");
    assert_eq!(checked(&project), example);
    let (code, said) = run(&project, &["init", "--queue", "jobs", "--force"], "");
    assert_eq!(code, Some(0), "{said}");
    assert!(checked(&project).contains("queue: jobs"));
}

#[test]
fn answers_that_make_no_valid_config_are_shown_where_they_are_and_nothing_is_written() {
    let folder = folder();
    let (code, said) = run(folder.path(), &["init", "--schedule", "rate(0 minutes)"], "");
    assert!(code == Some(2) && said.contains("the answers make no valid config: nothing is written"), "{said}");
    assert!(said.contains("schedule: rate(0 minutes)"), "{said}");
    let (code, said) = run(folder.path(), &["init", "--queue", "jobs", "--command", "run {{ kye }}"], "");
    assert!(code == Some(2) && said.contains("kye"), "{said}");
    let (code, said) = run(folder.path(), &["init", "--workers", "a", "--queue", "b"], "");
    assert!(code == Some(2) && said.contains("cannot be used with"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).expect("is there").count(), 0);
}

#[test]
fn an_object_is_planned_and_explained_by_its_name_and_the_new_config_runs_it() {
    let folder = folder();
    let init = [
        "init",
        "--s3",
        "uploads/in/",
        "--task-definition",
        "convert",
        "--container",
        "app",
        "--subnets",
        "subnet-1",
        "--command",
        "convert 's3://{{ bucket }}/{{ key }}' '{{ size }}'",
    ];
    let (code, said) = run(folder.path(), &init, "");
    assert!(code == Some(0) && !said.contains("CHANGE"), "{said}");
    checked(folder.path());

    let (code, said) =
        run(folder.path(), &["plan", "--object", "s3://uploads/in/a b.csv", "--size", "71", "--json"], "");
    assert!(code == Some(0) && said.contains("s3://uploads/in/a b.csv") && said.contains("\"71\""), "{said}");
    let at = ["--at", "2026-01-31T03:00:00Z"];
    let plan = [&["plan", "--object", "s3://uploads/in/a.csv", "--json"][..], &at].concat();
    assert_eq!(run(folder.path(), &plan, ""), run(folder.path(), &plan, ""), "the same time makes the same event");
    let (code, said) = run(folder.path(), &["explain", "--object", "s3://uploads/out/a.csv"], "");
    assert!(code == Some(0) && said.contains("miss detail.object.key is \"out/a.csv\""), "{said}");
    let copied = ["explain", "--object", "s3://uploads/in/a", "--reason", "CopyObject"];
    assert!(run(folder.path(), &copied, "").1.contains("the route upload matches"));
    for (arguments, message) in [
        (&["plan", "--object", "uploads/in/a.csv"][..], "write s3://BUCKET/KEY"),
        (&["plan", "event.json", "--object", "s3://uploads/in/a.csv"], "cannot be used with"),
        (&["plan", "event.json", "--size", "7"], "cannot be used with"),
    ] {
        let (code, said) = run(folder.path(), arguments, "");
        assert!(code == Some(2) && said.contains(message), "{said}");
    }

    let file = folder.path().join("buckets/uploads/in/a.csv");
    fs::create_dir_all(file.parent().expect("has a folder")).expect("is made");
    fs::write(&file, "1,2\n").expect("is written");
    let (code, said) = run(folder.path(), &["dev", "--once"], "");
    assert!(code == Some(0) && said.contains("convert s3://uploads/in/a.csv 4"), "{said}");
}

#[test]
fn each_line_of_a_file_is_a_message() {
    let folder = folder();
    let init = ["init", "--queue", "jobs", "--task-definition", "t", "--container", "app", "--launch-type", "ec2"];
    let echo = ["--command", "took {{ body.id }}"];
    let (code, said) = run(folder.path(), &[&init[..], &echo].concat(), "");
    assert_eq!(code, Some(0), "{said}");
    fs::write(folder.path().join("jobs.jsonl"), "{\"id\":1}\n\n{\"id\":2}\r\n{\"id\":3}").expect("is written");
    let (code, ids) = run(folder.path(), &["send", "jobs", "--lines", "jobs.jsonl"], "");
    assert!(code == Some(0) && ids.lines().count() == 3, "{ids}");
    let (code, id) = run(folder.path(), &["send", "jobs", "--lines", "-", "--json"], "{\"id\":4}\n");
    assert!(code == Some(0) && id.contains("message_id"), "{id}");
    let (code, said) = run(folder.path(), &["send", "jobs", "body", "--lines", "jobs.jsonl"], "");
    assert!(code == Some(2) && said.contains("cannot be used with"), "{said}");
    let (code, said) = run(folder.path(), &["dev", "--once"], "");
    assert_eq!(code, Some(0), "{said}");
    for id in 1..=4 {
        assert!(said.contains(&format!("took {id}")), "{said}");
    }
}

#[test]
fn an_emitted_event_starts_the_tasks_of_event_patterns() {
    let folder = folder();
    let config = "\
version: 1
tasks:
  t: { task_definition: t, overrides: { container_overrides: [{ name: app, command: [\"order {{ detail.id }}\"] }] } }
routes:
  - { name: orders, on: { event_pattern: { source: [shop], detail-type: [Order placed] } }, run: t }
local: { task_definitions: { t: { container_definitions: { app: { entry_point: [echo] } } } } }
";
    fs::write(folder.path().join("ecs-trigger.yaml"), config).expect("is written");
    let order = |id: u32| format!(r#"{{"source":"shop","detail-type":"Order placed","detail":{{"id":{id}}}}}"#);
    let (code, said) = run(folder.path(), &["emit", "-"], &order(7));
    assert!(code == Some(0) && said.trim().len() == 36, "{said}");
    fs::write(folder.path().join("event.json"), order(8)).expect("is written");
    let (code, said) = run(folder.path(), &["emit", "event.json", "--json"], "");
    assert!(code == Some(0) && said.starts_with("{\"event_id\":\""), "{said}");
    run(folder.path(), &["emit", "-"], r#"{"source":"shop","detail-type":"Order cancelled","detail":{}}"#);
    let (code, said) = run(folder.path(), &["dev", "--once"], "");
    assert!(code == Some(0) && said.contains("order 7") && said.contains("order 8"), "{said}");
    assert!(said.contains("no route matches"), "{said}");
    let (_, said) = run(folder.path(), &["dev", "--once"], "");
    assert!(!said.contains("order 7"), "an event is taken once: {said}");

    for (input, code, message) in
        [("{", 4, "not JSON"), ("{}", 4, "source"), (r#"{"source":"shop","detail":{}}"#, 4, "detail-type")]
    {
        let (found, said) = run(folder.path(), &["emit", "-"], input);
        assert!(found == Some(code) && said.contains(message), "{said}");
    }
    fs::write(
        folder.path().join("ecs-trigger.yaml"),
        config.replace("event_pattern: {", "queue: jobs, event_pattern: {"),
    )
    .expect("is written");
    let (code, said) = run(folder.path(), &["emit", "event.json"], "");
    assert!(code == Some(2) && said.contains("no route takes events of EventBridge"), "{said}");
}

#[test]
fn a_verb_that_finds_no_config_says_how_to_get_one() {
    let folder = folder();
    let event = folder.path().join("event.json");
    fs::write(&event, "{}").expect("is written");
    for arguments in [
        &["validate"][..],
        &["test"],
        &["plan", "event.json"],
        &["explain", "event.json"],
        &["schedule", "next"],
        &["scaling", "decide"],
        &["simulate", "--worker", "w"],
        &["dev"],
        &["send", "jobs", "x"],
        &["emit", "event.json"],
        &["synth"],
        &["diff"],
        &["deploy"],
        &["rollback"],
        &["verify"],
        &["destroy"],
    ] {
        let (code, said) = run(folder.path(), arguments, "");
        let message = "no config here: write one with `ecs-trigger init`, or name its folder";
        assert!(code == Some(6) && said.contains(message), "{arguments:?}: {said}");
    }
    let (code, said) = run(folder.path(), &["validate", "else/where.yaml"], "");
    let message = "no config at else/where.yaml: write one with `ecs-trigger init else`, or name another folder";
    assert!(code == Some(6) && said.contains(message), "{said}");
}

/// Returns the help of a command at this width.
fn help(arguments: &[&str], width: &str) -> String {
    let output = command().args(arguments).arg("--help").env("COLUMNS", width).output().expect("runs");
    String::from_utf8(output.stdout).expect("is UTF-8")
}

#[test]
fn help_texts_fit_their_width_and_their_examples_stay_whole() {
    let examples = |text: &str| text.split_once("\nExamples:\n").map(|(_, examples)| examples.to_owned());
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    commands.extend(verbs().into_iter().map(|verb| vec![verb]));
    let nested = ["pattern match", "pattern check", "schedule next", "scaling decide", "import copilot"];
    commands.extend(nested.map(|verb| verb.split(' ').map(str::to_owned).collect()));
    for command in commands {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let wide = help(&arguments, "400");
        for width in ["80", "100"] {
            let text = help(&arguments, width);
            let limit: usize = width.parse().expect("is a number");
            let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > limit).collect();
            assert!(long.is_empty(), "{arguments:?} at {width}: {long:#?}");
            assert_eq!(examples(&text), examples(&wide), "{arguments:?} at {width}");
        }
    }
    let first = groups();
    let headings: Vec<&str> = first.iter().map(|(heading, _)| heading.as_str()).collect();
    assert_eq!(headings.first(), Some(&"Write a config"), "{headings:?}");
    assert_eq!(headings.last(), Some(&"Others"), "{headings:?}");
    let without_terminal = Command::new(binary("ecs-trigger")).arg("--help").env_remove("COLUMNS").output();
    let text = String::from_utf8(without_terminal.expect("runs").stdout).expect("is UTF-8");
    assert_eq!(text, help(&[], "100"), "without a terminal, a help text is 100 columns wide");
}

#[test]
fn shells_complete_the_names_of_the_config() {
    let folder = folder();
    let config = "\
version: 1
tasks: { t: { task_definition: t, overrides: { container_overrides: [{ name: app }] } } }
routes:
  - { name: nightly, on: { schedule: rate(1 hour) }, run: t }
  - { name: jobs-route, on: { queue: jobs }, run: t }
workers: [{ run: t, name: resizers, queue: images, scaling: { max: 2, acceptable_latency: 5m } }]
";
    fs::write(folder.path().join("other.yaml"), config).expect("is written");
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let output = command()
            .current_dir(folder.path())
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
            .env("_CLAP_IFS", " ")
            .arg("--")
            .args(words)
            .output()
            .expect("runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
        String::from_utf8(output.stdout).expect("is UTF-8")
    };
    assert_eq!(complete("ecs-trigger val"), "validate");
    for (line, names) in [
        ("ecs-trigger plan --config other.yaml --schedule ", "nightly"),
        ("ecs-trigger explain --config other.yaml --route j", "jobs-route"),
        ("ecs-trigger schedule next --config other.yaml n", "nightly"),
        ("ecs-trigger send --config other.yaml j", "jobs"),
        ("ecs-trigger send --config other.yaml i", "images"),
        ("ecs-trigger simulate --config other.yaml --worker ", "resizers"),
        ("ecs-trigger scaling decide --config other.yaml --worker ", "resizers"),
        ("ecs-trigger plan --schedule ", ""),
    ] {
        assert_eq!(complete(line), names, "{line}");
    }
    // The script asks bash's own way.
    let script = run(folder.path(), &["completions", "bash"], "").1;
    let file = folder.path().join("completion.bash");
    fs::write(&file, script).expect("is written");
    let asked = format!(
        "source '{}'; COMP_WORDS=(ecs-trigger explain --config other.yaml --route n); COMP_CWORD=5; COMP_TYPE=9; \
         _clap_complete_ecs_trigger ecs-trigger n --route; echo \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    let path = binary("ecs-trigger").parent().expect("is in a folder").display().to_string();
    let path = format!("{path}:{}", std::env::var("PATH").expect("is set"));
    let (code, said) =
        finish(Command::new("bash").args(["-c", &asked]).env("PATH", path).current_dir(folder.path()), "");
    assert_eq!((code, said.trim()), (Some(0), "nightly"));
}

/// Runs `ecs-trigger` at a terminal, at which a user types these lines. Returns what the terminal shows.
fn at_a_terminal(emulator: &Emulator, folder: &Path, arguments: &[&str], typed: &str) -> String {
    const SPAWN: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let of_account = emulator.command();
    let mut command = Command::new("python3");
    for (name, value) in of_account.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["-c", SPAWN]).arg(of_account.get_program()).args(arguments).current_dir(folder);
    let (code, said) = finish(&mut command, typed);
    assert_eq!(code, Some(0), "{said}");
    said.replace('\r', "")
}

#[test]
fn a_user_chooses_from_what_the_account_has() {
    let emulator = Emulator::start();
    for cluster in ["batch", "web"] {
        emulator.aws(&["ecs", "create-cluster", "--cluster-name", cluster]);
    }
    emulator.aws(&["s3api", "create-bucket", "--bucket", "uploads"]);
    emulator.aws(&["sqs", "create-queue", "--queue-name", "jobs"]);
    let containers = r#"[{"name":"log","image":"i","essential":false},{"name":"main","image":"i","essential":true}]"#;
    let register = ["ecs", "register-task-definition", "--family", "convert", "--container-definitions", containers];
    let fargate =
        ["--requires-compatibilities", "FARGATE", "--network-mode", "awsvpc", "--cpu", "256", "--memory", "512"];
    emulator.aws(&[&register[..], &fargate].concat());

    let folder = folder();
    let typed = "1\ny\n1\nin/\n\n1\nbatch\n1\n\n\n\n";
    let said = at_a_terminal(&emulator, folder.path(), &["init"], typed);
    for shown in ["  1) uploads\n", "  1) convert\n", "  1) main\n   2) log\n", "  1) batch\n   2) web\n", "subnet-"] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    let config = checked(folder.path());
    for part in ["cluster: batch", "task_definition: convert", "name: main", "launch_type: FARGATE", "bucket: uploads"]
    {
        assert!(config.contains(part), "{part}: {config}");
    }
    assert!(!config.contains("CHANGE"), "{config}");

    // Without a terminal, the options must say what the account leaves open.
    let init = |arguments: &[&str]| finish(emulator.command().args(arguments).current_dir(folder.path()), "");
    let (code, said) = init(&["init", "queue", "--queue", "jobs", "--from-account"]);
    assert!(code == Some(2) && said.contains("name one with --cluster: batch, web"), "{said}");
    let from = ["init", "queue", "--queue", "jobs", "--from-task-definition", "convert:1"];
    let (code, said) = init(&from);
    assert!(code == Some(0) && said.contains("change what is marked CHANGE: the subnets\n"), "{said}");
    let config = checked(&folder.path().join("queue"));
    assert!(config.contains("task_definition: \"convert:1\"") && config.contains("name: main"), "{config}");
    let (code, said) = init(&["init", "none", "--queue", "jobs", "--from-task-definition", "missing"]);
    assert!(code == Some(7) && said.contains("task definition missing"), "{said}");
}
