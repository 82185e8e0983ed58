//! What happens, as lines for people.

use std::time::Duration;

use clap::builder::styling::{AnsiColor, Style};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use trigger_local::dev::{
    About, ConfigChanges, ContainerExit, Element, Ending, Happening, Next, Start, Stream, Summary,
};

use crate::diagnostics::counted;
use crate::exit::Failed;
use crate::output::{line, message, printable, printable_lines, printable_output};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// All lines of a launch have the same color.
const COLOURS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Yellow, AnsiColor::Green];
/// Of an id, a line shows this many characters.
const ID_CHARACTERS: usize = 8;
/// Of a request that is refused, a line shows at most this many bytes.
const REQUEST_BYTES: usize = 80;
/// At most this many of the tasks that stop are named.
const NAMED_MAX: usize = 10;

/// Prints what happened.
pub(super) fn print(happening: &Happening, once: bool) -> Result<(), Failed> {
    let line = text(happening, once, Timestamp::now(), &TimeZone::system());
    let now = clock(&Zoned::now());
    match line {
        Line::Out(text) => line!("{DIM}{now}{DIM:#} {text}"),
        Line::Err(text) => {
            message!("{DIM}{now}{DIM:#} {text}");
            Ok(())
        }
    }
}

/// A line on standard output or standard error.
#[derive(Debug)]
enum Line {
    Out(String),
    Err(String),
}

