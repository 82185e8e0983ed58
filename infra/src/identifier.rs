//! Logical ids: how resources of a stack are known from one deployment to the next.

use sha2::{Digest, Sha256};

/// A logical id for what has this name: a word from the name's letters and digits, and four characters of its hash, since other names
/// have the same letters. It depends on nothing else, so that what is added or removed beside it never renames it.
pub(crate) fn identifier(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let word = |word: &str| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    };
    format!("{}{}", words.map(word).collect::<String>(), &format!("{:X}", Sha256::digest(name))[..4])
}

#[cfg(test)]
mod tests {
    use super::identifier;

    #[test]
    fn names_that_differ_have_ids_that_differ() {
        let names = ["csv-upload", "csv_upload", "CsvUpload", "csvupload", "1-2", "-", ""];
        let ids = names.map(identifier);
        for (position, id) in ids.iter().enumerate() {
            assert!(id.chars().all(|c| c.is_ascii_alphanumeric()), "{id}");
            assert!(!ids[..position].contains(id), "{id} twice");
        }
        assert!(ids[0].starts_with("CsvUpload"), "{}", ids[0]);
    }
}
