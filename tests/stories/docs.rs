//! Keeps the documentation correct: its commands run and print what it says, its configs are valid, its links lead somewhere, and its
//! generated parts are fresh (`UPDATE_EXPECT=1` writes them anew).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{binary, command, root};
use serde_json::Value;
use trigger_core::config::schema;
use trigger_core::environment::{OF_CONTAINERS, OF_FUNCTIONS, OF_WORKERS, Variable};
use trigger_core::metrics::Metric;
use trigger_core::routing::RoutingConfig;
use trigger_core::text::Source;

/// The command that runs this very test.
const TESTS: &str = "cargo test --workspace";
/// The length of a README that fits on a screen or two, in bytes.
const README_BYTES_MAX: usize = 8192;

/// A page: its path from the root, and its text.
struct Page {
    path: String,
    text: String,
}

/// A fenced block of a page.
struct Block {
    language: String,
    text: String,
}

impl Page {
    /// Returns the page's fenced blocks.
    fn blocks(&self) -> Vec<Block> {
        let fenced = self.text.split("```").skip(1).step_by(2);
        let block = |block: &str| {
            let (language, text) = block.split_once('\n')?;
            Some(Block { language: language.to_owned(), text: text.to_owned() })
        };
        fenced.filter_map(block).collect()
    }

    /// Returns the text outside fenced blocks.
    fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }
}

/// Returns every page, the README first.
fn pages() -> Vec<Page> {
    let mut paths =
        vec!["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].into_iter().map(PathBuf::from).collect();
    collect(Path::new("docs"), &mut paths);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path)).expect("is there");
        Page { path: path.display().to_string(), text }
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .expect("is a folder")
        .map(|entry| folder.join(entry.expect("is read").file_name()))
        .collect();
    entries.sort();
    for entry in entries {
        if root().join(&entry).is_dir() {
            collect(&entry, paths);
        } else if entry.extension().is_some_and(|extension| extension == "md") {
            paths.push(entry);
        }
    }
}

/// Returns the README's fenced blocks in this language.
pub(crate) fn blocks_of_readme(language: &str) -> Vec<String> {
    let blocks = pages().remove(0).blocks().into_iter();
    blocks.filter(|block| block.language == language).map(|block| block.text).collect()
}

#[test]
fn the_readme_fits_on_a_screen_or_two_and_says_how_to_test() {
    let readme = pages().remove(0);
    assert!(readme.text.len() <= README_BYTES_MAX, "{} bytes", readme.text.len());
    assert!(readme.blocks().iter().any(|block| block.text.trim() == TESTS), "the README says how to test");
}

#[test]
fn every_command_runs_and_prints_what_its_page_says() {
    let binary = binary("ecs-trigger");
    let bin = binary.parent().expect("is in a folder");
    let target = bin.parent().expect("is in the target folder");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("is set"));
    let mut ran = BTreeSet::new();
    for page in pages() {
        let blocks = page.blocks();
        for (index, block) in blocks.iter().enumerate() {
            let expected = blocks.get(index + 1).filter(|next| next.language == "text");
            // A command that several pages show runs once, unless a page says what it prints.
            if block.language != "sh"
                || block.text.trim() == TESTS
                || (!ran.insert(block.text.clone()) && expected.is_none())
            {
                continue;
            }
            let output = Command::new("bash")
                .args(["-e", "-c", &block.text])
                .current_dir(root())
                .env("PATH", &path)
                // `cargo run --no-default-features` reuses what is built, and leaves the other stories their binaries.
                .env("CARGO_BUILD_BUILD_DIR", target)
                .env("CARGO_TARGET_DIR", target.join("tmp/commands"))
                .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
                .env("NO_COLOR", "1")
                .output()
                .expect("bash runs");
            let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "{}: {}\n{printed}", page.path, block.text);
            if let Some(expected) = expected {
                assert_eq!(printed.trim_end(), expected.text.trim_end(), "{}: {}", page.path, block.text);
            }
        }
    }
    assert!(ran.len() >= 10, "the commands are found");
}

#[test]
fn every_config_is_valid_and_passes_its_own_tests() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut valid, mut tested) = (0, 0);
    for page in pages() {
        for config in page.blocks().into_iter().filter(|block| block.language == "yaml") {
            let source = Source::new(page.path.as_str(), config.text.clone());
            if let Err(problems) = RoutingConfig::parse(source.clone()) {
                let problems: Vec<String> = problems.iter().map(|problem| problem.line(&source)).collect();
                panic!("{problems:#?}\n{}", config.text);
            }
            valid += 1;
            if config.text.contains("\ntests:") {
                fs::write(folder.path().join("ecs-trigger.yaml"), &config.text).expect("is written");
                let run = command().arg("test").arg(folder.path()).output().expect("runs");
                assert!(run.status.success(), "{}\n{}", config.text, String::from_utf8_lossy(&run.stdout));
                tested += 1;
            }
        }
    }
    assert!(valid >= 8 && tested >= 2, "{valid} configs and {tested} with tests are found");
}

