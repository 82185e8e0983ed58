//! Parses YAML 1.2 into [`Node`]s, from `saphyr-parser`'s events.
//!
//! Plain scalars resolve to JSON's values: `null`, `~` and an empty scalar are null, `true` and `false` are booleans,
//! and numbers in JSON's grammar are numbers; everything else is a string.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as YamlSpan};

use super::diagnostic::Diagnostic;
use super::{Entry, Kind, Node, Span, Spanned, json};

/// Mappings and sequences that nest deeper than this many levels are an error.
const DEPTH_MAX: usize = 100;
/// A file with more values than this, aliases expanded, is an error: a bound on "billion laughs".
const NODES_MAX: usize = 2_000_000;

/// Parses a file of one YAML document. The problems are every duplicate key, and the first other error; with such an
/// error there is no tree.
pub fn parse(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    parse_at(0, text)
}

/// Parses a text of another tool's file, from offset `start` of its source: merge keys (`<<`) stay entries of their
/// mappings.
pub fn parse_with_merge_keys(start: usize, text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    read(start, text, true)
}

/// Parses a text that begins at offset `start` of its source.
pub fn parse_at(start: usize, text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    read(start, text, false)
}

fn read(start: usize, text: &str, keeps_merge_keys: bool) -> (Option<Node>, Vec<Diagnostic>) {
    let mut reader = Reader {
        keeps_merge_keys,
        parser: Parser::new_from_str(text),
        byte_offsets: text.char_indices().map(|(at, _)| start + at).chain([start + text.len()]).collect(),
        anchors: HashMap::new(),
        problems: Vec::new(),
        nodes: 0,
    };
    let node = reader.file().map_err(|problem| reader.problems.push(unquoted(start, text, problem))).ok();
    (node, reader.problems)
}

/// Returns a value as YAML in flow style, on one line.
pub fn flow(node: &Node) -> String {
    one_line(node, flow_string)
}

/// Returns a value as YAML in flow style, with each string and each key as `string` writes it.
fn one_line(node: &Node, string: fn(&str) -> String) -> String {
    match &node.kind {
        Kind::String(text) => string(text),
        Kind::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(|element| one_line(element, string)).collect();
            format!("[{}]", elements.join(", "))
        }
        Kind::Object(entries) if !entries.is_empty() => {
            let entry = |entry: &Entry| format!("{}: {}", string(&entry.key), one_line(&entry.value, string));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        _ => json::write(node),
    }
}

/// A value that takes at most this many characters is on one line.
const LINE_CHARACTERS_MAX: usize = 100;

/// Returns a mapping as the text of a YAML file, with exactly its values.
pub fn file(node: &Node) -> String {
    let mut text = String::new();
    match &node.kind {
        Kind::Object(entries) => entries.iter().for_each(|entry| write_entry(entry, 0, &mut text)),
        _ => text.push_str(&exact(node)),
    }
    text
}

fn write_entry(entry: &Entry, indent: usize, text: &mut String) {
    text.push_str(&format!("{:indent$}{}:", "", scalar(&entry.key)));
    match is_long(&entry.value, indent) {
        true => {
            text.push('\n');
            write_block(&entry.value, indent + 2, text);
        }
        false => text.push_str(&format!(" {}\n", exact(&entry.value))),
    }
}

fn write_block(node: &Node, indent: usize, text: &mut String) {
    match &node.kind {
        Kind::Object(entries) => entries.iter().for_each(|entry| write_entry(entry, indent, text)),
        Kind::Array(elements) => {
            for element in elements {
                let start = text.len();
                match is_long(element, indent) {
                    true => write_block(element, indent + 2, text),
                    false => text.push_str(&format!("{:indent$}  {}\n", "", exact(element))),
                }
                text.replace_range(start + indent..=start + indent, "-");
            }
        }
        _ => text.push_str(&format!("{:indent$}{}\n", "", exact(node))),
    }
}

fn is_long(node: &Node, indent: usize) -> bool {
    let is_full = match &node.kind {
        Kind::Array(elements) => !elements.is_empty(),
        Kind::Object(entries) => !entries.is_empty(),
        _ => false,
    };
    is_full && indent + exact(node).chars().count() > LINE_CHARACTERS_MAX
}

/// Returns a value on one line, with exactly its strings.
fn exact(node: &Node) -> String {
    one_line(node, scalar)
}

