//! `--arms FILE`: the arms of one plan.

use std::path::Path;

use serde_json::Value;

use crate::config::file;

/// The arms in the file at `path`: JSON with a list of ids or definitions, alone or as `arms`; or YAML or TOML with
/// `arms`, such as a settings file. The entries are as in a request, and are checked with it.
pub(super) fn read(path: &str) -> Result<Value, String> {
    let refused = |why: String| format!("--arms: the file \"{path}\" {why}");
    let no_list = || {
        refused("has no list of arms; write a JSON array, or a JSON, YAML or TOML file with `arms`".into())
    };
    let list = match file::read(Path::new(path)).map_err(refused)? {
        Value::Object(mut table) => table.remove("arms").ok_or_else(no_list)?,
        other => other,
    };
    if list.is_array() { Ok(list) } else { Err(no_list()) }
}