fn text(happening: &Happening, once: bool, now: Timestamp, zone: &TimeZone) -> Line {
    let out = match happening {
        Happening::Watching { bucket, folder, files } if once => {
            format!("bucket {BOLD}{bucket}{BOLD:#}: folder {} ({})", folder.display(), counted(*files, "file"))
        }
        Happening::Watching { bucket, folder, files } => {
            let there = match files {
                0 => String::new(),
                _ => format!(" (ignoring {} already there; `--once` processes them)", counted(*files, "file")),
            };
            format!("bucket {BOLD}{bucket}{BOLD:#}: folder {}, waiting for new files{there}", folder.display())
        }
        Happening::WatchingQueue { queue, folder, messages } => {
            let there = counted(*messages, "message");
            format!("queue {BOLD}{queue}{BOLD:#}: folder {} ({there})", folder.display())
        }
        Happening::Listening { url, file } => {
            format!("{BOLD}S3 and SQS{BOLD:#}: {url}, with the credentials in {}", file.display())
        }
        Happening::MissingLocal { task_definition, snippet } => {
            return Line::Err(format!(
                "{YELLOW}warning{YELLOW:#}: the config does not say what runs for `{}` on this machine; add:\n{}",
                printable(task_definition),
                printable_lines(snippet.trim_end())
            ));
        }
        Happening::ConfigChanged(changes) => format!("{BOLD}the config has changed{BOLD:#}: {}", changed(changes)),
        Happening::ConfigKept { reason } => {
            return Line::Err(format!("{RED}the config's change does not apply{RED:#}: {}", printable(reason)));
        }
        Happening::Scheduled { route, next } => match next {
            Some(next) => format!("{BOLD}{route}{BOLD:#} fires next at {next}"),
            None => format!("{BOLD}{route}{BOLD:#} never fires again"),
        },
        Happening::Fired { route, scheduled_time, .. } => format!("{BOLD}{route}{BOLD:#} fires for {scheduled_time}"),
        Happening::Superseded { next, .. } => {
            format!("  {DIM}skipped: superseded by the firing at {next}{DIM:#}")
        }
        Happening::Message { queue, message_id, receive_count } => {
            let again = if *receive_count > 1 { format!(", received {receive_count} times") } else { String::new() };
            format!("message from {BOLD}{queue}{BOLD:#}: {}{again}", printable(message_id))
        }
        Happening::MessageIgnored { reason, .. } => format!("  {DIM}ignored: {}{DIM:#}", printable(reason)),
        Happening::HeldBack { .. } => {
            format!("  {DIM}returned to its queue: an earlier message of its group failed{DIM:#}")
        }
        Happening::DeadLettered { queue, file } => {
            let file = file.display().to_string();
            return Line::Err(format!("{RED}dead letter{RED:#} from the queue {queue}: {}", printable(&file)));
        }
        Happening::Object { detail_type, bucket, key, .. } => {
            format!("{detail_type}: {BOLD}{bucket}/{}{BOLD:#}", printable(key))
        }
        Happening::Emitted { source, detail_type, event_id } => {
            let (source, detail_type) = (printable(source), printable(detail_type));
            format!("event {BOLD}{source} {detail_type}{BOLD:#}: {}", printable(event_id))
        }
        Happening::Incomplete { bucket, key } => {
            format!("{DIM}{bucket}/{} is still being written{DIM:#}", printable(key))
        }
        Happening::Ignored { .. } => format!("  {DIM}no route matches{DIM:#}"),
        Happening::EmptyList { routes, .. } => {
            format!("  {DIM}the `for_each` list is empty for {}{DIM:#}", routes.join(", "))
        }
        Happening::Launched { about, task_name, start, .. } => {
            let number = if start.max > 1 { format!(", {}", attempt(*start)) } else { String::new() };
            format!("{}: runs {task_name}{number}", head(about))
        }
        Happening::Duplicate { about } => format!("{}: {DIM}has already run for this event{DIM:#}", head(about)),
        Happening::Skipped { about, reason } => format!("{}: {DIM}skipped: {}{DIM:#}", head(about), printable(reason)),
        Happening::Deferred { about, reason } => format!("{}: {DIM}waits: {}{DIM:#}", head(about), printable(reason)),
        Happening::EventDeadLettered { about, reason } => {
            return Line::Err(format!("{}: {RED}dead letter{RED:#}: {}", head(about), printable(reason)));
        }
        Happening::LetterClosed { about, file } => {
            let file = printable(&file.display().to_string());
            format!("{}: {GREEN}the work of its dead letter is done{GREEN:#}; the letter is now {file}", head(about))
        }
        Happening::LaunchRefused { about, reason } => {
            return Line::Err(format!("{}: {RED}error{RED:#}: {}", head(about), printable(reason)));
        }
        Happening::Refused { reason } => return Line::Err(format!("{RED}error{RED:#}: {}", printable(reason))),
        Happening::Requested { answer: Ok(answer), .. } => format!("request carried out: {}", printable(answer)),
        Happening::Requested { request, answer: Err(reason) } => {
            let request = printable(request[..request.floor_char_boundary(REQUEST_BYTES)].trim_end());
            return Line::Err(format!("{RED}request refused{RED:#}: {request}: {}", printable(reason)));
        }
        Happening::Scaling { worker, visible, in_flight, running, desired, reason, depths } => format!(
            "{BOLD}{worker}{BOLD:#} {} {visible} visible, {in_flight} in flight; {running} of {desired} workers; \
             {DIM}{}{DIM:#}",
            chart(depths),
            printable(reason)
        ),
        Happening::Output { task, about, container, stream, line } => {
            let bar = if *stream == Stream::Stderr { '!' } else { '|' };
            format!("{} {container} {bar} {}", label(id_of(task, about.as_ref())), printable_output(line))
        }
        Happening::Stopped { task, about: None, containers, duration, .. } => {
            let exits: Vec<String> =
                containers.iter().map(|exit| format!("{} {}", exit.container, code(exit))).collect();
            format!("{} stopped after {}: {}", label(task), seconds(*duration), exits.join(", "))
        }
        Happening::Stopped { about: Some(about), containers, duration, ending, next, .. } => {
            let how = ended(*ending, containers);
            format!("{}: {how} after {}{}", head(about), seconds(*duration), follows(*next, now, zone))
        }
        Happening::Stopping { tasks } => stopping(tasks),
    };
    Line::Out(out)
}

/// Returns how the line of a launch begins: its id, its route, and what it is about.
fn head(about: &About) -> String {
    let id = about.launch.as_ref().map(|launch| label(&launch.id) + " ").unwrap_or_default();
    format!("{id}{BOLD}{}{BOLD:#} {}", about.route, printable(&about.subject))
}

/// Returns the id that a task's lines show: that of its launch, which all attempts share.
fn id_of<'a>(task: &'a str, about: Option<&'a About>) -> &'a str {
    about.and_then(|about| about.launch.as_ref()).map_or(task, |launch| &launch.id)
}

/// Returns the beginning of an id, in its color. Verbs find launches and tasks by it.
fn label(id: &str) -> String {
    // Ids are the hexadecimal digits of a hash, so their sum spreads the colors evenly.
    let colour = id.bytes().map(usize::from).sum::<usize>() % COLOURS.len();
    let style = COLOURS[colour].on_default();
    format!("{style}{}{style:#}", id.get(..ID_CHARACTERS).unwrap_or(id))
}

