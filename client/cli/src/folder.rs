//! The folder of the cluster of `holdfast dev`.

use std::path::PathBuf;

/// Where a local cluster keeps its files if no flag says otherwise: one folder per user.
pub(crate) fn default_dir() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or_else(home).unwrap_or_else(std::env::temp_dir).join("holdfast/dev")
}
