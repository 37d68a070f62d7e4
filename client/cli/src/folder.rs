//! The folder of the cluster of `holdfast dev`.

use std::path::PathBuf;

use holdfast_local::{Error, state::State};

/// Names the folder if no flag does.
pub(crate) const VARIABLE: &str = "HOLDFAST_DEV_DIR";

/// The folder that a flag names; clap refuses an empty name, for who writes `--data-dir "$DIR"` does not mean the user's own
/// cluster. Else that of the environment, or the user's.
pub(crate) fn data_dir(flag: Option<PathBuf>) -> PathBuf {
    flag.or_else(|| variable(VARIABLE)).unwrap_or_else(default_dir)
}

/// What is known of the local cluster.
pub(crate) fn local_cluster() -> Result<State, Error> {
    State::load(&data_dir(None))
}

/// Where a local cluster keeps its files if nothing says otherwise: one folder per user.
pub(crate) fn default_dir() -> PathBuf {
    let home = || variable("HOME").map(|home| home.join(".local/state"));
    variable("XDG_STATE_HOME").or_else(home).unwrap_or_else(std::env::temp_dir).join("holdfast/dev")
}

/// A path in the environment; one that is set to nothing is not set.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}
