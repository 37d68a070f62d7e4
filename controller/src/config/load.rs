//! Reads the configuration.

use std::path::Path;

use holdfast_node::settings::{self, Problems, Relations};

use super::Config;

/// Reads the file at `path`, then the `key=value` overrides in order, and checks the whole.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    settings::load(path, overrides, Relations::OnceAllIsRead)
}
