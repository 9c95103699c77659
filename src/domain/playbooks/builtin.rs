//! The playbooks that ship with the program.

use std::path::Path;

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use super::format::Playbook;

/// A file for each playbook, and one with most of the outlines; in `examples`, the example goals of a playbook, one a line.
///
/// The compiler sees when a file changes, but not that there is a new one: then this file must change too, or be touched.
static DATA: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/domain/playbooks/data");

/// The file with outlines: the usual course of each kind of work, for what no playbook fits.
const OUTLINES: &str = "outlines";

#[derive(Deserialize)]
struct Outlines {
    outline: Vec<Playbook>,
}

/// All of them by name, the outlines of [`OUTLINES`] last. Where two fit a goal equally well, the first is followed.
pub(super) fn playbooks() -> impl Iterator<Item = Playbook> {
    let name = |path: &'static Path| path.to_str()?.strip_suffix(".toml");
    let mut names: Vec<&str> = DATA.files().filter_map(|file| name(file.path())).collect();
    names.sort_unstable();
    let playbooks = names.into_iter().filter(|name| *name != OUTLINES).map(|name| {
        let mut playbook: Playbook = read(name);
        let examples = text(&format!("examples/{name}.txt")).unwrap_or_default();
        playbook.matches.examples.extend(examples.lines().map(str::to_owned));
        playbook
    });
    let outlines: Outlines = read(OUTLINES);
    let outlines = outlines.outline.into_iter().map(|outline| Playbook { outline: true, ..outline });
    playbooks.chain(outlines).map(|playbook| Playbook { built_in: true, ..playbook.with_step_ids() })
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let text = text(&format!("{name}.toml")).expect("a text");
    toml::from_str(text).unwrap_or_else(|error| panic!("the built-in playbook {name}: {error}"))
}

/// The text of a file.
fn text(path: &str) -> Option<&'static str> {
    DATA.get_file(path)?.contents_utf8()
}
