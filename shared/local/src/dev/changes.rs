//! What differs between two versions of the config, by name.

use std::collections::BTreeMap;

use trigger_core::text::{Kind, Node, Source, json, yaml};

use crate::happening::{ConfigChanges, Element};

/// The keys whose elements have names, and what an element is called.
const NAMED: [(&str, &str); 3] = [("routes", "route"), ("tasks", "task"), ("workers", "worker")];
/// What any other key is called.
const SETTING: &str = "setting";

/// Returns what differs between two versions of the config. Changes of layout and comments do not count.
pub(super) fn changes(old: &Source, new: &Source) -> ConfigChanges {
    let (old, new) = (elements(old), elements(new));
    let mut changes = ConfigChanges::default();
    for (element, text) in &new {
        match old.get(element) {
            None => changes.added.push(element.clone()),
            Some(before) if before != text => changes.changed.push(element.clone()),
            Some(_) => {}
        }
    }
    changes.removed = old.into_keys().filter(|element| !new.contains_key(element)).collect();
    changes
}

/// Returns the elements of all files, each with its text from every file that has it.
fn elements(source: &Source) -> BTreeMap<Element, String> {
    let mut elements: BTreeMap<Element, String> = BTreeMap::new();
    let mut add = |kind, name: &str, value: &Node| {
        let text = elements.entry(Element { kind, name: name.to_owned() }).or_default();
        text.push_str(&json::write(value));
    };
    for part in source.parts() {
        let Some(Node { kind: Kind::Object(entries), .. }) = yaml::parse(part.text).0 else { continue };
        for entry in entries {
            let named = NAMED.iter().find(|(key, _)| *key == entry.key.value);
            match (named, &entry.value.kind) {
                (Some((_, kind)), Kind::Array(list)) => {
                    for element in list {
                        add(kind, element.get("name").and_then(Node::as_str).unwrap_or_default(), element);
                    }
                }
                (Some((_, kind)), Kind::Object(mapping)) => {
                    mapping.iter().for_each(|entry| add(kind, &entry.key.value, &entry.value));
                }
                _ => add(SETTING, &entry.key.value, &entry.value),
            }
        }
    }
    elements
}

#[cfg(test)]
mod tests {
    use trigger_core::text::Source;

    use super::changes;
    use crate::happening::Element;

    const CONFIG: &str = r#"
version: 1
tasks: { t: { task_definition: t }, u: { task_definition: u } }
routes:
  - { name: a, on: { s3: { bucket: b } }, run: t }
  - { name: b, on: { queue: q }, run: u }
"#;

    #[test]
    fn changes_are_told_by_name_and_layout_is_none() {
        let table = [
            (("", ""), ""),
            (("routes:", "# A comment.\n\nroutes:"), ""),
            (("name: a,", "\"name\": 'a',"), ""),
            (("task_definition: u", "task_definition: u:2"), "~task u"),
            (("name: b,", "name: c,"), "+route c, -route b"),
            (("on: { s3: { bucket: b } }", "on: { s3: { bucket: c } }"), "~route a"),
            (("version: 1", "version: 1\nstorage: { bucket: s }"), "+setting storage"),
            ((", u: { task_definition: u }", ", v: { task_definition: u }"), "+task v, -task u"),
        ];
        for ((from, to), expected) in table {
            let [old, new] = [CONFIG.to_owned(), CONFIG.replacen(from, to, 1)].map(|text| Source::new("c", text));
            let changes = changes(&old, &new);
            let named = |sign: char, elements: &[Element]| -> Vec<String> {
                elements.iter().map(|element| format!("{sign}{} {}", element.kind, element.name)).collect()
            };
            let told = [named('+', &changes.added), named('~', &changes.changed), named('-', &changes.removed)];
            assert_eq!(told.concat().join(", "), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn included_files_count() {
        let with = |text: &str| {
            let mut source = Source::new("c", CONFIG);
            source.include("more", text);
            source
        };
        let before = with("routes: [{ name: c, on: { queue: r }, run: t }]");
        let after = with("routes: [{ name: c, on: { queue: s }, run: t }]");
        let changed = Element { kind: "route", name: "c".to_owned() };
        assert_eq!(changes(&before, &after).changed, [changed]);
    }
}
