//! What ends a command that does not notice signals. Needs no cluster.

use std::{
    io::{Write, pipe},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustix::process::{Pid, Signal};

use holdfast_eventually::eventually;

/// What a pipe of Linux holds, bytes.
const PIPE: usize = 64 << 10;
const PAGE: usize = 4 << 10;

/// As under `2>&1 | less` while nobody turns the page.
#[test]
fn the_second_signal_ends_a_command_whose_standard_error_nobody_reads() {
    let (reader, writer) = pipe().unwrap();
    let filled = Arc::new(AtomicUsize::new(0));
    let filling = thread::spawn({
        let (filled, mut writer) = (Arc::clone(&filled), writer.try_clone().unwrap());
        move || {
            // Stands still once it is full, until nobody is there any more.
            while writer.write_all(&[b'.'; PAGE]).is_ok() {
                filled.fetch_add(PAGE, Ordering::Relaxed);
            }
        }
    });
    eventually("standard error is full", || filled.load(Ordering::Relaxed) >= PIPE);
    // It says first of all that these seconds are no milliseconds.
    let mut stuck = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["consume", "t", "-s", "@1769300000", "--bootstrap", "127.0.0.1:1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .unwrap();
    eventually("it listens", || catches_interrupts(stuck.id()));
    let ended = eventually("it ends", || {
        let ended = stuck.try_wait().unwrap();
        if ended.is_none() {
            rustix::process::kill_process(Pid::from_child(&stuck), Signal::INT).unwrap();
        }
        ended
    });
    assert_eq!(ended.code(), Some(130));
    drop(reader);
    filling.join().unwrap();
}

/// True once the process catches SIGINT (signal 2).
fn catches_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 2 != 0)
}