fn attempt(start: Start) -> String {
    format!("attempt {} of {}", start.number, start.max)
}

fn ended(ending: Ending, containers: &[ContainerExit]) -> String {
    let codes = match containers {
        [only] => code(only),
        several => {
            let codes: Vec<String> = several.iter().map(|exit| format!("{} {}", exit.container, code(exit))).collect();
            codes.join(", ")
        }
    };
    match ending {
        Ending::Succeeded => format!("{GREEN}succeeded{GREEN:#}"),
        Ending::Failed => format!("{RED}failed{RED:#} ({codes})"),
        Ending::TimedOut => format!("{RED}ran longer than its timeout{RED:#} ({codes})"),
        Ending::Stopped => format!("{YELLOW}stopped{YELLOW:#} ({codes})"),
        Ending::Replaced => format!("{YELLOW}replaced by a later launch{YELLOW:#} ({codes})"),
    }
}

fn code(exit: &ContainerExit) -> String {
    format!("exit {}", exit.code)
}

fn follows(next: Next, now: Timestamp, zone: &TimeZone) -> String {
    match next {
        Next::Nothing => String::new(),
        Next::Again { start, at } => format!(", {} {}", attempt(start), when(at, now, zone)),
    }
}

/// Returns when something happens: in seconds if it is soon.
fn when(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let left = at.duration_since(now).as_secs_f64();
    match left {
        soon if soon < 0.05 => "at once".to_owned(),
        soon if soon < 0.95 => format!("in {soon:.1} s"),
        soon if soon < 60.0 => format!("in {soon:.0} s"),
        _ => format!("at {}", clock(&at.to_zoned(zone.clone()))),
    }
}