#[test]
fn the_schedules_input_is_the_one_that_is_deployed() {
    let pages = pages();
    let deploying = pages.iter().find(|page| page.path == "docs/deploying.md").expect("is a page");
    let json = deploying.blocks().into_iter().find(|block| block.language == "json").expect("is shown");
    assert_eq!(json.text.trim(), trigger_core::event::SCHEDULER_INPUT);
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let pages = pages();
    let mut broken = Vec::new();
    for page in &pages {
        let folder = Path::new(&page.path).parent().expect("has a folder");
        let prose = page.prose();
        let links = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in links.filter(|target| !target.contains("://") && !target.is_empty()) {
            let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let path = if file.is_empty() { PathBuf::from(&page.path) } else { folder.join(file) };
            let Ok(found) = root().join(&path).canonicalize() else {
                broken.push(format!("{}: {target}", page.path));
                continue;
            };
            let linked =
                pages.iter().find(|page| root().join(&page.path).canonicalize().is_ok_and(|known| known == found));
            if let (Some(anchor), Some(linked)) = (anchor, linked)
                && !anchors(linked).contains(anchor)
            {
                broken.push(format!("{}: {target}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Returns the anchors of a page's headings, as GitHub makes them.
fn anchors(page: &Page) -> BTreeSet<String> {
    let prose = page.prose();
    let headings = prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .collect::<String>();
        kept.replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_file_that_a_page_names_exists() {
    let mut missing = Vec::new();
    for page in pages() {
        let prose = page.prose();
        for name in prose.split('`').skip(1).step_by(2).filter(|name| is_file_of_ours(name)) {
            if !root().join(name).exists() && !is_made_by_running(name) {
                missing.push(format!("{}: {name}", page.path));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Returns whether git ignores a path: running an example makes it.
fn is_made_by_running(name: &str) -> bool {
    let ignored = Command::new("git").args(["check-ignore", "--quiet", name]).current_dir(root()).status();
    ignored.is_ok_and(|status| status.success())
}

/// Returns whether a text in back-quotes names a file or folder of the repository.
fn is_file_of_ours(name: &str) -> bool {
    const FOLDERS: [&str; 10] = [
        "shared/",
        "functions/",
        "cli/",
        "infra/",
        "tests/",
        "worker-shim/",
        "examples/",
        "benches/",
        "fuzz/",
        "docs/",
    ];
    FOLDERS.iter().any(|folder| name.starts_with(folder)) && !name.contains(['*', ' ', '{', '$', '<', '~'])
}

#[test]
fn every_generated_part_is_fresh() {
    const END: &str = "<!-- end generated -->";
    let mut stale = Vec::new();
    for page in pages() {
        let mut parts = page.text.split("<!-- generated: ");
        let mut fresh = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once(" -->").expect("a generated part has a name");
            let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{}: `{name}` has no end", page.path));
            fresh += &format!("<!-- generated: {name} -->\n\n{}\n{END}{after}", generated(name));
        }
        if fresh != page.text {
            stale.push(page.path.clone());
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                fs::write(root().join(&page.path), fresh).expect("is written");
            }
        }
    }
    assert!(
        stale.is_empty() || std::env::var_os("UPDATE_EXPECT").is_some(),
        "{stale:?} are stale: run this test with UPDATE_EXPECT=1"
    );
}

/// Returns the generated part of this name, as Markdown.
fn generated(name: &str) -> String {
    match name.split_once(' ').unwrap_or((name, "")) {
        ("element", element) => element_table(element),
        ("verbs", _) => {
            let rows = |(heading, verbs): (String, Vec<String>)| {
                verbs.into_iter().map(move |verb| [heading.to_lowercase(), code(&verb), first_line(&[&verb])])
            };
            table(["to", "verb", "does"], groups().into_iter().flat_map(rows))
        }
        ("json", "verbs") => json_verbs(),
        ("exit", "codes") => table(["exit code", "meaning"], exit_codes()),
        ("metrics", _) => {
            let row = |metric: &Metric| [code(metric.name()), metric.unit().to_owned(), metric.meaning().to_owned()];
            table(["metric", "unit", "meaning"], Metric::ALL.iter().map(row))
        }
        ("function", "variables") => variables(&[OF_FUNCTIONS]),
        ("container", "variables") => variables(&[OF_CONTAINERS, OF_WORKERS]),
        _ => panic!("nothing generates `{name}`"),
    }
}

fn table<const COLUMNS: usize>(head: [&str; COLUMNS], rows: impl IntoIterator<Item = [String; COLUMNS]>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.iter().map(|&cell| cell.to_owned()).collect()) + &"|---".repeat(COLUMNS) + "|\n";
    text.extend(rows.into_iter().map(|row| line(row.iter().map(|cell| cell.replace('|', "\\|")).collect())));
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn variables(lists: &[&[Variable]]) -> String {
    let all = lists.iter().flat_map(|list| list.iter());
    table(["variable", "holds"], all.map(|variable| [code(variable.name), variable.meaning.to_owned()]))
}

/// Returns a table of an element's keys, from the JSON Schema.
fn element_table(name: &str) -> String {
    let schema = schema();
    let element = if name == "ConfigFile" { &schema } else { &schema["$defs"][name] };
    let properties = element["properties"].as_object().unwrap_or_else(|| panic!("the schema has no element `{name}`"));
    let required: Vec<&str> = element["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let row = |(key, property): (&String, &Value)| {
        let mark = if required.contains(&key.as_str()) { " (required)" } else { "" };
        let description = property["description"].as_str().unwrap_or_default();
        let mut meaning = description.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(default) = property.get("default").filter(|_| !meaning.contains("Default:")) {
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            meaning += &format!(" Default: `{default}`.");
        }
        [format!("`{key}`{mark}"), meaning]
    };
    table(["key", "meaning"], properties.iter().map(row))
}

/// Returns what `ecs-trigger` with these arguments and `--help` prints.
fn help(arguments: &[&str]) -> String {
    let output = command().args(arguments).arg("--help").env("COLUMNS", "200").output().expect("runs");
    String::from_utf8(output.stdout).expect("is UTF-8")
}

/// Returns the groups of verbs that `--help` lists, with their headings.
pub(crate) fn groups() -> Vec<(String, Vec<String>)> {
    let text = help(&[]);
    let headings = text.lines().take_while(|line| *line != "Options:").filter(|line| line.ends_with(':'));
    let group = |heading: &str| (heading.trim_end_matches(':').to_owned(), listed(&text, heading));
    headings.map(group).filter(|(_, verbs)| !verbs.is_empty()).collect()
}

/// Returns the verbs that `--help` lists.
pub(crate) fn verbs() -> Vec<String> {
    groups().into_iter().flat_map(|(_, verbs)| verbs).collect()
}

/// Returns the commands that a help text lists below a heading.
fn listed(help: &str, heading: &str) -> Vec<String> {
    let name = |line: &str| {
        line.strip_prefix("  ")
            .filter(|line| !line.starts_with(' '))
            .and_then(|line| line.split(' ').next().map(str::to_owned))
    };
    section(help, heading).filter_map(name).filter(|verb| verb != "help").collect()
}

/// Returns the lines below a heading of a help text.
fn section<'a>(help: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    help.lines().skip_while(move |line| *line != heading).skip(1).take_while(|line| !line.is_empty())
}

/// Returns the first line of a verb's help.
fn first_line(verb: &[&str]) -> String {
    help(verb).lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

fn json_verbs() -> String {
    let mut with_json = Vec::new();
    for verb in verbs() {
        let text = help(&[&verb]);
        let below = listed(&text, "Commands:").into_iter();
        let nested: Vec<String> = below
            .filter(|sub| help(&[&verb, sub]).contains("--json"))
            .map(|sub| code(&format!("{verb} {sub}")))
            .collect();
        if text.contains("--json") {
            with_json.push(code(&verb));
        }
        with_json.extend(nested);
    }
    with_json.join(", ") + "\n"
}

/// Returns the exit codes that the help lists.
fn exit_codes() -> Vec<[String; 2]> {
    let text = help(&[]);
    let mut rows: Vec<[String; 2]> = Vec::new();
    for line in section(&text, "Exit codes:") {
        match line.strip_prefix("  ").filter(|line| !line.starts_with(' ')).and_then(|line| line.split_once(' ')) {
            Some((code, meaning)) => rows.push([code.to_owned(), meaning.trim().to_owned()]),
            None => {
                if let Some([_, meaning]) = rows.last_mut() {
                    *meaning = format!("{meaning} {}", line.trim());
                }
            }
        }
    }
    rows
}

#[test]
fn every_story_is_part_of_the_test_binary() {
    let main = fs::read_to_string(root().join("tests/stories/main.rs")).expect("is there");
    for entry in fs::read_dir(root().join("tests/stories")).expect("is a folder") {
        let path = entry.expect("is read").path();
        let name = path.file_stem().expect("has a name").to_string_lossy().into_owned();
        assert!(name == "main" || main.contains(&format!("mod {name};")), "{name} is in main.rs");
    }
}
