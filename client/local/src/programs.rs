//! Where the programs are.

use std::path::{Path, PathBuf};

use crate::{Error, Role};

/// Environment variable that names the folder of the programs.
const BIN_DIR_VARIABLE: &str = "HOLDFAST_BIN_DIR";

/// The three program files.
#[derive(Clone, Debug)]
pub struct Programs {
    controller: PathBuf,
    broker: PathBuf,
    holdfast: PathBuf,
}

impl Programs {
    /// Looks in the folder that `HOLDFAST_BIN_DIR` names, or else beside this executable (and, for a test's executable,
    /// in the folder above).
    pub fn find() -> Result<Self, Error> {
        let mut folders = Vec::new();
        if let Some(folder) = std::env::var_os(BIN_DIR_VARIABLE).filter(|folder| !folder.is_empty()) {
            folders.push(PathBuf::from(folder));
        } else if let Ok(exe) = std::env::current_exe() {
            let beside = exe.parent().map(Path::to_path_buf).unwrap_or_default();
            let above = beside.parent().map(Path::to_path_buf).filter(|_| beside.ends_with("deps"));
            folders.push(beside);
            folders.extend(above);
        }
        Self::find_in(&folders)
    }

    /// Looks in these folders, in turn for each program.
    pub fn find_in(folders: &[PathBuf]) -> Result<Self, Error> {
        let find = |name: &'static str| {
            folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
                let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
                Error::ProgramMissing { name, folders: folders.join(" nor in ") }
            })
        };
        Ok(Self {
            controller: find("holdfast-controller")?,
            broker: find("holdfast-broker")?,
            holdfast: find("holdfast")?,
        })
    }

    /// The program of a role.
    pub fn of(&self, role: Role) -> &Path {
        match role {
            Role::Controller => &self.controller,
            Role::Broker => &self.broker,
        }
    }

    /// This command line itself, which starts the others (see [`crate::process`]).
    pub fn holdfast(&self) -> &Path {
        &self.holdfast
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("holdfast-controller"), "").unwrap();
        let error = Programs::find_in(&[folder.path().to_path_buf()]).unwrap_err().to_string();
        assert!(error.contains("holdfast-broker") && error.contains("HOLDFAST_BIN_DIR"), "{error}");
    }
}