fn clock(time: &Zoned) -> String {
    time.strftime("%H:%M:%S").to_string()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn stopping(tasks: &[(String, Option<About>)]) -> String {
    if tasks.is_empty() {
        return "stopping".to_owned();
    }
    let name = |(task, about): &(String, Option<About>)| match about {
        Some(about) => head(about),
        None => format!("the worker {}", label(task)),
    };
    let mut named: Vec<String> = tasks.iter().take(NAMED_MAX).map(name).collect();
    if tasks.len() > NAMED_MAX {
        named.push(format!("and {} more", tasks.len() - NAMED_MAX));
    }
    let count = counted(tasks.len(), "task");
    format!("stopping {count}: {}; press Ctrl-C again to end at once", named.join(", "))
}

fn changed(changes: &ConfigChanges) -> String {
    let kinds = [("added", &changes.added), ("changed", &changes.changed), ("removed", &changes.removed)];
    let named = |elements: &[Element]| -> String {
        let names = elements.iter().map(|element| format!("{} {}", element.kind, printable(&element.name)));
        names.collect::<Vec<_>>().join(", ")
    };
    let kinds = kinds.into_iter().filter(|(_, elements)| !elements.is_empty());
    kinds.map(|(verb, elements)| format!("{verb} {}", named(elements))).collect::<Vec<_>>().join("; ")
}

/// Returns the depths of the last ticks as a bar chart, scaled to the highest of them.
fn chart(depths: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = depths.iter().copied().max().unwrap_or(0).max(1);
    let bar = |depth: &u64| BARS[usize::try_from(depth * 7 / highest).unwrap_or(7).min(7)];
    depths.iter().map(bar).collect()
}

/// Prints the totals of a run.
pub(super) fn print_summary(summary: Summary) -> Result<(), Failed> {
    let Summary { events, succeeded, failed, refused } = summary;
    let mut line = format!(
        "{}, {}: {succeeded} succeeded, {failed} failed",
        counted(events, "event"),
        counted(succeeded + failed, "task")
    );
    if refused > 0 {
        line.push_str(&format!("; {refused} refused"));
    }
    let style = if failed + refused == 0 { GREEN } else { RED };
    line!("{style}{line}{style:#}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use expect_test::expect;
    use jiff::tz::TimeZone;
    use jiff::{SignedDuration, Timestamp};
    use trigger_core::event::identity::LaunchKey;
    use trigger_local::dev::{About, ConfigChanges, ContainerExit, Element, Ending, Happening, Next, Start, Stream};

    use super::{Line, text};

    fn plain(happening: &Happening) -> String {
        let now: Timestamp = "2026-01-01T10:00:00Z".parse().expect("is a time");
        let (Line::Out(text) | Line::Err(text)) = text(happening, false, now, &TimeZone::UTC);
        anstream::adapter::strip_str(&text).to_string()
    }

    fn after(seconds: f64) -> Timestamp {
        let now: Timestamp = "2026-01-01T10:00:00Z".parse().expect("is a time");
        now.checked_add(SignedDuration::from_secs_f64(seconds)).expect("is a time")
    }

    fn about() -> About {
        let launch = LaunchKey::new("convert", "2026-01-01", "0123456789abcdef0123456789abcdef");
        About {
            route: "convert".to_owned(),
            launch: Some(launch),
            attempt: Some(0),
            event_id: "e".to_owned(),
            subject: "in/a.csv".to_owned(),
        }
    }

    fn stopped(ending: Ending, codes: &[u8], next: Next) -> Happening {
        let containers = ["app", "log"].iter().zip(codes);
        let exit =
            |(name, code): (&&str, &u8)| ContainerExit { container: (*name).to_owned(), code: *code, essential: true };
        Happening::Stopped {
            task: "t".to_owned(),
            about: Some(about()),
            containers: containers.map(exit).collect(),
            duration: Duration::from_millis(1240),
            ending,
            next,
        }
    }

    #[test]
    fn the_lines_of_a_launch_have_its_id_its_route_and_its_object() {
        let again = |number, at| Next::Again { start: Start { number, max: 3 }, at };
        let launched = |max| Happening::Launched {
            about: about(),
            task_name: "import".to_owned(),
            task: "t".to_owned(),
            start: Start { number: 1, max },
        };
        let line = "\u{1b}[2Jhello".to_owned();
        let output = Happening::Output {
            task: "t".to_owned(),
            about: Some(about()),
            container: "app".to_owned(),
            stream: Stream::Stderr,
            line,
        };
        let happenings = [
            launched(1),
            launched(3),
            output,
            stopped(Ending::Succeeded, &[0], Next::Nothing),
            stopped(Ending::Failed, &[1], again(2, after(4.99))),
            stopped(Ending::Failed, &[1], again(2, after(-3.0))),
            stopped(Ending::Failed, &[1], again(2, after(0.5))),
            stopped(Ending::Failed, &[1, 143], again(3, after(3600.0))),
            stopped(Ending::TimedOut, &[143], Next::Nothing),
            Happening::Duplicate { about: about() },
            Happening::EventDeadLettered { about: about(), reason: "no".to_owned() },
            Happening::LetterClosed { about: about(), file: PathBuf::from("done/1.json") },
            Happening::Stopping { tasks: vec![("t".to_owned(), Some(about())), ("0123456789".to_owned(), None)] },
            Happening::Stopping { tasks: Vec::new() },
        ];
        expect![[r"
            01234567 convert in/a.csv: runs import
            01234567 convert in/a.csv: runs import, attempt 1 of 3
            01234567 app ! \u{1b}[2Jhello
            01234567 convert in/a.csv: succeeded after 1.2 s
            01234567 convert in/a.csv: failed (exit 1) after 1.2 s, attempt 2 of 3 in 5 s
            01234567 convert in/a.csv: failed (exit 1) after 1.2 s, attempt 2 of 3 at once
            01234567 convert in/a.csv: failed (exit 1) after 1.2 s, attempt 2 of 3 in 0.5 s
            01234567 convert in/a.csv: failed (app exit 1, log exit 143) after 1.2 s, attempt 3 of 3 at 11:00:00
            01234567 convert in/a.csv: ran longer than its timeout (exit 143) after 1.2 s
            01234567 convert in/a.csv: has already run for this event
            01234567 convert in/a.csv: dead letter: no
            01234567 convert in/a.csv: the work of its dead letter is done; the letter is now done/1.json
            stopping 2 tasks: 01234567 convert in/a.csv, the worker 01234567; press Ctrl-C again to end at once
            stopping
        "]]
        .assert_eq(&happenings.iter().map(|happening| plain(happening) + "\n").collect::<String>());
    }

    #[test]
    fn a_change_of_the_config_is_told_by_names() {
        let element = |kind, name: &str| Element { kind, name: name.to_owned() };
        let changes = ConfigChanges {
            added: vec![element("route", "b")],
            changed: Vec::new(),
            removed: vec![element("route", "a"), element("task", "t")],
        };
        let line = plain(&Happening::ConfigChanged(changes));
        assert_eq!(line, "the config has changed: added route b; removed route a, task t");
    }
}
