//! Parses JSON (RFC 8259) into [`Node`]s: keeps exact numbers and duplicate keys, and checks the grammar of every byte.

use std::borrow::Cow;
use std::fmt::Write;

use super::{Entry, Kind, Node, Span, Spanned};

/// Arrays and objects that nest deeper than this many levels are a syntax error.
pub const DEPTH_MAX: usize = 512;

/// A number with more characters than this is a syntax error.
const NUMBER_CHARACTERS_MAX: usize = 1000;

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {}", .span.start)]
pub struct SyntaxError {
    /// Where the text stops being JSON.
    pub span: Span,
    /// What is wrong there.
    pub message: String,
}

/// Parses one JSON text; anything but white space after it is an error.
///
/// # Errors
/// The text is not JSON; the error gives the first place at which it is not.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut parser = Parser { scanner: Scanner::new(text), depth: 0 };
    let node = parser.value().and_then(|node| parser.scanner.end().map(|()| node));
    node.map_err(|error| *error)
}

/// The result of scanning. The error is boxed because a large error type would slow down every token.
pub(crate) type Scanned<T> = Result<T, Box<SyntaxError>>;

/// Returns `text` as a JSON string, quotes included.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Returns the node as compact JSON.
pub fn write(node: &Node) -> String {
    let mut out = String::new();
    write_into(&mut out, node);
    out
}

fn write_into(out: &mut String, node: &Node) {
    match &node.kind {
        Kind::Null => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Kind::Number(text) => out.push_str(text),
        Kind::String(text) => out.push_str(&quote(text)),
        Kind::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_into(out, element);
            }
            out.push(']');
        }
        Kind::Object(entries) => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&quote(&entry.key));
                out.push(':');
                write_into(out, &entry.value);
            }
            out.push('}');
        }
    }
}

/// Returns whether `text` is a number in JSON's grammar.
pub fn is_number(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.number().is_ok() && scanner.at == text.len()
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    depth: usize,
}

impl Parser<'_> {
    fn value(&mut self) -> Scanned<Node> {
        self.scanner.white_space();
        let start = self.scanner.at;
        let kind = match self.scanner.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => Kind::String(self.scanner.string()?.decode().into_owned()),
            Some(b't') => self.scanner.literal("true").map(|()| Kind::Bool(true))?,
            Some(b'f') => self.scanner.literal("false").map(|()| Kind::Bool(false))?,
            Some(b'n') => self.scanner.literal("null").map(|()| Kind::Null)?,
            _ => Kind::Number(self.scanner.number()?.to_owned()),
        };
        Ok(Node { span: Span::new(start, self.scanner.at), kind })
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Scanned<Kind>) -> Scanned<Kind> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.scanner.error(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.scanner.at += 1;
        let kind = parse(self);
        self.depth -= 1;
        kind
    }

    fn array(&mut self) -> Scanned<Kind> {
        let mut elements = Vec::new();
        if self.scanner.closes(b']') {
            return Ok(Kind::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            if self.scanner.separator(b']')? {
                return Ok(Kind::Array(elements));
            }
        }
    }

    fn object(&mut self) -> Scanned<Kind> {
        let mut entries = Vec::new();
        if self.scanner.closes(b'}') {
            return Ok(Kind::Object(entries));
        }
        loop {
            self.scanner.white_space();
            let start = self.scanner.at;
            let key = self.scanner.string()?.decode().into_owned();
            let key = Spanned { span: Span::new(start, self.scanner.at), value: key };
            self.scanner.colon()?;
            entries.push(Entry { key, value: self.value()? });
            if self.scanner.separator(b'}')? {
                return Ok(Kind::Object(entries));
            }
        }
    }
}

