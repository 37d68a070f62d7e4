//! `holdfast controller recover`.

use std::{os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use clap::Args;

use holdfast_local::{Programs, Role};

use super::{seen::Seen, steps};
use crate::{
    connect::Connect,
    exit::{Failure, Result},
    output::{Output, ids, print_json, say},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  # which controllers answer, and what to do step by step; changes nothing
  holdfast controller recover
  # on the machine of a stopped controller: what its folder knows
  holdfast controller recover --data-dir /data
  # goes on from that folder; asks
  holdfast controller recover --data-dir /data --accept-loss --brokers 1,2,3,4

The last resort: changes of the metadata that the chosen controller does not
know are lost for good. It is refused while one of the controllers is active,
and while a majority answers that holds what was decided. A folder is changed
by `holdfast-controller recover`, which the last two examples start, and only
while its controller is stopped.";

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // one a flag
pub(super) struct RecoverArgs {
    /// Data folder of a stopped controller on this machine [default: only show what to do].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What this controller does not know may be given up, and the other controllers are.
    #[arg(long, requires = "data_dir")]
    accept_loss: bool,
    /// Every broker that there is, known to this controller or not: no partition gets a leader before all of them were heard.
    /// Needed with --accept-loss.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    brokers: Vec<u32>,
    /// Brokers that are gone for good: no partition waits for what they hold.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    without_brokers: Vec<u32>,
    /// Topics may be deleted, with all their records, and may keep their records for less than before, by what this
    /// controller does not know to be committed.
    #[arg(long, requires = "data_dir")]
    accept_deletions: bool,
    /// Go on from a store that was restored from an older copy, or that was cut.
    #[arg(long, requires = "data_dir")]
    accept_older_store: bool,
    /// Go on although a majority of the controllers answers, where none of them becomes active.
    #[arg(long, requires = "data_dir")]
    against_majority: bool,
    /// Answer the question with yes.
    #[arg(short, long, requires = "data_dir")]
    yes: bool,
}

pub(super) async fn run(connect: &Connect, args: &RecoverArgs, output: Output) -> Result {
    if args.data_dir.is_some() && output == Output::Json {
        return Err(Failure::usage("with --data-dir the result is text; leave out '-o json'"));
    }
    let seen = Seen::look(connect, args.data_dir.is_none()).await?;
    if seen.has_quorum() && !(args.against_majority && seen.active.is_none()) {
        refuse(&seen, args.data_dir.is_some())?;
    }
    if let Some(folder) = &args.data_dir {
        return Err(hand_over(folder, args));
    }
    let named = steps::Named { there: &args.brokers, gone: &args.without_brokers };
    match output {
        Output::Json => print_json(&steps::as_json(&seen, named)),
        Output::Table => say(steps::as_text(&seen, named)),
    }
    Ok(())
}

/// Refuses, as a quorum exists. Where brokers are waited for since a recovery there is something to tell all the same: how they
/// are given up; `is_for_folder`: but that concerns no folder.
fn refuse(seen: &Seen, is_for_folder: bool) -> Result {
    match &seen.unheard_brokers[..] {
        [] => Err(Failure::error(format!(
            "{}: nothing has to be given up, and nothing was changed\n\
             to replace a single controller, start it with an empty data folder; see `holdfast quorum ls`",
            seen.strength()
        ))),
        [broker, ..] if is_for_folder => Err(Failure::error(format!(
            "{}: nothing was changed. A broker whose disk is gone for good is given up without a recovery: \
             `holdfast broker disk-lost {broker}`",
            seen.strength()
        ))),
        _ => Ok(()),
    }
}

/// Becomes the program that changes the folder. Returns if that fails.
fn hand_over(folder: &PathBuf, args: &RecoverArgs) -> Failure {
    let programs = match Programs::find() {
        Ok(programs) => programs,
        Err(error) => return error.into(),
    };
    let program = programs.of(Role::Controller);
    let mut command = Command::new(program);
    command.arg("recover").arg("--data-dir").arg(folder);
    for (flag, is_set) in [
        ("--accept-loss", args.accept_loss),
        ("--accept-deletions", args.accept_deletions),
        ("--accept-older-store", args.accept_older_store),
        ("--against-majority", args.against_majority),
        ("--yes", args.yes),
    ] {
        if is_set {
            command.arg(flag);
        }
    }
    for (flag, brokers) in [("--brokers", &args.brokers), ("--without-brokers", &args.without_brokers)] {
        if !brokers.is_empty() {
            command.arg(flag).arg(ids(brokers));
        }
    }
    Failure::file("run", program)(command.exec())
}
