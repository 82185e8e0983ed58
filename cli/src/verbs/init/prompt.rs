//! Asks questions at a terminal, one line for each answer.

use std::io::BufRead;

use super::offers::Offer;
use crate::exit::Failed;
use crate::output::printable;

/// Where questions are shown and answers are read.
pub(super) struct Prompt<'a> {
    pub(super) input: &'a mut dyn BufRead,
    pub(super) show: &'a mut dyn FnMut(&str),
}

impl Prompt<'_> {
    /// Asks for a text. An empty answer means the default, or no text.
    pub(super) fn text(&mut self, question: &str, default: Option<&str>) -> Result<Option<String>, Failed> {
        let hint = default.map(|default| format!(" [{}]", printable(default))).unwrap_or_default();
        (self.show)(&format!("{question}{hint}: "));
        let line = self.line()?;
        Ok(Some(line).filter(|line| !line.is_empty()).or_else(|| default.map(str::to_owned)))
    }

    /// Asks until the answer is not empty.
    pub(super) fn needed(&mut self, question: &str) -> Result<String, Failed> {
        loop {
            if let Some(text) = self.text(question, None)? {
                return Ok(text);
            }
        }
    }

    /// Asks a question whose answer is yes or no.
    pub(super) fn yes(&mut self, question: &str) -> Result<bool, Failed> {
        (self.show)(&format!("{question} [y/N] "));
        let line = self.line()?;
        Ok(["y", "yes"].iter().any(|yes| line.eq_ignore_ascii_case(yes)))
    }

    /// Asks for a value by its number among those that are offered, or by itself. An empty answer means the first one.
    pub(super) fn choice(&mut self, question: &str, offered: &[Offer]) -> Result<Option<String>, Failed> {
        self.list(question, offered);
        match offered {
            [] => self.text(question, None),
            [first, ..] => {
                (self.show)("  number or name [1]: ");
                let line = self.line()?;
                Ok(Some(if line.is_empty() { first.value.clone() } else { chosen(&line, offered) }))
            }
        }
    }

    /// Asks for several values, separated by commas, by their numbers or by themselves. An empty answer means none.
    pub(super) fn choices(&mut self, question: &str, offered: &[Offer]) -> Result<Vec<String>, Failed> {
        self.list(question, offered);
        match offered {
            [] => (self.show)(&format!("{question}, separated by commas []: ")),
            _ => (self.show)("  numbers or names, separated by commas []: "),
        }
        let line = self.line()?;
        let words = line.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(words.map(|word| chosen(word, offered)).collect())
    }

    fn list(&mut self, question: &str, offered: &[Offer]) {
        if !offered.is_empty() {
            (self.show)(&format!("{question}:\n"));
        }
        for (index, offer) in offered.iter().enumerate() {
            (self.show)(&format!("  {:>2}) {}\n", index + 1, printable(&offer.label)));
        }
    }

    fn line(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        match self.input.read_line(&mut line)? {
            0 => Err(Failed::Refused(
                "the input ended before all questions were answered: nothing is written".to_owned(),
            )),
            _ => Ok(line.trim().to_owned()),
        }
    }
}

fn chosen(word: &str, offered: &[Offer]) -> String {
    let number = word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    number.and_then(|index| offered.get(index)).map_or_else(|| word.to_owned(), |offer| offer.value.clone())
}