/// A scanner for JSON's tokens in borrowed text. The tree parser and the event matcher share it, so both accept exactly
/// the same texts.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    /// The offset of the byte to read next.
    pub(crate) at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(crate) fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> Box<SyntaxError> {
        let start = self.text.floor_char_boundary(self.at);
        let end = self.text.ceil_char_boundary(start + 1);
        Box::new(SyntaxError { span: Span::new(start, end), message: message.into() })
    }

    fn unexpected(&self, expected: &str) -> Box<SyntaxError> {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => self.error(format!("expected {expected}, found `{}`", found.escape_debug())),
            None => self.error(format!("expected {expected}, found the end of the text")),
        }
    }

    /// Returns whether the array or object that was just opened is empty; if so, reads its `close`.
    #[inline]
    pub(crate) fn closes(&mut self, close: u8) -> bool {
        self.white_space();
        let closes = self.peek() == Some(close);
        self.at += usize::from(closes);
        closes
    }

    /// Reads what follows an element: returns `false` for a comma and `true` for `close`.
    #[inline]
    pub(crate) fn separator(&mut self, close: u8) -> Scanned<bool> {
        self.white_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.unexpected(&format!("`,` or `{}`", char::from(close)))),
        }
    }

    #[inline]
    pub(crate) fn colon(&mut self) -> Scanned<()> {
        self.white_space();
        if self.peek() == Some(b':') {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected("`:`"))
    }

    pub(crate) fn end(&mut self) -> Scanned<()> {
        self.white_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.unexpected("the end of the text")) }
    }

    pub(crate) fn literal(&mut self, word: &str) -> Scanned<()> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.unexpected("a value"))
    }

    /// Reads a string. Its escapes are checked, but not decoded yet.
    #[inline]
    pub(crate) fn string(&mut self) -> Scanned<StringToken<'a>> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a string"));
        }
        let start = self.at;
        let mut is_escaped = false;
        self.at += 1;
        loop {
            self.at += plain_bytes(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    let text = &self.text[start + 1..self.at];
                    self.at += 1;
                    return Ok(StringToken { text, is_escaped });
                }
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.error("a control character in a string must be escaped")),
                None => return Err(self.unexpected("the closing `\"`")),
            }
        }
    }

    #[cold]
    fn escape(&mut self) -> Scanned<()> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') if rest.len() > 4 && rest[1..5].iter().all(u8::is_ascii_hexdigit) => {
                self.at += 6;
                Ok(())
            }
            _ => Err(self.error("unknown escape sequence in a string")),
        }
    }

    pub(crate) fn number(&mut self) -> Scanned<&'a str> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => {
                self.at = start;
                return Err(self.unexpected("a value"));
            }
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        if self.at - start > NUMBER_CHARACTERS_MAX {
            return Err(self.error(format!("a number has more than {NUMBER_CHARACTERS_MAX} characters")));
        }
        Ok(&self.text[start..self.at])
    }

    fn some_digits(&mut self) -> Scanned<()> {
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            self.digits();
            return Ok(());
        }
        Err(self.unexpected("a digit"))
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }
}

/// A string whose escapes have been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StringToken<'a> {
    /// The text between the quotes.
    text: &'a str,
    is_escaped: bool,
}

impl<'a> StringToken<'a> {
    /// Returns the text with its escapes decoded.
    #[inline]
    pub(crate) fn decode(self) -> Cow<'a, str> {
        match self.is_escaped {
            false => Cow::Borrowed(self.text),
            true => Cow::Owned(unescape(self.text)),
        }
    }
}

/// Returns how many bytes of a string come before the first quote, backslash or control character. Eight bytes are
/// tested together; a carry can make only later bytes look special, never an earlier one.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let below = |word: u64, limit: u64| word.wrapping_sub(limit * EACH) & !word & HIGH;
    let equal = |word: u64, byte: u8| below(word ^ (u64::from(byte) * EACH), 1);
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = equal(word, b'"') | equal(word, b'\\') | below(word, 0x20);
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let rest = words.len() * 8;
    let special = bytes[rest..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    special.map_or(bytes.len(), |at| rest + at)
}

/// Decodes the escapes of a checked string. Half of a surrogate pair is not a character and becomes U+FFFD: one such
/// text somewhere in an event must not prevent its tasks from starting.
fn unescape(token: &str) -> String {
    let mut out = String::with_capacity(token.len());
    let mut at = 0;
    while let Some(backslash) = token[at..].find('\\') {
        out.push_str(&token[at..at + backslash]);
        at += backslash;
        let (character, length) = match token.as_bytes()[at + 1] {
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => escaped_character(&token[at..]).unwrap_or((char::REPLACEMENT_CHARACTER, 6)),
            other => (char::from(other), 2),
        };
        out.push(character);
        at += length;
    }
    out.push_str(&token[at..]);
    out
}

/// Returns the character of the `\uXXXX` (or pair of them) at the start of `text`, and the length of the escape in
/// bytes.
fn escaped_character(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u32::from_str_radix(text.get(at + 2..at + 6)?, 16).ok();
    let first = unit(0)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 6));
    }
    if !text.get(6..)?.starts_with("\\u") {
        return None;
    }
    let pair = char::decode_utf16([first as u16, unit(6)? as u16]).next()?.ok()?;
    Some((pair, 12))
}
