//! The playbooks that ship with the program.

use std::collections::BTreeMap;

use include_dir::{Dir, File, include_dir};
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
    let (mut files, examples) = (texts(&DATA, ".toml"), DATA.get_dir("examples").expect("a folder"));
    let examples = texts(examples, ".txt");
    let outlines: Outlines = read(OUTLINES, files.remove(OUTLINES).expect("the outlines"));
    let playbooks = files.into_iter().map(move |(name, text)| {
        let mut playbook: Playbook = read(name, text);
        let lines = examples.get(name).into_iter().flat_map(|text| text.lines());
        playbook.matches.examples.extend(lines.map(str::to_owned));
        playbook
    });
    let outlines = outlines.outline.into_iter().map(|outline| Playbook { outline: true, ..outline });
    playbooks.chain(outlines).map(|playbook| Playbook { built_in: true, ..playbook.with_step_ids() })
}

fn read<T: for<'de> Deserialize<'de>>(name: &str, text: &str) -> T {
    toml::from_str(text).unwrap_or_else(|error| panic!("the built-in playbook {name}: {error}"))
}

/// The texts in a folder by name, without the `ending` that all of them have. Finding each by its path would take longer.
fn texts(folder: &'static Dir<'static>, ending: &str) -> BTreeMap<&'static str, &'static str> {
    let text = |file: &'static File<'static>| {
        Some((file.path().file_name()?.to_str()?.strip_suffix(ending)?, file.contents_utf8()?))
    };
    folder.files().filter_map(text).collect()
}
