//! Deploys, changes and destroys stacks against an emulator, first with the README's quick start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use e2e::{Emulator, Passage, Proxy, binary, root, stripped};
use infra::Body;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tempfile::TempDir;
use trigger_core::storage::ItemKind;

use crate::docs::blocks_of_readme;

/// An account, and a folder with the built functions.
struct Team {
    emulator: Emulator,
    folder: TempDir,
    /// Reads what the command line asks of the emulator.
    proxy: Proxy,
    /// What AWS would have refused of the change sets so far, which the emulator accepts.
    refused: Arc<Mutex<Vec<String>>>,
}

impl Team {
    fn new() -> Self {
        let (emulator, folder) = (Emulator::start(), tempfile::tempdir().expect("a folder"));
        for name in ["event-trigger", "schedule-trigger", "sqs-trigger", "task-lifecycle", "queue-scaler"] {
            stripped(name, &folder.path().join("built").join(name).join("bootstrap"));
        }
        emulator.aws(&["ecs", "create-cluster", "--cluster-name", "default"]);
        emulator.aws(&[
            "ecs",
            "put-cluster-capacity-providers",
            "--cluster",
            "default",
            "--capacity-providers",
            "FARGATE",
            "--default-capacity-provider-strategy",
            "capacityProvider=FARGATE",
        ]);
        let refused = Arc::new(Mutex::new(Vec::new()));
        let found = Arc::clone(&refused);
        let proxy = Proxy::start(emulator.address(), move |asked| {
            found.lock().expect("is not poisoned").extend(judged(&asked.body));
            Passage::Pass
        });
        Self { emulator, folder, proxy, refused }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Creates a subnet in a new VPC. Returns the subnet's id.
    fn subnet(&self, cidr: &str) -> String {
        let vpc = self.emulator.aws(&["ec2", "create-vpc", "--cidr-block", cidr])["Vpc"]["VpcId"].clone();
        let vpc = vpc.as_str().expect("is named").to_owned();
        let made = self.emulator.aws(&["ec2", "create-subnet", "--vpc-id", &vpc, "--cidr-block", cidr]);
        made["Subnet"]["SubnetId"].as_str().expect("is named").to_owned()
    }

    /// Writes a config. Returns its folder.
    fn config(&self, text: &str) -> PathBuf {
        let folder = self.path().join("config");
        fs::create_dir_all(&folder).expect("is made");
        fs::write(folder.join("ecs-trigger.yaml"), text).expect("is written");
        folder
    }

    fn run(&self, verb: &str, config: &Path, options: &[&str]) -> Output {
        let mut command = self.emulator.command();
        command.env("AWS_ENDPOINT_URL", &self.proxy.endpoint).arg(verb).arg(config).args(options);
        if verb == "deploy" || verb == "diff" {
            command.arg("--artifacts").arg(self.path().join("built"));
        }
        let output = command.output().expect("runs");
        assert_eq!(*self.refused.lock().expect("is not poisoned"), [""; 0], "{verb}");
        output
    }

    /// Runs a verb, which must succeed. Returns what it prints.
    fn done(&self, verb: &str, config: &Path, options: &[&str]) -> String {
        let output = self.run(verb, config, options);
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{verb}: {printed}{said}");
        printed
    }

    /// Returns the resources of a stack that have this type.
    fn resources(&self, stack: &str, kind: &str) -> Vec<Value> {
        let listed = self.emulator.aws(&["cloudformation", "list-stack-resources", "--stack-name", stack]);
        let all = listed["StackResourceSummaries"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|resource| resource["ResourceType"] == kind).collect()
    }

    /// Returns a line for each change that a deployment would make, such as `add AWS::Events::Rule`.
    fn changes(&self, config: &Path) -> Vec<String> {
        let diff: Value = serde_json::from_str(&self.done("diff", config, &["--json"])).expect("is JSON");
        let stacks = diff["stacks"].as_array().into_iter().flatten();
        let changes = stacks.flat_map(|stack| stack["changes"].as_array().into_iter().flatten());
        let mut lines: Vec<String> = changes
            .map(|change| {
                format!("{} {}", change["action"].as_str().expect("is said"), change["type"].as_str().expect("is said"))
            })
            .collect();
        lines.sort();
        lines
    }
}

/// Returns what AWS would refuse of a change set, if the request creates one. A long template is in S3, and not read.
fn judged(request: &str) -> Vec<String> {
    let fields: BTreeMap<String, String> =
        request.split('&').filter_map(|field| field.split_once('=')).map(decoded).collect();
    let Some(template) = fields.get("TemplateBody").filter(|_| fields["Action"] == "CreateChangeSet") else {
        return Vec::new();
    };
    let parameters = (1..).map_while(|number| {
        let of = |part: &str| fields.get(&format!("Parameters.member.{number}.Parameter{part}")).cloned();
        Some((of("Key")?, of("Value").unwrap_or_default()))
    });
    let template = serde_json::from_str(template).expect("a template is JSON");
    let body = Body { stack: fields["StackName"].clone(), template, parameters: parameters.collect() };
    infra::check(&body).iter().map(ToString::to_string).collect()
}

fn decoded((name, value): (&str, &str)) -> (String, String) {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().expect("is UTF-8").into_owned()
    };
    (decode(name), decode(value))
}

const CONTAINERS: &str = r#"[{"name":"app","image":"app","memory":512,"essential":true}]"#;

