//! The modules of `src/` form layers, as `lib.rs` lists them: each imports only from below itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From top to bottom. Modules of one layer do not import each other.
const LAYERS: [&[&str]; 13] = [
    &["main", "bin"],
    &["app"],
    &["cli", "http", "mcp", "orchestrator"],
    &["service"],
    &["planner"],
    &["llm", "client"],
    &["server"],
    &["config"],
    &["telemetry"],
    &["policies"],
    &["domain"],
    &["headers", "http_client", "resilience"],
    &["text"],
];

fn layer(module: &str) -> usize {
    let place = LAYERS.iter().position(|layer| layer.contains(&module));
    place.unwrap_or_else(|| panic!("`{module}` has no layer; give it one in this file and in lib.rs"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules that `source` names behind `crate::`, comments left aside.
fn imports(source: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let behind = code.flat_map(|line| line.split("crate::").skip(1));
    behind
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split(',').map(str::trim).collect(),
            None => vec![rest],
        })
        .map(|path| path.split(|c| !is_name(c)).next().unwrap_or_default())
        .filter(|name| !name.is_empty() && *name != "self")
        .collect()
}

#[test]
fn every_import_points_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut arrows_up = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).expect("below src");
        let module = path.components().next().expect("a file").as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let source = fs::read_to_string(&file).expect("a source");
        for import in imports(&source) {
            if import != module && layer(import) <= layer(module) {
                arrows_up.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(arrows_up.is_empty(), "these imports point up or sideways:\n{}", arrows_up.join("\n"));
}
