//! `--arms FILE`: the arms of one plan.

use std::path::Path;

use serde_json::{Map, Value};

use crate::domain::arms::ArmChoice;

/// The arms in the file at `path`: JSON with a list of ids or definitions, alone or as `arms`; or YAML or TOML with
/// `arms`, such as a settings file.
pub(super) fn read(path: &str) -> Result<Vec<ArmChoice>, String> {
    let refused = |why: String| format!("--arms: the file \"{path}\" {why}");
    let no_list =
        || refused("has no list of arms; give a JSON array, or a JSON, YAML or TOML file with `arms`".into());
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let value: Value = if ending == "toml" || ending == "yaml" || ending == "yml" {
        let file = ::config::File::from(Path::new(path));
        let read = ::config::Config::builder().add_source(file).build();
        let table: Result<Map<String, Value>, _> = read.and_then(::config::Config::try_deserialize);
        Value::Object(table.map_err(|error| refused(format!("cannot be read ({error})")))?)
    } else {
        let text =
            std::fs::read_to_string(path).map_err(|error| refused(format!("cannot be read ({error})")))?;
        serde_json::from_str(&text).map_err(|error| refused(format!("is not JSON ({error})")))?
    };
    let list = match value {
        Value::Object(mut table) => table.remove("arms").ok_or_else(no_list)?,
        other => other,
    };
    if list.is_array() {
        serde_json::from_value(list).map_err(|error| refused(error.to_string()))
    } else {
        Err(no_list())
    }
}
