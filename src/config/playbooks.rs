//! Playbooks of the settings file and of `PLAYBOOKS_DIR`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::config::Value;

use crate::domain::PlanRules;
use crate::domain::playbooks::{Library, Mode, Playbook, PlaybookStep};

use super::file;
use super::reader::SettingsReader;

/// The playbooks in force; `None` when one is invalid.
pub(super) fn read(reader: &mut SettingsReader, rules: &PlanRules) -> Option<Arc<Library>> {
    let mut found = in_settings_file(reader);
    found.extend(in_directory(reader));
    if found.is_empty() {
        return Some(Library::built_in());
    }
    let mut own = Vec::new();
    let mut faults = Vec::new();
    for (place, playbook) in found {
        match playbook {
            Ok(playbook) => {
                let playbook = playbook.with_step_ids();
                let of_one = playbook.faults().into_iter().chain(fault_of_length(&playbook, rules));
                faults.extend(of_one.map(|fault| format!("{place} is invalid: {fault}")));
                own.push(playbook);
            }
            Err(why) => faults.push(format!("{place} {why}")),
        }
    }
    reader.show("playbooks", own.iter().map(|playbook| playbook.name.as_str()).collect::<Vec<_>>().join(","));
    if faults.is_empty() {
        match Library::with_own(own) {
            Ok(library) => return Some(Arc::new(library)),
            Err(of_all) => faults = of_all,
        }
    }
    reader.faults.extend(faults);
    None
}

/// A playbook and where it is defined, or why it cannot be read, as the rest of a sentence that begins with the place.
type ReadPlaybook = (String, Result<Playbook, String>);

fn in_settings_file(reader: &mut SettingsReader) -> Vec<ReadPlaybook> {
    let Some(written) = reader.file_only("playbooks") else {
        reader.show("playbooks", "built in");
        return Vec::new();
    };
    let Ok(entries) = written.into_array() else {
        reader.faults.push("the setting `playbooks` is invalid: it must be a list of tables".into());
        return Vec::new();
    };
    let read =
        |entry: Value| entry.try_deserialize::<Playbook>().map_err(|error| format!("is invalid: {error}"));
    let entries = entries.into_iter().enumerate();
    entries.map(|(index, entry)| (format!("the setting `playbooks[{index}]`"), read(entry))).collect()
}

fn in_directory(reader: &mut SettingsReader) -> Vec<ReadPlaybook> {
    let directory = reader.text("playbooks_dir");
    if directory.is_empty() {
        return Vec::new();
    }
    let files = match files(Path::new(&directory)) {
        Ok(files) => files,
        Err(error) => {
            let rule = "must be a directory that can be read";
            reader.fault("playbooks_dir", &format!("is \"{directory}\" ({error})"), rule);
            return Vec::new();
        }
    };
    files
        .into_iter()
        .map(|path| (format!("the playbook file \"{}\"", path.display()), file::read(&path)))
        .collect()
}

/// The playbook files in `directory`, by name.
fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if file::format(&path).is_some() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is wrong when a playbook that is followed exactly has more steps than plans may have.
fn fault_of_length(playbook: &Playbook, rules: &PlanRules) -> Option<String> {
    let ends_with_check = playbook.steps.last().is_some_and(PlaybookStep::checks);
    let count = playbook.steps.len() + usize::from(rules.require_verification && !ends_with_check);
    (playbook.mode == Mode::Fixed && count > rules.max_steps).then(|| {
        format!(
            "playbook `{}`: mode is fixed, and its plans have {count} steps with the one that verifies; PLANNER_MAX_PLAN_STEPS \
             is {}",
            playbook.name, rules.max_steps
        )
    })
}
