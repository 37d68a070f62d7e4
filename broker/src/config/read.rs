//! Reading the file and the overrides.

use std::path::Path;

use holdfast_node::settings::{self, Problems, Relations};

use super::Config;

/// Reads the file at `path`, then the `key=value` overrides in order, and checks the whole.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    settings::load(path, overrides, Relations::Always)
}

/// As [`load`], from text; `name` stands for the file in problems.
pub fn parse(name: &str, text: &str, overrides: &[String]) -> Result<Config, Problems> {
    settings::parse(name, text, overrides, Relations::Always)
}
