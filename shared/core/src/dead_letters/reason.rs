//! What reasons have in common.

/// At least so many hexadecimal digits, with a decimal one among them, are an id.
const HEXADECIMAL_MIN: usize = 8;
/// At least so many letters and digits, with a digit among them, are an id.
const MIXED_MIN: usize = 16;

/// Returns the reason with `*` for each id, ARN, time and number in it: a wildcard that matches all reasons which differ
/// only in these. Codes, such as that of an exit, stay.
pub fn pattern_of(reason: &str) -> String {
    let mut pattern = String::with_capacity(reason.len());
    let (mut at, mut after_wildcard) = (0, false);
    while let Some(c) = reason[at..].chars().next() {
        let differs = if c.is_control() { c.len_utf8() } else { differing(&reason[..at], &reason[at..]) };
        if differs == 0 {
            if matches!(c, '*' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
            at += c.len_utf8();
        } else {
            // Two wildcards in a row are not valid.
            if !after_wildcard {
                pattern.push('*');
            }
            at += differs;
        }
        after_wildcard = differs > 0;
    }
    pattern
}

/// Returns the length of the id, ARN, time or number with which the rest of a reason begins, or zero.
fn differing(before: &str, rest: &str) -> usize {
    if before.ends_with(char::is_alphanumeric) {
        return 0;
    }
    [arn, time, id].iter().map(|length| length(rest)).find(|length| *length > 0).unwrap_or_else(|| number(before, rest))
}

fn arn(rest: &str) -> usize {
    if !rest.starts_with("arn:") {
        return 0;
    }
    let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '"' | '\'' | '`');
    rest[..rest.find(is_end).unwrap_or(rest.len())].trim_end_matches([':', '.']).len()
}

/// Recognizes `2026-01-31`, and such a day with a time.
fn time(rest: &str) -> usize {
    let form = |form: &str| {
        let matches =
            |(expected, found): (u8, u8)| if expected == b'0' { found.is_ascii_digit() } else { expected == found };
        rest.len() >= form.len() && form.bytes().zip(rest.bytes()).all(matches)
    };
    let day = if form("0000-00-00") { "0000-00-00".len() } else { return 0 };
    if !form("0000-00-00T00:00") {
        return day;
    }
    let is_of_time = |c: char| c.is_ascii_digit() || matches!(c, 'T' | 'Z' | ':' | '.' | '-' | '+');
    rest[..rest.find(|c| !is_of_time(c)).unwrap_or(rest.len())].trim_end_matches([':', '.', '-']).len()
}

fn id(rest: &str) -> usize {
    let part =
        |is_of_id: fn(char) -> bool| rest[..rest.find(|c| !is_of_id(c)).unwrap_or(rest.len())].trim_end_matches('-');
    let hexadecimal = part(|c| c.is_ascii_hexdigit() || c == '-');
    let mixed = part(|c| c.is_ascii_alphanumeric());
    let is_id = |id: &str, characters_min: usize| {
        let is_whole = !rest[id.len()..].starts_with(char::is_alphanumeric);
        let characters = id.chars().filter(|c| *c != '-').count();
        is_whole && characters >= characters_min && id.contains(|c: char| c.is_ascii_digit())
    };
    let known = [(hexadecimal, HEXADECIMAL_MIN), (mixed, MIXED_MIN)];
    known.into_iter().find(|(id, characters_min)| is_id(id, *characters_min)).map_or(0, |(id, _)| id.len())
}

fn number(before: &str, rest: &str) -> usize {
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
    let number = rest[..rest.find(|c| !is_of_number(c)).unwrap_or(rest.len())].trim_end_matches(['.', ',']);
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    // A part of a name, such as `eu-west-1` or `v1.2`.
    let is_of_name = before.strip_suffix(['-', '.', '_']).is_some_and(|name| name.ends_with(char::is_alphanumeric));
    let words = before.trim_end_matches([' ', ':', '(']);
    let is_code = words.len() >= 4
        && words.is_char_boundary(words.len() - 4)
        && words[words.len() - 4..].eq_ignore_ascii_case("code");
    // A unit may follow.
    let unit = rest[number.len()..].chars().take_while(|c| c.is_alphanumeric()).count();
    if is_of_name || is_code || unit > 3 { 0 } else { number.len() }
}
