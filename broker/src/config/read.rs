//! Reading the file and the overrides.

use std::path::Path;

use holdfast_node::settings::{self, Problems, Relations};

use super::Config;

/// Keys that earlier builds had, and what to do about each.
const REMOVED: [(&str, &str); 1] = [(
    "set_aside_damaged_logs",
    "a damaged replica is always set aside and copied again. Take the key out; set_aside_max_age_ms says how long what was set \
     aside is kept",
)];

/// Reads the file at `path`, then the `key=value` overrides in order, and checks the whole.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    settings::load(path, overrides, Relations::Always).map_err(name_removed)
}

/// As [`load`], from text; `name` stands for the file in problems.
pub fn parse(name: &str, text: &str, overrides: &[String]) -> Result<Config, Problems> {
    settings::parse(name, text, overrides, Relations::Always).map_err(name_removed)
}

/// Says of a key that earlier builds had what became of it, instead of which one may be meant.
fn name_removed(problems: Problems) -> Problems {
    let Problems(mut all) = problems;
    for problem in &mut all {
        let removed = REMOVED.iter().find(|(key, _)| problem.message.starts_with(&format!("unknown key '{key}'")));
        if let Some((key, instead)) = removed {
            problem.message = format!("there is no key '{key}' any more: {instead}");
        }
    }
    Problems(all)
}
