#!/usr/bin/env python3
"""Switches the guards of the promise off, one by one, in a copy of the tree, and lets the simulation look for the harm.

A simulation that stays green without a guard does not see what the guard is for. With all guards on the same seeds must be
clean; each mutant must be found within SEEDS (2,000) seeds; the table that is printed stands in tests/README.md. Usage:
tests/guards.py [NAME ...].

The copy is built in a folder of its own below CARGO_TARGET_DIR, never in that itself: cargo takes a crate for built by the
times of its files, wherever they stand, and would give a mutant's library to the next build of the true tree.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEEDS = int(os.environ.get("SEEDS", "2000"))
TIMEOUT_S = 1800

# Name, file, the guard, and what stands there without it.
GUARDS = [
    ("flush before ack", "broker/replication/src/log/local_log.rs",
     "FlushPolicy::Ack => self.flushed,", "FlushPolicy::Ack => self.end,"),
    ("maximal ISR", "broker/replication/src/leader/high_watermark.rs",
     "isr.maximal().filter(", "isr.committed().iter().copied().filter("),
    # Two rules, and each alone keeps the promise in 2,000 seeds: a follower that has caught up in this epoch has reached its
    # start as well, but for one that was in the ISR when the epoch began, which lacks nothing acknowledged.
    ("epoch start before joining, by itself or by catching up", "broker/replication/src/leader/isr_changes.rs",
     """is_some_and(|counted| counted >= reached)
                && follower.is_caught_up(self.flush_policy, turn.log.end(), lag_time_max_ms, turn.now)""",
     "is_some_and(|counted| counted >= reached.min(turn.log.high_watermark()))"),
    ("truncation before anything else", "broker/replication/src/leader/fetch.rs",
     "if let Some(reply) = misplaced(turn, position) {",
     "if let Some(reply) = misplaced(turn, position).filter(|_| position.fetch_offset > turn.log.end()) {"),
    ("min ISR at the high watermark", "broker/replication/src/leader/high_watermark.rs",
     "if isr.committed().len() < min_insync_replicas as usize {", "if min_insync_replicas > 1_000 {"),
    ("broker epoch of a joiner", "metadata/src/decide/partitions.rs",
     "} else if epoch != Some(member.broker_epoch) {", "} else if epoch.is_none() {"),
    ("partition epoch of a proposal", "metadata/src/decide/partitions.rs",
     "if proposal.partition_epoch != state.partition_epoch {", "if proposal.partition_epoch > state.partition_epoch {"),
    ("partition epoch of a position", "broker/replication/src/leader/progress.rs",
     "if told_under >= self.counts_from {", "if told_under >= PartitionEpoch(0) {"),
    # Its other half, the partition epoch, is behind the image follower, which takes nothing older: tests of the roster.
    ("epoch check before deletion", "broker/src/partition/roster.rs",
     "known.leader_epoch.is_none_or(|known| known <= state.leader_epoch)", "true"),
    ("no state from before the registration", "broker/src/here/image_follower.rs",
     "if index < registered_at {", "if index < MetadataIndex(0) {"),
    ("boot counter", "metadata/src/decide/brokers.rs",
     " && command.boot_counter > old.boot_counter;", ";"),
    ("directory id", "metadata/src/decide/brokers.rs",
     "old.directory_id == command.directory_id && ", ""),
    ("lease", "broker/src/here/lease.rs",
     "self.is_held || acks == Acks::All", "true || acks == Acks::All"),
]


def simulate(tree, target, seeds):
    """Runs the simulation over these seeds, as SEED or SEEDS; whether all were clean, and the output."""
    environment = dict(os.environ, CARGO_TARGET_DIR=target, RUST_BACKTRACE="0", **seeds)
    command = ["cargo", "test", "--release", "--locked", "-p", "holdfast-tests", "--test", "simulation"]
    # Apart: the time is the seeds' alone, and the first build may take long.
    subprocess.run([*command, "--no-run"], cwd=tree, env=environment, capture_output=True, check=True)
    command += ["--", "--nocapture"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    return done.returncode == 0, done.stdout + done.stderr


def look(tree, target):
    """The first seed that fails and how it ends by itself, or None."""
    try:
        is_clean, text = simulate(tree, target, {"SEEDS": str(SEEDS), "FIRST_SEED": "0"})
    except subprocess.TimeoutExpired:
        return "?", f"no seed ended the run within {TIMEOUT_S} s"
    if is_clean:
        return None
    seed = re.search(r"seed (\d+) failed", text)
    if not seed:
        sys.exit(f"neither a seed failed nor was the run clean:\n{text[-3000:]}")
    # Alone: with several threads the first symptom in the output may be another seed's.
    _, text = simulate(tree, target, {"SEED": seed.group(1)})
    symptom = re.search(r"panicked at [^\n]*\n([^\n]*)", text)
    return seed.group(1), symptom.group(1) if symptom else "it does not fail alone"


def short(symptom):
    """The symptom without the names of this run."""
    symptom = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}-?", "topic-", symptom)
    return symptom[:110].replace("|", "/")


def main():
    wanted = sys.argv[1:]
    guards = [guard for guard in GUARDS if not wanted or guard[0] in wanted]
    folder = tempfile.mkdtemp(prefix="holdfast-guards-")
    shared = os.environ.get("CARGO_TARGET_DIR")
    target = os.path.join(shared, "guards") if shared else os.path.join(folder, "target")
    tree = os.path.join(folder, "tree")
    missed = []
    try:
        # With times of now: what an earlier mutant left in the target is older than every file.
        ignored = shutil.ignore_patterns(".git", "target")
        shutil.copytree(ROOT, tree, ignore=ignored, copy_function=shutil.copy)
        # Whatever fails with all guards on would count for each of them.
        if found := look(tree, target):
            sys.exit(f"seed {found[0]} fails with every guard on: {found[1]}")
        print("| guard switched off | seed | symptom |\n|---|---|---|", flush=True)
        for name, file, guard, without in guards:
            path = os.path.join(tree, file)
            with open(path) as source:
                whole = source.read()
            if whole.count(guard) != 1:
                sys.exit(f"{file}: the guard '{name}' does not stand there once: mend the table in {__file__}")
            with open(path, "w") as source:
                source.write(whole.replace(guard, without))
            found = look(tree, target)
            with open(path, "w") as source:
                source.write(whole)
            if found is None:
                missed.append(name)
            seed, symptom = found or ("none", f"not found in {SEEDS} seeds")
            print(f"| {name} | {seed} | {short(symptom)} |", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if missed:
        sys.exit(f"the simulation does not see: {', '.join(missed)}")


main()
