//! Wall clocks that are wrong, each for one node: its program runs with a library that shifts what it is told.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use holdfast_local::{NodeName, Programs, Role};

/// The library that takes the place of the C library's clock.
const SHIM: &str = include_str!("shifted_clock.c");
/// Nodes of each role that have a clock, by number from 1 on.
const NODES: u32 = 3;

/// The clocks of all nodes, at first right.
pub struct Clocks {
    folder: TempDir,
    programs: Programs,
}

impl Clocks {
    /// Builds the library, and programs that run with it.
    pub fn build() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the clocks");
        let (source, library) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
        fs::write(&source, SHIM).expect("the library's source can be written");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .status()
            .expect("a C compiler is there: run `make deps`");
        assert!(built.success(), "the library that shifts the clock cannot be built");
        let found = Programs::find().expect("the programs were built: run `make test`");
        let wrapped = folder.path().join("programs");
        fs::create_dir(&wrapped).expect("a folder for the programs");
        for role in [Role::Broker, Role::Controller] {
            for number in 1..=NODES {
                let clock = clock_of(folder.path(), NodeName { role, number });
                fs::write(clock, 0_i64.to_ne_bytes()).expect("a clock can be written");
            }
            wrap(found.of(role), &wrapped, folder.path());
        }
        let holdfast = found.holdfast().canonicalize().expect("the program is there");
        symlink(holdfast, wrapped.join("holdfast")).expect("a link to the program");
        let programs = Programs::find_in(&[wrapped]).expect("the programs were just written");
        Self { folder, programs }
    }

    /// The programs whose clocks these are.
    pub fn programs(&self) -> Programs {
        self.programs.clone()
    }

    /// Sets the wall clock of a node so far from the right time, ms, at once and for its later starts.
    pub fn set(&self, node: NodeName, shift_ms: i64) {
        let file = File::options().write(true).open(clock_of(self.folder.path(), node)).expect("the node has a clock");
        // In place: the process has the file mapped.
        file.write_all_at(&(shift_ms * 1_000_000).to_ne_bytes(), 0).expect("the clock can be set");
    }
}

fn clock_of(folder: &Path, node: NodeName) -> PathBuf {
    folder.join(format!("clock-{node}"))
}

/// Puts a program into the folder that runs the real one with the library, and the clock of the node whose configuration
/// it is given.
fn wrap(program: &Path, into: &Path, clocks: &Path) {
    let program = program.canonicalize().expect("the program is there");
    let name = program.file_name().expect("a program has a name");
    let text = format!(
        "#!/bin/sh\nfor argument; do\n  case $argument in */config/*.toml) node=${{argument##*/}} ;; esac\ndone\n\
         export SHIFTED_CLOCK=\"{clocks}/clock-${{node%.toml}}\" LD_PRELOAD=\"{clocks}/clock.so\"\nexec \"{program}\" \"$@\"\n",
        clocks = clocks.display(),
        program = program.display(),
    );
    let path = into.join(name);
    fs::write(&path, text).expect("the program can be written");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it can be run");
}
