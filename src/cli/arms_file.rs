//! `--arms FILE`: the arms of one plan.

use std::path::Path;

use serde_json::Value;

use crate::config::file;

/// The arms in the file at `path`: JSON or YAML with a list of ids or definitions, alone or as `arms`; or TOML with
/// `arms`. A settings file is one of these. The entries are as in a request, and are checked with it.
pub(super) fn read(path: &str) -> Result<Value, String> {
    let refused = |why: String| format!("--arms: the file \"{path}\" {why}");
    let no_list = || {
        refused("has no list of arms; write a list in JSON or YAML, or `arms` in JSON, YAML or TOML".into())
    };
    let list = match file::read(Path::new(path)).map_err(refused)? {
        Value::Object(mut table) => table.remove("arms").ok_or_else(no_list)?,
        other => other,
    };
    if list.is_array() { Ok(list) } else { Err(no_list()) }
}
