//! The folder of the cluster of `holdfast dev`.

use std::{ffi::OsString, path::PathBuf};

use holdfast_local::{Error, state::State};

/// Where a local cluster keeps its files if no flag says otherwise: one folder per user.
pub(crate) fn default_dir() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or_else(home).unwrap_or_else(std::env::temp_dir).join("holdfast/dev")
}

/// What is known of the local cluster: of the folder that the environment names, or the user's.
pub(crate) fn local_cluster() -> Result<State, Error> {
    State::load(&std::env::var_os("HOLDFAST_DEV_DIR").map_or_else(default_dir, or_default))
}

/// The folder that was named; the user's for an empty name, as of a variable that is set to nothing.
pub(crate) fn or_default(dir: OsString) -> PathBuf {
    if dir.is_empty() { default_dir() } else { dir.into() }
}
