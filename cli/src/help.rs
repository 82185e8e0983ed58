//! The help of the command as a whole: the verbs in groups, and the exit codes, as wide as the terminal.

use std::env;

use clap::Command;
use clap::builder::Styles;
use terminal_size::{Width, terminal_size};

use crate::exit;

/// The groups of verbs, in the order in which a user needs them. All other verbs are in a last group.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "Write a config",
        &[
            "init", "import", "validate", "test", "plan", "explain", "pattern", "schedule", "scaling", "simulate",
            "schema",
        ],
    ),
    ("Try it on this machine", &["dev", "send", "emit"]),
    ("Deploy it", &["synth", "verify", "diff", "deploy", "rollback", "destroy"]),
    ("Operate it", &["status", "runs", "show", "logs", "run", "cancel", "retry", "dead-letters", "redrive", "replay"]),
];
/// The last group.
const OTHERS: &str = "Others";
/// The width of a help text where there is no terminal.
const WIDTH: usize = 100;
/// A description gets at least this many columns, however narrow the terminal is.
const DESCRIPTION_MIN: usize = 20;

/// Returns the command with its verbs in groups.
pub(crate) fn in_groups(command: Command) -> Command {
    let width = width();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{}\n{{options}}{{after-help}}",
        verbs(&command, width),
        heading("Options")
    );
    let codes = exit::CODES.map(|(code, meaning)| (code.to_string(), meaning.to_owned()));
    let after = format!(
        "{}\n{}\n`ecs-trigger VERB --help` explains a verb, with examples. Documentation: docs/ in the repository",
        heading("Exit codes"),
        rows(&codes, width)
    );
    command.term_width(width).help_template(template).after_help(after)
}

/// Returns the width for a help text: the terminal's, or the one that the environment names.
fn width() -> usize {
    let of_terminal = terminal_size().map(|(Width(columns), _)| usize::from(columns));
    let named = || env::var("COLUMNS").ok()?.parse().ok();
    of_terminal.or_else(named).filter(|columns| *columns > 0).unwrap_or(WIDTH)
}

/// Returns the groups of verbs, each with its heading.
fn verbs(command: &Command, width: usize) -> String {
    let mut built = command.clone();
    built.build();
    let mut rest: Vec<(String, String)> = built
        .get_subcommands()
        .map(|verb| (verb.get_name().to_owned(), verb.get_about().map(ToString::to_string).unwrap_or_default()))
        .collect();
    // The columns of all groups are aligned.
    let name_width = rest.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut add = |title: &str, group: &[(String, String)]| {
        if !group.is_empty() {
            text += &format!("{}\n{}\n", heading(title), rows_of(group, name_width, width));
        }
    };
    for (title, names) in GROUPS {
        let place = |(name, _): &(String, String)| names.iter().position(|listed| listed == name);
        let mut group: Vec<(String, String)> = rest.extract_if(.., |verb| place(verb).is_some()).collect();
        group.sort_by_key(|verb| place(verb));
        add(title, &group);
    }
    add(OTHERS, &rest);
    text
}

fn heading(title: &str) -> String {
    let styles = Styles::styled();
    let style = styles.get_header();
    format!("{style}{title}:{style:#}")
}

/// Returns one row for each pair: the first text, and beside it the second one, wrapped.
fn rows(pairs: &[(String, String)], width: usize) -> String {
    rows_of(pairs, pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0), width)
}

fn rows_of(pairs: &[(String, String)], name_width: usize, width: usize) -> String {
    let styles = Styles::styled();
    let style = styles.get_literal();
    let indent = name_width + 4;
    let mut text = String::new();
    for (name, description) in pairs {
        let mut lines = wrapped(description, width.saturating_sub(indent).max(DESCRIPTION_MIN)).into_iter();
        let first = lines.next().unwrap_or_default();
        text += &format!("  {style}{name}{style:#}{}  {first}\n", " ".repeat(name_width - name.len()));
        text.extend(lines.map(|line| format!("{}{line}\n", " ".repeat(indent))));
    }
    text
}

/// Breaks a text into lines of at most `width` columns. A longer word has a line of its own.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{rows, wrapped};

    #[test]
    fn a_text_is_broken_between_words_and_a_long_word_keeps_its_line() {
        for (text, lines) in [
            ("", &[] as &[&str]),
            ("one", &["one"]),
            ("one two", &["one two"]),
            ("one two three", &["one two", "three"]),
            ("a incomprehensible b", &["a", "incomprehensible", "b"]),
            ("één twee", &["één", "twee"]),
        ] {
            assert_eq!(wrapped(text, 7), lines, "{text}");
        }
    }

    #[test]
    fn descriptions_are_aligned_and_keep_a_width_on_a_narrow_terminal() {
        let pairs =
            [("a", "the first letter of them"), ("abc", "x")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain(rows(&pairs, 24)), "  a    the first letter of\n       them\n  abc  x\n");
        assert_eq!(plain(rows(&pairs, 0)), plain(rows(&pairs, 27)));
    }
}