fn scalar(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_plain = is_word && text.chars().all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c));
    match plain_scalar(text) {
        Kind::String(_) if is_plain => text.to_owned(),
        _ => json::quote(text),
    }
}

/// Returns a string in the plainest style that means the same in flow style.
fn flow_string(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._/-".contains(c);
    let is_word = text.starts_with(|c: char| c.is_alphanumeric() || "._/".contains(c)) && text.chars().all(is_plain);
    // An option such as `-c` is plain as well; a single `-` begins an element.
    let is_option = text.len() > 1 && text.starts_with('-') && text[1..].chars().all(is_plain);
    match plain_scalar(text) {
        Kind::String(_) if is_word || is_option => text.to_owned(),
        _ if text.contains('"') && !text.contains(['\'', '\n']) => format!("'{text}'"),
        _ => json::quote(text),
    }
}

/// What begins a value that needs quotes where YAML reads a brace as the start of a mapping.
const OPENINGS: [(&str, &str); 3] = [("{{", "}}"), ("{%", "%}"), ("${", "}")];

/// Returns a problem that names the remedy, if YAML stumbled over a template or a variable outside quotes.
fn unquoted(start: usize, text: &str, problem: Diagnostic) -> Diagnostic {
    let at = problem.span.start - start;
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let before = |(from, _): &(usize, usize)| *from <= at - line_start;
    let Some((from, to)) = values_with_braces(line).into_iter().take_while(before).last() else { return problem };
    let value = &line[from..to];
    let quoted = match value.contains('"') {
        true => format!("'{}'", value.replace('\'', "''")),
        false => format!("\"{value}\""),
    };
    let span = Span::new(start + line_start + from, start + line_start + to);
    Diagnostic::error(span, "this value needs quotes: YAML reads `{` as the start of a mapping")
        .help(format!("write `{quoted}`"))
}

/// Returns the ranges of a line's values without quotes that contain a template or a variable.
fn values_with_braces(line: &str) -> Vec<(usize, usize)> {
    let mut values = Vec::new();
    // Where the value begins, whether it has braces, and how many flow collections are open around it.
    let (mut from, mut has_braces, mut depth) = (0, false, 0_usize);
    let mut at = 0;
    let mut end = |from: usize, to: usize, has_braces: bool| {
        let value = line[from..to].trim_end().trim_end_matches(',');
        let blank = value.len() - value.trim_start().len();
        values.extend(has_braces.then_some((from + blank, from + value.len())));
    };
    while let Some(character) = line[at..].chars().next() {
        let rest = &line[at..];
        let begins = line[from..at].trim().is_empty();
        let next_is_blank = rest[character.len_utf8()..].chars().next().is_none_or(char::is_whitespace);
        if let Some((opening, closing)) = OPENINGS.iter().find(|(opening, _)| rest.starts_with(opening)) {
            has_braces = true;
            at += rest[opening.len()..].find(closing).map_or(rest.len(), |end| opening.len() + end + closing.len());
            continue;
        }
        let is_separator = match character {
            '[' | '{' if begins => {
                depth += 1;
                true
            }
            ']' | '}' | ',' if depth > 0 => true,
            ':' => next_is_blank,
            '-' => begins && next_is_blank,
            '"' | '\'' if begins => {
                let close = rest[1..].find(character).map_or(rest.len(), |close| close + 2);
                at += close;
                from = at;
                continue;
            }
            '#' if at == 0 || line[..at].ends_with(' ') => break,
            _ => false,
        };
        if is_separator {
            end(from, at, has_braces);
            (from, has_braces) = (at + character.len_utf8(), false);
        }
        at += character.len_utf8();
    }
    end(from, at, has_braces);
    values
}

