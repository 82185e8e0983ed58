//! The core's rooms are on floors: a file imports only from its own floor or a lower one.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::root;

/// Returns the core's rooms from the bottom up, as the table in `docs/architecture.md` lists them.
fn floors() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("is there");
    let (_, table) = page.split_once("**`shared/core/src`**").expect("the core has a table");
    let rows = table.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
    let room =
        |row: &str| row.split('`').nth(1).map(|name| name.trim_end_matches(".rs").trim_end_matches('/').to_owned());
    rows.filter_map(room).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("is a folder").map(|entry| entry.expect("can be read").path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| path.file_name().is_some_and(|name| name != "tests.rs" && name != "properties.rs"))
        .collect()
}

#[test]
fn no_room_of_the_core_imports_from_a_floor_above() {
    let core = root().join("shared/core/src");
    let floors = floors();
    let floor = |room: &str| floors.iter().position(|known| known == room);
    let mut upward = Vec::new();
    let mut imports = 0;
    for path in sources(&core) {
        let inside = path.strip_prefix(&core).expect("is below");
        let room = inside.iter().next().expect("has a name").to_string_lossy().trim_end_matches(".rs").to_owned();
        if room == "lib" || room == "fixtures" {
            continue;
        }
        let own = floor(&room).unwrap_or_else(|| panic!("docs/architecture.md lists `{room}`"));
        let text = fs::read_to_string(&path).expect("can be read");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: String =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for rest in code.split("crate::").skip(1) {
            let imported = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            imports += 1;
            if floor(imported).is_some_and(|floor| floor > own) {
                upward.push(format!("{} imports {imported}", inside.display()));
            }
        }
    }
    assert!(imports > 100, "the imports are found");
    assert!(upward.is_empty(), "{upward:#?}");
}
