//! Commands and shell scripts that contain templates.

use super::{Node, yaml};

/// Returns a command as the config writes it.
pub(crate) fn line(words: &[impl AsRef<str>]) -> String {
    yaml::flow(&Node::array(words.iter().map(|word| Node::string(word.as_ref()))))
}

/// Returns a command, as the config writes it, that runs a script in a shell. Each template becomes an argument of the
/// script: in the script itself, the shell would run what an event fills in.
///
/// `before` is the shell with its options. `arguments` follow the script; the first is its `$0`.
pub(crate) fn command(before: &[&str], script: &str, arguments: &[&str]) -> String {
    let mut arguments = arguments.to_vec();
    let mut safe = String::new();
    let mut reader = Reader::default();
    let mut rest = script;
    while let Some(character) = rest.chars().next() {
        let Some(("", template, after)) = split_at_template(rest) else {
            reader.read(character);
            safe.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        };
        rest = after;
        if arguments.is_empty() {
            arguments.push("sh");
        }
        let known = arguments.iter().skip(1).position(|argument| *argument == template);
        let position = known.map_or(arguments.len(), |known| known + 1);
        if known.is_none() {
            arguments.push(template);
        }
        // Without braces, a shell reads `$10` as `$1` and a zero.
        let parameter = match position > 9 || rest.starts_with(|next: char| next.is_ascii_digit()) {
            true => format!("${{{position}}}"),
            false => format!("${position}"),
        };
        // A backslash before a template would take the parameter's `$` or quote as text.
        if std::mem::take(&mut reader.is_escaped) {
            match reader.quote() {
                Some(_) => safe.push('\\'),
                None => drop(safe.pop()),
            }
        }
        match reader.quote() {
            Some('"') => safe.push_str(&parameter),
            Some('\'') => {
                // No shell fills in a parameter here, so the quote ends before it. An empty `''` is left out.
                match safe.ends_with('\'') {
                    true => drop(safe.pop()),
                    false => safe.push('\''),
                }
                safe.push_str(&format!("\"{parameter}\""));
                match rest.strip_prefix('\'') {
                    Some(after) => {
                        reader.read('\'');
                        rest = after;
                    }
                    None => safe.push('\''),
                }
            }
            _ => safe.push_str(&format!("\"{parameter}\"")),
        }
        reader.last = Some('"');
    }
    line(&[before, &[safe.as_str()], &arguments].concat())
}

/// Follows a script as a shell reads it, as far as it matters for quotes.
#[derive(Default)]
struct Reader {
    /// The characters that end what is open, the innermost last: a quote, a parenthesis, or the line of a comment.
    open: Vec<char>,
    is_escaped: bool,
    last: Option<char>,
}

impl Reader {
    /// Returns the quote around what follows.
    fn quote(&self) -> Option<char> {
        self.open.last().copied().filter(|open| matches!(open, '"' | '\''))
    }

    fn read(&mut self, character: char) {
        if std::mem::take(&mut self.is_escaped) {
            return;
        }
        let last = self.last.replace(character);
        match (self.open.last().copied(), character) {
            (Some(end), _) if end == character => drop(self.open.pop()),
            (Some('\'' | '\n'), _) => {}
            (_, '\\') => self.is_escaped = true,
            (Some('"'), '(') if last != Some('$') => {}
            (Some('"'), '\'' | '#') => {}
            (_, '(') => self.open.push(')'),
            (_, '#') if last.is_none_or(|last| last.is_whitespace() || ";&|()".contains(last)) => self.open.push('\n'),
            (_, '"' | '\'' | '`') => self.open.push(character),
            _ => {}
        }
    }
}

/// Returns the text before its first `{{ ... }}`, that template, and the text after it.
fn split_at_template(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find("{{")?;
    let end = start + text[start..].find("}}")? + "}}".len();
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// Returns the words of a command line, split as a shell splits them. A template is never split.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        if let Some(("", template, after)) = split_at_template(rest) {
            word.get_or_insert_default().push_str(template);
            rest = after;
            continue;
        }
        rest = &rest[character.len_utf8()..];
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(character);
            }
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') => {
                let escaped = rest.chars().next().unwrap_or(character);
                rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                word.get_or_insert_default().push(escaped);
            }
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::{command, line};

    #[test]
    fn a_template_in_a_script_becomes_an_argument_whatever_quotes_are_around_it() {
        for (script, expected) in [
            ("echo {{ a }}", r#"echo "$1""#),
            ("echo x{{ a }}y", r#"echo x"$1"y"#),
            ("echo '{{ a }}'", r#"echo "$1""#),
            ("echo 'x {{ a }}'", r#"echo 'x '"$1""#),
            ("echo '{{ a }} x'", r#"echo "$1"' x'"#),
            ("echo 'x {{ a }} y' | cat", r#"echo 'x '"$1"' y' | cat"#),
            ("echo '{{ a }}{{ a }}' '' {{ a }}", r#"echo "$1""$1" '' "$1""#),
            (r#"echo "{{ a }}""#, r#"echo "$1""#),
            (r#"echo "x {{ a }} y""#, r#"echo "x $1 y""#),
            (r#"echo "it's {{ a }}" {{ a }}"#, r#"echo "it's $1" "$1""#),
            (r#"echo '"' {{ a }}"#, r#"echo '"' "$1""#),
            (r#"echo \" {{ a }} "\"{{ a }}""#, r#"echo \" "$1" "\"$1""#),
            (r#"echo '\' {{ a }}"#, r#"echo '\' "$1""#),
            (r#"echo \{{ a }}" x" "C:\{{ a }} x""#, r#"echo "$1"" x" "C:\\$1 x""#),
            (r#"echo "{{ a }}0""#, r#"echo "${1}0""#),
            (r#"echo "$(basename {{ a }}) (it's {{ a }})""#, r#"echo "$(basename "$1") (it's $1)""#),
            (r#"echo "$(basename 'x/{{ a }}')""#, r#"echo "$(basename 'x/'"$1")""#),
            ("echo \"`basename {{ a }}`\"", "echo \"`basename \"$1\"`\""),
            ("(cd x; echo {{ a }})", r#"(cd x; echo "$1")"#),
            ("# it's\necho {{ a }} $# {{ a }}#'{{ a }}'", "# it's\necho \"$1\" $# \"$1\"#\"$1\""),
        ] {
            let expected = line(&["sh", "-c", expected, "sh", "{{ a }}"]);
            assert_eq!(command(&["sh", "-c"], script, &[]), expected, "{script}");
        }
    }

    #[test]
    fn arguments_that_a_script_has_already_keep_their_positions() {
        let many = ["app", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let with_a = [&many[..], &["{{ a }}"]].concat();
        for (script, before, expected, after) in [
            ("echo $1", &many[..2], "echo $1", &many[..2]),
            ("echo {{ a }}", &many[..], r#"echo "${10}""#, &with_a[..]),
            ("echo {{ a }}", &with_a[..], r#"echo "${10}""#, &with_a[..]),
            ("echo hello", &[], "echo hello", &[]),
        ] {
            let expected = line(&[&["bash", "-ec", expected], after].concat());
            assert_eq!(command(&["bash", "-ec"], script, before), expected, "{script} {before:?}");
        }
    }
}