struct Reader<'a> {
    /// Whether merge keys are entries like others. Otherwise they are an error.
    keeps_merge_keys: bool,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// The byte offset of each character: the parser counts characters.
    byte_offsets: Vec<usize>,
    anchors: HashMap<usize, Node>,
    problems: Vec<Diagnostic>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn file(&mut self) -> Result<Node, Diagnostic> {
        let (mut event, mut span) = self.next()?;
        while matches!(event, Event::StreamStart | Event::DocumentStart(_)) {
            (event, span) = self.next()?;
        }
        if event == Event::StreamEnd {
            return Ok(Node { span, kind: Kind::Null });
        }
        let node = self.node(event, span, 0)?;
        match self.next()? {
            (Event::DocumentEnd, _) => {}
            (_, span) => return Err(Diagnostic::error(span, "expected the end of the document")),
        }
        match self.next()? {
            (Event::StreamEnd, _) => Ok(node),
            (_, span) => {
                Err(Diagnostic::error(span, "the file has a second YAML document").help("keep one document per file"))
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.span(span))),
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                let end = self.byte(error.marker().index() + 1);
                Err(Diagnostic::error(Span::new(at, end), format!("invalid YAML: {}", error.info())))
            }
            None => {
                let end = self.byte(usize::MAX);
                Err(Diagnostic::error(Span::new(end, end), "invalid YAML: the file ends too early"))
            }
        }
    }

    fn byte(&self, character: usize) -> usize {
        self.byte_offsets[character.min(self.byte_offsets.len() - 1)]
    }

    fn span(&self, span: YamlSpan) -> Span {
        Span::new(self.byte(span.start.index()), self.byte(span.end.index()))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Diagnostic> {
        self.count(1, span)?;
        if depth > DEPTH_MAX {
            return Err(Diagnostic::error(span, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let (node, anchor) = match event {
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node =
                    node.ok_or_else(|| Diagnostic::error(span, "an alias must refer to a complete value before it"))?;
                self.count(size(&node), span)?;
                (Node { span, ..node }, 0)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tagged_string = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !tagged_string;
                let kind = if plain { plain_scalar(&text) } else { Kind::String(text.into_owned()) };
                (Node { span, kind }, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.sequence(span, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.mapping(span, depth)?, anchor),
            _ => return Err(Diagnostic::error(span, "expected a value")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Diagnostic> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return Err(Diagnostic::error(
                span,
                format!("the file has more than {NODES_MAX} values, aliases expanded"),
            ));
        }
        Ok(())
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<Node, Diagnostic> {
        let mut elements = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    let span = Span::new(start.start, end_of(end, elements.last()));
                    return Ok(Node { span, kind: Kind::Array(elements) });
                }
                (event, span) => elements.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Result<Node, Diagnostic> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, ()> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                let span = Span::new(start.start, end_of(span, entries.last().map(|entry| &entry.value)));
                return Ok(Node { span, kind: Kind::Object(entries) });
            }
            let is_merge_key = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            if is_merge_key && !self.keeps_merge_keys {
                let (event, of_value) = self.next()?;
                let merged = self.node(event, of_value, depth + 1)?;
                self.problems.push(merge_key(span, &merged));
                continue;
            }
            let key = self.key(event, span)?;
            if seen.insert(key.value.clone(), ()).is_some() {
                let message = format!("duplicate key `{}` in this mapping", key.value);
                self.problems.push(Diagnostic::error(span, message).help("remove one of them"));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry { key, value });
        }
    }

    fn key(&mut self, event: Event<'a>, span: Span) -> Result<Spanned<String>, Diagnostic> {
        match event {
            Event::Scalar(text, ..) => Ok(Spanned { span, value: text.into_owned() }),
            _ => Err(Diagnostic::error(span, "a key must be a plain or quoted scalar")),
        }
    }
}

/// Returns the end of a collection: its closing bracket or, in block style, its last value (the end event comes later).
fn end_of(end: Span, last: Option<&Node>) -> usize {
    match last {
        Some(last) if end.start == end.end => last.span.end,
        _ if end.start == end.end => end.end,
        // The parser's own end includes what follows the bracket: blanks and a comment.
        _ => end.start + 1,
    }
}

/// Reports a merge key, which YAML 1.2 does not have.
fn merge_key(span: Span, merged: &Node) -> Diagnostic {
    let keys: Vec<&str> = match &merged.kind {
        Kind::Object(entries) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => Vec::new(),
    };
    let keys = if keys.is_empty() { "the keys".to_owned() } else { format!("`{}`", keys.join("`, `")) };
    Diagnostic::error(span, "merge keys (`<<`) are not part of YAML 1.2").help(format!(
        "write {keys} here; settings that all tasks share belong under `defaults`, and an alias can stand for one \
         value, as in `tags: *tags`"
    ))
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Array(elements) => 1 + elements.iter().map(size).sum::<usize>(),
        Kind::Object(entries) => 1 + entries.iter().map(|entry| size(&entry.value)).sum::<usize>(),
        _ => 1,
    }
}

fn plain_scalar(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        number if json::is_number(number) => Kind::Number(number.to_owned()),
        other => Kind::String(other.to_owned()),
    }
}