const ONE_ROUTE: &str = "
version: 1
tasks: { t: { task_definition: hello } }
routes:
  - { name: first, on: { event_pattern: { source: [my.app] } }, run: t }
";

fn register(team: &Team) {
    let definition = format!("file://{}", root().join("examples/aws/task-definition.json").display());
    team.emulator.aws(&["ecs", "register-task-definition", "--cli-input-json", &definition]);
}

#[test]
fn after_the_quick_start_an_object_a_schedule_and_a_message_each_start_their_task() {
    let team = Team::new();
    let (folder, emulator) = (team.path(), &team.emulator);
    // A minute takes a second in the emulator, so an hour would take a minute.
    let example = root().join("examples/aws");
    let text = fs::read_to_string(example.join("ecs-trigger.yaml")).expect("is there");
    let copied = folder.join("examples/aws");
    fs::create_dir_all(&copied).expect("is made");
    fs::write(copied.join("ecs-trigger.yaml"), text.replace("rate(1 hour)", "rate(5 minutes)")).expect("is written");
    fs::copy(example.join("task-definition.json"), copied.join("task-definition.json")).expect("is copied");
    fs::copy(root().join("README.md"), folder.join("README.md")).expect("is copied");
    // A stand-in for cargo-lambda that puts the binaries into target/lambda.
    let tools = folder.join("tools");
    fs::create_dir_all(&tools).expect("is made");
    let cargo =
        "#!/bin/sh\ntest \"$*\" = 'lambda build --release --arm64' && mkdir -p target && cp -r built target/lambda\n";
    fs::write(tools.join("cargo"), cargo).expect("is written");
    Command::new("chmod").arg("+x").arg(tools.join("cargo")).status().expect("runs");
    symlink(binary("ecs-trigger"), tools.join("ecs-trigger")).expect("is linked");
    emulator.aws(&["s3api", "create-bucket", "--bucket", "my-uploads"]);

    let subnet = team.subnet("10.1.0.0/24");
    let commands: Vec<String> =
        blocks_of_readme("bash").iter().map(|text| text.replace("subnet-0a1b2c3d", &subnet)).collect();
    assert_eq!(commands.len(), 1, "the quick start is found");
    let lines: Vec<&str> =
        commands[0].lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
    let settings = lines.iter().filter(|line| line.starts_with("export ")).count();
    assert!(lines.len() - settings <= 5, "at most five commands: {lines:?}");
    let path = format!("{}:{}:{}", tools.display(), emulator.bin().display(), std::env::var("PATH").expect("is set"));
    let mut shell = Command::new("bash");
    shell.args([
        "-e",
        "-c",
        &commands[0].replace("ecs-trigger deploy examples/aws", "ecs-trigger deploy examples/aws --yes"),
    ]);
    let environment = emulator.command();
    shell.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = shell.current_dir(folder).env("PATH", path).output().expect("bash runs");
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "{said}");

    let url = emulator.queue_url("ecs-trigger-greetings");
    emulator.aws(&["sqs", "send-message", "--queue-url", &url, "--message-body", r#"{"name":"Ada"}"#]);
    let is_by = |word: &str, call: &Value| call["overrides"].to_string().contains(word);
    let wanted = ["s3://my-uploads/incoming/", "it is ", "hello Ada"];
    let mut calls = Vec::new();
    while !wanted.iter().all(|word| calls.iter().any(|call| is_by(word, call))) {
        calls = emulator.calls("RunTask", calls.len() + 1);
    }
    let subnets = &calls[0]["networkConfiguration"]["awsvpcConfiguration"]["subnets"];
    assert_eq!(subnets[0], subnet.as_str(), "the config's variables are the functions' as well");
    // The launches are in the table that the deployment created.
    let launches = emulator.table("my-uploads-ecs-trigger").items(ItemKind::Launch.prefix());
    assert!(launches.len() >= 3, "{launches:?}");

    // Tasks never stop in the emulator, so launches are open and `destroy` refuses.
    let destroy = |options: &[&str]| {
        let mut command = emulator.command();
        command.env("UPLOADS", "my-uploads").env("SUBNET", &subnet).arg("destroy").arg(&copied).args(options);
        let output = command.output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = destroy(&["--yes"]);
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains("open launches would be abandoned ("), "{said}");
    let (code, said) = destroy(&["--yes", "--abandon-launches", "--delete-messages"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the bucket my-uploads-ecs-trigger stays"), "{said}");
}

#[test]
fn a_second_deployment_changes_nothing_and_a_new_route_changes_only_its_own_resources() {
    let team = Team::new();
    register(&team);
    let config = team.config(ONE_ROUTE);
    let first = team.done("deploy", &config, &["--yes"]);
    assert!(first.contains("+ AWS::Events::Rule RuleMyApp"), "{first}");
    assert_eq!(team.done("deploy", &config, &[]).trim(), "nothing changes");
    assert_eq!(team.run("diff", &config, &["--exit-code"]).status.code(), Some(0));

    let second = "  - { name: second, on: { event_pattern: { source: [other.app] } }, run: t }\n";
    let config = team.config(&format!("{ONE_ROUTE}{second}"));
    assert_eq!(team.changes(&config), ["add AWS::Events::Rule"]);
    assert_eq!(team.run("diff", &config, &["--exit-code"]).status.code(), Some(1));
    team.done("deploy", &config, &["--yes"]);
    let rules = || team.emulator.aws(&["events", "list-rules"])["Rules"].as_array().expect("is a list").len();
    assert_eq!(rules(), 2);

    // A route with a new task: the permissions come before the config, and the config before the events.
    team.emulator.aws(&["ecs", "register-task-definition", "--family", "other", "--container-definitions", CONTAINERS]);
    let third = second.replace("second", "third").replace("other.app", "third.app").replace("run: t", "run: u");
    let task = "tasks: { t: { task_definition: hello }, u: { task_definition: other } }";
    let with_third = ONE_ROUTE.replace("tasks: { t: { task_definition: hello } }", task);
    let output = team.run("deploy", &team.config(&format!("{with_third}{second}{third}")), &["--yes"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let places = ["adding the permissions that the new config needs", "uploading s3://", "AWS::Events::Rule RuleThird"];
    let places: Vec<usize> =
        places.iter().map(|text| said.find(text).unwrap_or_else(|| panic!("no {text}: {said}"))).collect();
    assert!(output.status.success() && places.is_sorted(), "{said}");
    team.emulator.aws(&[
        "events",
        "put-events",
        "--entries",
        r#"[{"Source":"other.app","DetailType":"t","Detail":"{}"},{"Source":"third.app","DetailType":"t","Detail":"{}"}]"#,
    ]);
    let calls = team.emulator.calls("RunTask", 2);
    assert!(calls.iter().any(|call| call["taskDefinition"] == "other"), "{calls:?}");

    let config = team.config(&with_third);
    assert_eq!(
        team.changes(&config),
        ["modify AWS::IAM::Role", "remove AWS::Events::Rule", "remove AWS::Events::Rule"]
    );
    let config = team.config(&format!("{with_third}{third}"));
    assert_eq!(team.changes(&config), ["remove AWS::Events::Rule"]);
    team.done("deploy", &config, &["--yes"]);
    assert_eq!(rules(), 2);

    // Only the config changes.
    let with_third = format!("{with_third}{third}");
    let config = team.config(&with_third.replace("task_definition: hello }", "task_definition: hello, count: 2 }"));
    assert_eq!(team.changes(&config), [""; 0]);
    let events = || {
        let answer = team.emulator.aws(&["cloudformation", "describe-stack-events", "--stack-name", "ecs-trigger"]);
        answer["StackEvents"].as_array().expect("is a list").len()
    };
    let before = events();
    let deployed = team.done("deploy", &config, &["--yes"]);
    assert!(deployed.contains("0 to add, 0 to change, 0 to remove; the config changes"), "{deployed}");
    assert_eq!(events(), before, "the stack is not touched");
    assert_eq!(team.done("deploy", &config, &[]).trim(), "nothing changes");
}

#[test]
fn changed_permissions_are_marked() {
    let team = Team::new();
    register(&team);
    team.done("deploy", &team.config(ONE_ROUTE), &["--yes"]);
    let tagged =
        team.config(&ONE_ROUTE.replace("task_definition: hello }", "task_definition: hello, tags: { a: b } }"));
    let shown = team.done("diff", &tagged, &[]);
    assert!(shown.contains("~ AWS::IAM::Role EventTriggerRole  (permissions)"), "{shown}");
    assert!(shown.contains("ecs:TagResource"), "{shown}");
    assert!(shown.contains("changes of permissions: 1"), "{shown}");
}

#[test]
fn a_refused_deployment_says_why_and_what_to_do() {
    let team = Team::new();
    let config = team.config(ONE_ROUTE);
    let check = |verb: &str, options: &[&str], code: i32, reason: &str| {
        let output = team.run(verb, &config, options);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(reason), "{said}");
    };
    check("deploy", &["--yes"], 7, "these task definitions cannot be read");
    register(&team);
    check("deploy", &[], 8, "standard input is not a terminal; pass --yes");
    fs::remove_file(team.path().join("built/event-trigger/bootstrap")).expect("was there");
    check("deploy", &["--yes"], 2, "event-trigger is not in ");
    fs::write(team.path().join("built/event-trigger/bootstrap"), "#!/bin/sh").expect("is written");
    check("deploy", &["--yes"], 2, "is not a Linux program for arm64 or x86_64");
    // None of these attempts left anything behind.
    let stacks = team.emulator.aws(&["cloudformation", "describe-stacks"]);
    assert_eq!(stacks["Stacks"].as_array().map(Vec::len), Some(0), "{stacks}");
}

#[test]
fn a_stack_of_somebody_else_is_neither_compared_nor_changed_nor_deleted() {
    let team = Team::new();
    register(&team);
    let template = r#"{"Resources":{"Topic":{"Type":"AWS::SNS::Topic"}}}"#;
    team.emulator.aws(&["cloudformation", "create-stack", "--stack-name", "theirs", "--template-body", template]);
    let config = team.config(&ONE_ROUTE.replace("version: 1", "version: 1\nstack: { name: theirs }"));
    for (verb, options) in [("diff", &[][..]), ("deploy", &["--yes"]), ("destroy", &["--yes"])] {
        let output = team.run(verb, &config, options);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(8), "{verb}: {said}");
        assert!(said.contains("the stack theirs is not ecs-trigger's"), "{verb}: {said}");
        assert!(said.contains("`stack: { name: ... }`"), "{verb}: {said}");
    }
    let listed = team.emulator.aws(&["cloudformation", "list-stack-resources", "--stack-name", "theirs"]);
    assert_eq!(listed["StackResourceSummaries"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn an_account_that_does_not_answer_is_the_only_error() {
    let team = Team::new();
    let config = team.config(ONE_ROUTE);
    for verb in ["verify", "destroy"] {
        let mut command = team.emulator.command();
        let output =
            command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").arg(verb).arg(&config).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(7), "{verb}: {said}");
        let errors = said.lines().filter(|line| line.starts_with("error:")).count();
        assert!(said.contains("does not say whose account it is") && errors == 1, "{verb}: {said}");
        assert!(!said.contains("dispatch failure"), "{verb}: {said}");
    }
}

#[test]
fn a_stack_grows_by_a_schedule_a_queue_and_a_worker_shrinks_and_is_destroyed() {
    let team = Team::new();
    register(&team);
    let with_ledger = ONE_ROUTE.replace("version: 1", "version: 1\nstorage: { bucket: lives }");
    let schedule = "  - { name: hourly, on: { schedule: rate(1 hour) }, run: t }\n";
    let queue = "  - { name: jobs, on: { queue: jobs }, run: t }\n";
    let stack = "stack: { queues: { jobs: { queue: create }, work: { queue: create } } }\n";
    let worker = "workers: [{ service: s, queue: work, scaling: { max: 3, acceptable_latency: 1m } }]\n";
    let lives = [
        with_ledger.clone(),
        format!("{with_ledger}{schedule}"),
        format!("{with_ledger}{schedule}{queue}{stack}{worker}"),
        format!("{with_ledger}{schedule}"),
    ];
    for life in &lives {
        let config = team.config(life);
        let deployed = team.done("deploy", &config, &["--yes"]);
        assert!(deployed.contains("dashboard") && deployed.contains("aws events put-events"), "{deployed}");
        assert_eq!(team.done("deploy", &config, &[]).trim(), "nothing changes");
    }
    // The schedule has fired meanwhile.
    team.done("destroy", &team.config(&lives[0]), &["--yes", "--abandon-launches"]);
}

#[test]
fn a_deployment_that_fails_names_the_resource_and_is_rolled_back() {
    let team = Team::new();
    register(&team);
    let config = team.config(ONE_ROUTE);
    team.done("deploy", &config, &["--yes"]);
    // A bucket with this name exists already, and is not the stack's.
    team.emulator.aws(&["s3api", "create-bucket", "--bucket", "taken"]);
    let other = ONE_ROUTE.replace("version: 1", "version: 1\nstorage: { bucket: taken }\nstack: { name: other }");
    let output = team.run("deploy", &team.config(&other), &["--yes"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("the stack other-storage could not be changed"), "{said}");
}

#[test]
fn a_stack_has_what_its_account_demands() {
    let team = Team::new();
    register(&team);
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let queue = "  - { name: jobs, on: { queue: jobs }, run: t }\n";
    let config = |settings: &str| {
        let stack = format!("version: 1\nstack: {{ queues: {{ jobs: {{ queue: create }} }}, name: images{settings} }}");
        team.config(&format!("{}{queue}", ONE_ROUTE.replace("version: 1", &stack)))
    };
    let all = ", name_prefix: team-, role_path: /team/, permissions_boundary: limits, tags: { team: images, cost: 1 }";
    let demanding = config(all);
    let checked = |config: &Path| String::from_utf8_lossy(&team.run("verify", config, &[]).stdout).into_owned();
    assert!(checked(&demanding).contains("permissions boundary limits: "), "{}", checked(&demanding));
    team.emulator.aws(&["iam", "create-policy", "--policy-name", "limits", "--policy-document", policy]);
    assert!(checked(&demanding).contains("ok      permissions boundary limits"), "{}", checked(&demanding));
    team.done("deploy", &demanding, &["--yes"]);

    let tags = || {
        let stack = team.emulator.aws(&["cloudformation", "describe-stacks", "--stack-name", "team-images"]);
        let tags = stack["Stacks"][0]["Tags"].as_array().cloned().unwrap_or_default();
        tags.iter().map(|tag| format!("{}={}", tag["Key"], tag["Value"]).replace('"', "")).collect::<Vec<_>>()
    };
    assert_eq!(tags(), ["cost=1", "team=images"]);
    let roles = team.emulator.aws(&["iam", "list-roles", "--path-prefix", "/team/"]);
    assert_eq!(roles["Roles"].as_array().map(Vec::len), Some(2), "{roles}");
    let queues = team.emulator.aws(&["sqs", "list-queues", "--queue-name-prefix", "team-"]);
    assert_eq!(queues["QueueUrls"].as_array().map(Vec::len), Some(3), "{queues}");
    assert_eq!(team.done("deploy", &demanding, &[]).trim(), "nothing changes");

    let fewer = config(&all.replace(", cost: 1", ""));
    let shown = team.done("diff", &fewer, &[]);
    assert!(shown.contains("Tags.cost: \"1\" -> nothing"), "{shown}");
    team.done("deploy", &fewer, &["--yes"]);
    assert_eq!(tags(), ["team=images"]);
    team.done("deploy", &config(&all.replace(", tags: { team: images, cost: 1 }", "")), &["--yes"]);
    assert_eq!(tags(), [""; 0]);
}

#[test]
fn a_rollback_brings_back_the_last_config_and_stack() {
    let team = Team::new();
    register(&team);
    let config = team.config(ONE_ROUTE);
    let refused = team.run("rollback", &config, &["--yes"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(8), "{said}");
    assert!(said.contains("nothing was deployed to the stack ecs-trigger before"), "{said}");
    team.done("deploy", &config, &["--yes"]);
    assert_eq!(team.run("rollback", &config, &["--yes"]).status.code(), Some(8), "there was only one deployment");

    let changed = ONE_ROUTE.replace("first", "second").replace("my.app", "other.app");
    let config = team.config(&format!("{changed}  - {{ name: hourly, on: {{ schedule: rate(1 hour) }}, run: t }}\n"));
    team.done("deploy", &config, &["--yes"]);
    let refused = team.run("rollback", &config, &[]);
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert_eq!(refused.status.code(), Some(8), "{said}");
    for shown in ["- AWS::Scheduler::Schedule", "+ AWS::Events::Rule RuleMyApp", "-  - { name: second", "pass --yes"] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    let done = team.done("rollback", &config, &["--yes"]);
    assert!(done.contains("rolled back: ecs-trigger"), "{done}");
    // The old route works again.
    let event = r#"[{"Source":"my.app","DetailType":"t","Detail":"{}"}]"#;
    team.emulator.aws(&["events", "put-events", "--entries", event]);
    assert_eq!(team.emulator.calls("RunTask", 1).len(), 1);
    assert_eq!(team.done("deploy", &team.config(ONE_ROUTE), &[]).trim(), "nothing changes");

    // A second one undoes the first.
    team.done("rollback", &config, &["--yes"]);
    let rules = team.emulator.aws(&["events", "list-rules"]);
    assert!(rules.to_string().contains("other.app") && !rules.to_string().contains("my.app"), "{rules}");
}

#[test]
fn a_rollback_leaves_out_a_schedule_that_has_passed_meanwhile() {
    let team = Team::new();
    register(&team);
    let stored = ONE_ROUTE.replace("version: 1", "version: 1\nstorage: { bucket: passed }");
    let once = "  - { name: once, on: { schedule: at(2099-01-01T00:00:00) }, run: t }\n";
    team.done("deploy", &team.config(&format!("{stored}{once}")), &["--yes"]);
    let config = team.config(&stored);
    team.done("deploy", &config, &["--yes"]);
    // Years pass.
    let (key, file) = ("previous/ecs-trigger.json", team.path().join("previous.json"));
    let path = file.to_str().expect("is UTF-8");
    team.emulator.aws(&["s3api", "get-object", "--bucket", "passed", "--key", key, path]);
    let kept = fs::read_to_string(&file).expect("is there");
    team.emulator.put_object("passed", key, &kept.replace("at(2099-", "at(2020-"));

    let output = team.run("rollback", &config, &["--yes"]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the schedule of the route `once` never fires again"), "{said}");
    let schedules = team.resources("ecs-trigger", "AWS::Scheduler::Schedule");
    let names = schedules.iter().filter_map(|schedule| schedule["LogicalResourceId"].as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["Sweep"]);
}

#[test]
fn what_was_changed_outside_of_deployments_is_shown_with_how_to_set_it_back() {
    let team = Team::new();
    register(&team);
    let stack = "version: 1\nstorage: { bucket: drift }\nstack: { queues: { jobs: { queue: create } } }";
    let routes = "  - { name: jobs, on: { queue: jobs }, run: t }\n  - { name: hourly, on: { schedule: rate(1 hour) }, run: t }\n";
    let config = team.config(&format!("{}{routes}", ONE_ROUTE.replace("version: 1", stack)));
    let verified = || String::from_utf8_lossy(&team.run("verify", &config, &[]).stdout).into_owned();
    assert!(verified().contains("stack ecs-trigger: as it was deployed: not checked, as it is not deployed"));
    team.done("deploy", &config, &["--yes"]);
    assert!(verified().contains("ok      stack ecs-trigger: as it was deployed"), "{}", verified());
    assert_eq!(team.done("diff", &config, &[]).trim(), "nothing changes");

    let aws = |arguments: &[&str]| team.emulator.aws(arguments);
    let rules = aws(&["events", "list-rules"]);
    let names = rules["Rules"].as_array().into_iter().flatten().filter_map(|rule| rule["Name"].as_str());
    let rule = names.into_iter().find(|name| name.contains("my.app")).expect("is there").to_owned();
    aws(&["events", "disable-rule", "--name", &rule]);
    aws(&[
        "lambda",
        "update-function-configuration",
        "--function-name",
        "ecs-trigger-event-trigger",
        "--memory-size",
        "128",
    ]);
    let url = team.emulator.queue_url("jobs");
    aws(&["sqs", "set-queue-attributes", "--queue-url", &url, "--attributes", "VisibilityTimeout=30"]);
    let role = team.resources("ecs-trigger", "AWS::IAM::Role").remove(0)["PhysicalResourceId"].clone();
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let role = role.as_str().expect("is named");
    let put = ["iam", "put-role-policy", "--role-name", role, "--policy-name", "least-privilege"];
    aws(&[&put[..], &["--policy-document", policy]].concat());
    let outside = "arn:aws:iam::aws:policy/AdministratorAccess";
    aws(&["iam", "attach-role-policy", "--role-name", role, "--policy-arn", outside]);
    let stored = aws(&["s3api", "list-objects-v2", "--bucket", "drift", "--prefix", "functions/event-trigger-"]);
    let code = stored["Contents"][0]["Key"].as_str().expect("is there");
    let update = ["lambda", "update-function-code", "--function-name", "ecs-trigger-sqs-trigger"];
    aws(&[&update[..], &["--s3-bucket", "drift", "--s3-key", code]].concat());
    let key = "arn:aws:kms:us-east-1:000000000000:key/1";
    let update = ["lambda", "update-function-configuration", "--function-name", "ecs-trigger-schedule-trigger"];
    aws(&[&update[..], &["--kms-key-arn", key]].concat());
    aws(&[&update[..], &["--vpc-config", "SubnetIds=subnet-1,SecurityGroupIds=sg-1"]].concat());

    let shown = team.done("diff", &config, &[]);
    assert!(shown.starts_with("nothing changes"), "`deploy` would change nothing: {shown}");
    for line in [
        "State: \"ENABLED\" -> \"DISABLED\"",
        "MemorySize: 256 -> 128",
        "VisibilityTimeout: 360 -> 30",
        "AWS::IAM::Role",
        "Policies[least-privilege].PolicyDocument",
        &format!("ManagedPolicyArns: nothing -> \"{outside}\""),
        &format!("aws iam detach-role-policy --role-name {role} --policy-arn \"{outside}\""),
        "AWS::Lambda::Function SqsTrigger CodeSha256: ",
        "aws lambda update-function-code --function-name ecs-trigger-sqs-trigger --s3-bucket drift --s3-key functions/sqs-",
        &format!("KmsKeyArn: \"\" -> \"{key}\""),
        "VpcConfig.SubnetIds: nothing -> \"subnet-1\"",
        &format!("aws events enable-rule --name {rule}"),
        "aws lambda update-function-configuration --function-name ecs-trigger-event-trigger --memory-size 256",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
        assert!(verified().contains(line.split(':').next().unwrap_or(line)), "{line}: {}", verified());
    }
    aws(&["events", "enable-rule", "--name", &rule]);
    assert!(!team.done("diff", &config, &[]).contains("DISABLED"));
}

#[test]
fn two_environments_of_a_config_are_deployed_side_by_side() {
    let team = Team::new();
    register(&team);
    let routes = "  - { name: jobs, on: { queue: jobs }, run: t }\n";
    let stack = "version: 1\nstack: { name: images, queues: { jobs: { queue: create } } }";
    let config = team.config(&format!("{}{routes}", ONE_ROUTE.replace("version: 1", stack)));
    fs::write(config.join("ecs-trigger.staging.yaml"), "tasks: { t: { group: staging } }\n").expect("is written");
    team.done("deploy", &config, &["--yes"]);
    team.done("deploy", &config, &["--yes", "--env", "staging"]);
    assert_eq!(team.done("deploy", &config, &[]).trim(), "nothing changes");
    assert_eq!(team.done("deploy", &config, &["--env", "staging"]).trim(), "nothing changes");
    let stacks = team.emulator.aws(&["cloudformation", "describe-stacks"]);
    let mut names: Vec<&str> =
        stacks["Stacks"].as_array().into_iter().flatten().filter_map(|stack| stack["StackName"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["images", "images-storage", "staging-images", "staging-images-storage"]);

    // Each takes the message of its own queue, by its own config.
    let url = team.emulator.queue_url("staging-jobs");
    team.emulator.aws(&["sqs", "send-message", "--queue-url", &url, "--message-body", "x"]);
    let calls = team.emulator.calls("RunTask", 1);
    assert_eq!(calls[0]["group"], "staging", "{calls:?}");
    team.done("destroy", &config, &["--yes", "--env", "staging", "--delete-messages"]);
    assert_eq!(team.done("deploy", &config, &[]).trim(), "nothing changes");
}

#[test]
fn customers_keys_are_used_by_the_roles_that_need_them_and_by_nobody_else() {
    let team = Team::new();
    register(&team);
    let new_key = |policy: &str| {
        let key = team.emulator.aws(&["kms", "create-key", "--policy", policy]);
        let part = |name: &str| key["KeyMetadata"][name].as_str().expect("is named").to_owned();
        (part("KeyId"), part("Arn"))
    };
    let root =
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"kms:*","Resource":"*"}"#;
    let of_services = |names: &str| {
        format!(
            r#"{{"Effect":"Allow","Principal":{{"Service":[{names}]}},"Action":["kms:Decrypt*","kms:GenerateDataKey*"],"Resource":"*"}}"#
        )
    };
    let policy = |statements: &[&str]| format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    let (own, own_arn) = new_key(&policy(&[root, &of_services(r#""events.amazonaws.com""#)]));
    let (theirs, theirs_arn) = new_key(&policy(&[&of_services(r#""sns.amazonaws.com""#)]));
    let attributes = format!(r#"{{"KmsMasterKeyId":"{theirs}","VisibilityTimeout":"400"}}"#);
    team.emulator.aws(&["sqs", "create-queue", "--queue-name", "theirs", "--attributes", &attributes]);
    team.emulator.aws(&[
        "sqs",
        "create-queue",
        "--queue-name",
        "plain",
        "--attributes",
        r#"{"VisibilityTimeout":"400"}"#,
    ]);
    let stack = format!("version: 1\nstorage: {{ bucket: keys }}\nstack: {{ kms_key: \"{own_arn}\" }}");
    let routes = "  - { name: a, on: { queue: theirs }, run: t }\n  - { name: b, on: { queue: plain }, run: t }\n";
    let config = team.config(&format!("{}{routes}", ONE_ROUTE.replace("version: 1", &stack)));

    let verified = String::from_utf8_lossy(&team.run("verify", &config, &[]).stdout).into_owned();
    let keys: String =
        verified.lines().filter(|line| line.contains("key of")).map(|line| format!("{line}\n")).collect();
    expect_test::expect![[r#"
        ok      key of `kms_key`: Region
        ok      key of `kms_key`
        ok      key of `kms_key`: policy
        failed  key of `kms_key` for the functions' log groups: the key's policy does not let logs.us-east-1.amazonaws.com use it
        ok      key of `kms_key` for what rules send to queues
        ok      key of the queue theirs
        failed  key of the queue theirs: policy: it does not let roles use the key by their own policies
    "#]].assert_eq(&keys);
    assert!(verified.contains("allow kms:* to arn:aws:iam::000000000000:root"), "{verified}");

    team.done("deploy", &config, &["--yes"]);
    let mut uses = Vec::new();
    for resource in team.resources("ecs-trigger", "AWS::IAM::Role") {
        let name = resource["PhysicalResourceId"].as_str().expect("is named");
        let got = ["iam", "get-role-policy", "--role-name", name, "--policy-name", "least-privilege"];
        let policy = team.emulator.aws(&got);
        for statement in policy["PolicyDocument"]["Statement"].as_array().into_iter().flatten() {
            if statement.to_string().contains("kms:") {
                let key = if statement["Resource"] == own_arn.as_str() { "own" } else { "theirs" };
                assert!(key == "own" || statement["Resource"] == theirs_arn.as_str(), "{statement}");
                let role = resource["LogicalResourceId"].as_str().expect("is named");
                uses.push(format!("{role} {} {key}", statement["Action"]));
            }
        }
    }
    uses.sort();
    expect_test::expect![[r#"
        EventTriggerRole ["kms:Decrypt","kms:GenerateDataKey"] own
        SchedulesRole ["kms:Decrypt","kms:GenerateDataKey"] own
        SqsTriggerRole "kms:Decrypt" theirs
        SqsTriggerRole ["kms:Decrypt","kms:GenerateDataKey"] own
        TaskLifecycleRole ["kms:Decrypt","kms:GenerateDataKey"] own"#]]
    .assert_eq(&uses.join("\n"));
    let url = team.emulator.queue_url("ecs-trigger-dead-letters");
    let queue = team.emulator.aws(&["sqs", "get-queue-attributes", "--queue-url", &url, "--attribute-names", "All"]);
    assert_eq!(queue["Attributes"]["KmsMasterKeyId"], own_arn.as_str(), "{queue}");
    assert!(own_arn.ends_with(&own));
    assert_eq!(team.done("deploy", &config, &[]).trim(), "nothing changes");
}

#[test]
fn verify_reports_everything_that_is_missing_at_once() {
    let team = Team::new();
    let text = "
version: 1
tasks:
  a:
    cluster: missing
    task_definition: hello
    overrides: { container_overrides: [{ name: other }] }
  b: { cluster: default, task_definition: absent, network: { subnets: [subnet-1] }, capacity_provider_strategy: [{ capacity_provider: FARGATE_SPOT, weight: 1 }] }
routes:
  - { name: e, on: { s3: { bucket: my-uploads } }, run: [a, b] }
  - { name: q, on: { queue: jobs }, run: a }
  - { name: r, on: { queue: none }, run: a }
";
    register(&team);
    team.emulator.aws(&["s3api", "create-bucket", "--bucket", "my-uploads"]);
    team.emulator.create_queue("jobs");
    let config = team.config(text);
    let output = team.run("verify", &config, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let checks: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    // How much the emulator allows depends on the machine.
    let what = |check: &Value| {
        let what = check["check"].as_str().unwrap_or_default();
        let invoked = what.split_once(" of ").filter(|_| what.starts_with("functions invoked at once"));
        invoked.map_or(what, |(used, _)| used).to_owned()
    };
    let lines: Vec<String> = checks["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|check| format!("{}: {}", check["verdict"].as_str().unwrap_or_default(), what(check)))
        .collect();
    expect_test::expect![[r#"
        passed: cluster default
        failed: cluster missing
        passed: task definition hello
        not_checked: image public.ecr.aws/docker/library/busybox:stable of hello
        failed: task a: container other
        failed: task a: network mode awsvpc
        failed: task definition absent
        failed: task b: capacity provider FARGATE_SPOT
        failed: task b: subnets subnet-1 in one VPC
        failed: queue jobs: dead-letter queue
        failed: queue jobs: visibility timeout
        failed: queue none
        failed: bucket my-uploads: EventBridge
        not_checked: stack ecs-trigger: as it was deployed
        passed: rules of the event bus: 1 of 300
        passed: groups of schedules: 1 of 500
        passed: functions invoked at once: 11"#]]
    .assert_eq(&lines.join("\n"));
    // Subnets in two VPCs, and a security group that does not exist.
    let (first, second) = (team.subnet("10.1.0.0/24"), team.subnet("10.2.0.0/24"));
    let apart = |network: &str| {
        let network = format!("b: {{ cluster: default, task_definition: absent, network: {network},");
        let text =
            text.replace("b: { cluster: default, task_definition: absent, network: { subnets: [subnet-1] },", &network);
        let output = team.run("verify", &team.config(&text), &[]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = apart(&format!("{{ subnets: [{first}] }}"));
    assert!(said.contains(&format!("ok      task b: subnets {first} in one VPC")), "{said}");
    let said = apart(&format!("{{ subnets: [{first}, {second}] }}"));
    assert!(said.contains(&format!("{second} is in vpc-")), "{said}");
    let said = apart(&format!("{{ subnets: [{first}], security_groups: [sg-0a1b2c3d] }}"));
    assert!(said.contains("sg-0a1b2c3d"), "{said}");
    // The functions' subnet is in a VPC without endpoints.
    let placed = format!("version: 1\nstack: {{ vpc: {{ subnets: [{first}], security_groups: [sg-0a1b2c3d] }} }}");
    let output = team.run("verify", &team.config(&text.replace("version: 1", &placed)), &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("failed  functions: subnets {first}, sg-0a1b2c3d in one VPC")), "{said}");
    let vpc = team.emulator.aws(&["ec2", "describe-subnets", "--subnet-ids", &first])["Subnets"][0]["VpcId"].clone();
    let vpc = vpc.as_str().expect("is named");
    let group = ["ec2", "create-security-group", "--group-name", "g", "--description", "g", "--vpc-id", vpc];
    let group = team.emulator.aws(&group)["GroupId"].as_str().expect("is named").to_owned();
    let service = "com.amazonaws.us-east-1.s3";
    team.emulator.aws(&["ec2", "create-vpc-endpoint", "--vpc-id", vpc, "--service-name", service]);
    let placed = text.replace("version: 1", &placed.replace("sg-0a1b2c3d", &group));
    let said = String::from_utf8_lossy(&team.run("verify", &team.config(&placed), &[]).stdout).into_owned();
    assert!(said.contains("the VPC has no endpoint for sqs, ecs: the subnets need a route to a NAT gateway"), "{said}");
    team.config(text);
    // `--enable-eventbridge` switches on what is off.
    team.run("verify", &config, &["--enable-eventbridge"]);
    let bucket = team.emulator.aws(&["s3api", "get-bucket-notification-configuration", "--bucket", "my-uploads"]);
    assert!(bucket.get("EventBridgeConfiguration").is_some(), "{bucket}");
}

#[test]
fn the_platform_templates_can_be_deployed() {
    let team = Team::new();
    let emulator = &team.emulator;
    let create = |name: &str, template: &str, parameters: &[&str]| {
        let file = root().join("infra/platform").join(template).display().to_string();
        let create = [
            "cloudformation",
            "deploy",
            "--stack-name",
            name,
            "--template-file",
            &file,
            "--capabilities",
            "CAPABILITY_IAM",
        ];
        let overrides = if parameters.is_empty() { &[][..] } else { &["--parameter-overrides"] };
        emulator.aws(&[&create[..], overrides, parameters].concat());
        let stack = emulator.aws(&["cloudformation", "describe-stacks", "--stack-name", name])["Stacks"][0].clone();
        assert_eq!(stack["StackStatus"], "CREATE_COMPLETE", "{template}");
        stack
    };
    let output = |stack: &Value, key: &str| {
        let mut outputs = stack["Outputs"].as_array().into_iter().flatten();
        let output = outputs.find(|output| output["OutputKey"] == key);
        output.and_then(|output| output["OutputValue"].as_str()).expect("is an output").to_owned()
    };
    // The emulator lacks NAT gateways, flow logs, capacity providers of instances and Application Auto Scaling.
    let network = create("network", "network.yaml", &["NatGateways=none", "InterfaceEndpoints=yes", "FlowLogs=none"]);
    // The emulator lacks AWS's public parameters.
    let image = "/images/ecs";
    emulator.aws(&["ssm", "put-parameter", "--name", image, "--type", "String", "--value", "ami-0123456789abcdef0"]);
    create("cluster", "cluster.yaml", &[&format!("Image={image}")]);
    create(
        "import-csv",
        "task-batch.yaml",
        &[
            "InputBucket=uploads",
            "ParameterName=/a",
            "SecretArn=arn:aws:secretsmanager:us-east-1:000000000000:secret:s",
        ],
    );
    let subnets = format!("Subnets={}", output(&network, "PrivateSubnets"));
    let groups = format!("SecurityGroups={}", output(&network, "TaskSecurityGroup"));
    // With Fargate the emulator would compare the weights, which parameters turn into strings there.
    let on_instances = ["Capacity=ec2", "InstanceCapacityProvider=instances"];
    create("images", "service-worker.yaml", &[&[subnets.as_str(), &groups][..], &on_instances].concat());
    let (vpc, public) = (
        format!("VpcId={}", output(&network, "VpcId")),
        format!("PublicSubnets={}", output(&network, "PublicSubnets")),
    );
    let tasks = format!("TaskSubnets={}", output(&network, "PrivateSubnets"));
    create("web", "service-web.yaml", &[&vpc, &public, &tasks, "Scaling=none"]);

    let service = emulator.aws(&["ecs", "describe-services", "--cluster", "batch", "--services", "images"]);
    assert_eq!(service["services"][0]["status"], "ACTIVE", "{service}");
}
