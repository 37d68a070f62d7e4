//! What runs in a new process before the node's program takes it over: `holdfast launch`, hidden from the help.
//!
//! It gives the process a session of its own, so that a Ctrl-C at the terminal does not reach it, ties its life to its
//! parent's where that is wanted, and then becomes the program. The process keeps its id and its start time. Doing this
//! in a program, and not between fork and exec, needs no unsafe code.

use std::{ffi::OsString, io, os::unix::process::CommandExt, process::Command};

use rustix::process::Signal;

/// Arguments of `holdfast launch`.
#[derive(Debug, clap::Args)]
pub struct LaunchArgs {
    /// End with this process, which must be the parent.
    #[arg(long, value_name = "PID")]
    pub tied_to: Option<i32>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub program: Vec<OsString>,
}

/// Becomes the program. Returns only if that fails.
pub fn launch(args: &LaunchArgs) -> io::Error {
    let Some((program, arguments)) = args.program.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program was named");
    };
    // Fails only for a leader of a process group, which a new child is not; then the group is its own anyway.
    let _own_session = rustix::process::setsid();
    if let Some(parent) = args.tied_to {
        if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
            return error.into();
        }
        // The parent may have ended before the line above.
        let alive = rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent);
        if !alive {
            return io::Error::other(format!("the parent process {parent} has ended"));
        }
    }
    let error = Command::new(program).args(arguments).exec();
    io::Error::new(error.kind(), format!("cannot start {}: {error}", program.display()))
}
