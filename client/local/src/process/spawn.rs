//! Starts a node's program, its output going to its log.
//!
//! All processes are started by one thread that lives as long as this process: the kernel ends a tied child when the
//! *thread* that started it ends, and a thread of an async runtime may end at any time.

use std::{
    fs::File,
    io,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{SyncSender, sync_channel},
    },
};

use crate::{Lifetime, Setting};

/// Everything that a node's process is started with.
pub(crate) struct Launch<'a> {
    /// The program `holdfast`, which prepares the process.
    pub(crate) holdfast: &'a Path,
    /// The node's program, which `holdfast` becomes.
    pub(crate) program: &'a Path,
    /// The node's configuration file, passed as `--config`.
    pub(crate) config: &'a Path,
    /// Further settings, passed as `--set` each: they win over the file.
    pub(crate) settings: &'a [Setting],
    /// Where its output goes, at the end.
    pub(crate) log: File,
    /// How long it lives.
    pub(crate) lifetime: Lifetime,
}

/// Starts the process on the one thread that lives as long as this process. Returns before the node is ready.
pub(crate) fn spawn(launch: Launch<'_>) -> io::Result<Child> {
    let mut command = Command::new(launch.holdfast);
    command.arg("launch");
    if launch.lifetime == Lifetime::Tied {
        command.args(["--tied-to", &std::process::id().to_string()]);
    }
    command.arg("--").arg(launch.program).arg("--config").arg(launch.config);
    for Setting { key, value } in launch.settings {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command.stdin(Stdio::null()).stdout(launch.log.try_clone()?).stderr(launch.log);
    let (reply, answer) = sync_channel(1);
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner().send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

type Request = (Command, SyncSender<io::Result<Child>>);

fn spawner() -> &'static SyncSender<Request> {
    static SPAWNER: OnceLock<SyncSender<Request>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (sender, requests) = sync_channel::<Request>(16);
        let run = move || {
            for (mut command, reply) in requests {
                // Who asked may have gone; the child is then known by its log only, and tied children still end.
                let _asker_gone = reply.send(command.spawn());
            }
        };
        // Without threads nothing works: `send` then fails, and says so.
        let _started = std::thread::Builder::new().name("spawner".to_owned()).spawn(run);
        sender
    })
}
