#!/usr/bin/env python3
"""Switches the guards of the promise off, one by one, in a copy of the tree, and lets tests look for the harm.

A test that stays green without a guard does not see what the guard is for. What the simulation drives it has to find within
SEEDS (2,000) seeds, which must be clean with all guards on; what stands in the shell, or below it, one named test of the
crate has to find, which must pass with it. The table that is printed stands in tests/README.md. Usage: tests/guards.py
[NAME ...]; QUICK=1 leaves the simulation out; --check only looks whether each guard stands in the tree.

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

SIMULATION = ("holdfast-tests", "--test simulation", "every_promise_holds_under_crashes_loss_and_partitions")
CONTROLLERS = ("holdfast-tests", "--test simulation",
               "what_controllers_committed_stays_whatever_becomes_of_fewer_than_half_their_disks")
RECOVERED = ("holdfast-tests", "--test simulation",
             "controllers_that_lost_most_disks_wait_and_go_on_from_one_as_an_operator_orders")
SIMULATIONS = [SIMULATION, CONTROLLERS, RECOVERED]


def machine(name):
    """A test of the metadata machine."""
    return "holdfast-metadata", "--test machine", f"trust::{name}"


def unsettled(name):
    """A test of the metadata machine, of partitions after a recovery of the controllers."""
    return "holdfast-metadata", "--test machine", f"unsettled::{name}"


def history(name):
    """A test of the metadata machine's model of what was acknowledged."""
    return "holdfast-metadata", "--test machine", f"acknowledged_history::{name}"


def log(name):
    """A unit test of the log."""
    return "holdfast-log", "--lib", name


def time_trust(name):
    """A unit test of the trust in clocks."""
    return "holdfast-broker", "--lib", f"here::time_trust::tests::{name}"


def majority(name):
    """A unit test of the majority of clocks."""
    return "holdfast-controller", "--lib", f"clocks::majority::tests::{name}"


def compared(name):
    """A test of the comparison between leader and followers."""
    return "holdfast-broker", "--test broker", f"compared::{name}"


def copies(name):
    """A test of controllers whose folders were copied."""
    return "holdfast-controller", "--test it", f"copies::{name}"


def rivals(name):
    """A test of controllers that two operators recovered."""
    return "holdfast-controller", "--test it", f"rivals::{name}"


def outranked(name):
    """A test of controllers whose metadata is from before a recovery."""
    return "holdfast-controller", "--test it", f"outranked::{name}"


def seen_by(guard, *finders):
    """A guard that each of these has to see."""
    return [(*guard, finder) for finder in finders]


# Name, file, the guard, what stands there without it, and who has to find that; nobody named: the simulation.
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
    ("where a copy begins", "broker/replication/src/leader/fetch.rs",
     """    if position.fetch_offset < log.start() {
        return Some(FetchReply::OutOfRange { log_start_offset: log.start() });""",
     """    if position.fetch_offset < log.high_watermark() && position.last_fetched_epoch.is_none() {
        return Some(FetchReply::OutOfRange { log_start_offset: log.high_watermark() });"""),
    ("min ISR at the high watermark", "broker/replication/src/leader/high_watermark.rs",
     "if isr.committed().len() < min_insync_replicas as usize {", "if min_insync_replicas > 1_000 {"),
    ("broker epoch of a joiner", "metadata/src/decide/partitions.rs",
     "} else if epoch != Some(member.broker_epoch) {", "} else if epoch.is_none() {"),
    ("partition epoch of a proposal", "metadata/src/decide/partitions.rs",
     "if proposal.partition_epoch != state.partition_epoch {", "if proposal.partition_epoch > state.partition_epoch {"),
    ("partition epoch of a position", "broker/replication/src/leader/progress.rs",
     "told_under >= self.counts_from &&", "told_under >= PartitionEpoch(0) &&"),
    ("partition epoch that the leader knows", "broker/replication/src/leader/progress.rs",
     "&& told_under <= self.known {", "{",
     ("holdfast-replication", "--lib",
      "leader::progress::tests::a_member_that_knows_a_later_state_than_its_leader_counts_once_the_leader_knows_it")),
    # Its other half, the partition epoch, is behind the image follower, which takes nothing older: tests of the roster.
    ("epoch check before deletion", "broker/src/partition/roster.rs",
     "known.leader_epoch.is_none_or(|known| known <= state.leader_epoch)", "true"),
    ("no state from before the registration", "broker/src/here/image_follower.rs",
     "if begins && index < registered_at {", "if begins && index < MetadataIndex(0) {"),
    ("boot counter", "metadata/src/decide/brokers.rs",
     " && command.boot_counter > old.boot_counter", ""),
    ("directory id", "metadata/src/decide/brokers.rs",
     "old.directory_id == command.directory_id && ", ""),
    ("lease", "broker/src/here/lease.rs",
     "self.is_held || acks == Acks::All", "true || acks == Acks::All"),
    *seen_by(
        ("token of a folder", "metadata/src/decide/brokers.rs", "=> folder.known.contains(&token),",
         "=> folder.known.contains(&token) || true,"),
        machine("a_folder_without_the_last_token_holds_nothing_however_often_it_was_started"), SIMULATION),
    ("the minimum in sync that elections count by", "metadata/src/decide/topics.rs",
     "min_isr != now && state.leader.is_none()", "min_isr != now && false && state.leader.is_none()",
     ("holdfast-metadata", "--test machine", "operators::the_minimum_in_sync_does_not_change_while_nobody_leads")),
    *seen_by(
        ("frozen high watermark", "metadata/src/record.rs",
         "claim.end >= high_watermark", "claim.end >= high_watermark || true"),
        machine("an_eligible_replica_that_ends_below_the_high_watermark_is_not_eligible"), SIMULATION),
    *seen_by(
        ("epoch of the frozen high watermark", "metadata/src/record.rs",
         "reaches && self.frozen_leader_epoch.is_none_or(|epoch| claim.leader_epoch >= Some(epoch))", "reaches"),
        machine("an_old_copy_that_ends_past_the_high_watermark_with_what_was_cut_off_since_is_not_eligible"), SIMULATION),
    *seen_by(
        ("replicas that are not vouched for", "metadata/src/decide/change.rs",
         "Some(report @ ReplicaReport { vouch: Vouch::Not(reason), .. }) =>",
         "Some(report @ ReplicaReport { vouch: Vouch::Not(reason), .. }) if list_lost =>"),
        machine("a_replica_that_its_broker_does_not_vouch_for_is_out_and_the_others_stay"), SIMULATION),
    *seen_by(
        ("claims of all restarted eligible replicas", "metadata/src/decide/election.rs",
         "heard.len() >= min_isr.min(state.elr.len())", "true"),
        machine("a_disk_of_a_moment_ago_looks_whole_so_who_looks_whole_waits_too"), SIMULATION),
    *seen_by(
        ("farthest claim first", "metadata/src/decide/election.rs",
         "*reach <= Reach::of(claim)", "*reach <= Reach::of(claim) || true"),
        machine("who_lost_something_waits_for_another_and_the_one_that_reaches_farthest_leads"), SIMULATION),
    *seen_by(
        ("a lost list of replicas", "metadata/src/decide/change.rs", "None if list_lost =>", "None if list_lost && false =>"),
        machine("what_a_broker_does_not_name_whose_list_of_replicas_is_lost_has_vanished"), SIMULATION),
    ("every broker is heard once the controllers were recovered", "metadata/src/decide/election.rs",
     "claims.filter(|_| standings.all_heard())", "claims.filter(|_| true || standings.all_heard())",
     ("holdfast-metadata", "--test machine",
      "recovery::who_has_no_replica_is_waited_for_though_all_that_have_one_agree")),
    ("voices that are missing since a recovery", "metadata/src/decide/election.rs",
     "missing < min_isr\n", "missing < min_isr + 1_000\n",
     unsettled("a_replica_that_an_old_move_was_to_take_away_is_none_that_was_found")),
    ("leaders that wrote nothing", "metadata/src/decide/election.rs",
     "+ claims.iter().filter(is_earlier).count();", "+ 0 * claims.iter().filter(is_earlier).count();",
     history("what_a_leader_without_a_record_of_its_own_acknowledged_outlives_a_recovery")),
    ("records between the epochs of a frozen high watermark", "metadata/src/record.rs",
     "(is_of_the_same || is_later)", "(is_of_the_same || is_later || true)",
     machine("records_of_a_leadership_before_that_of_the_high_watermark_prove_nothing")),
    ("the farthest since a recovery", "metadata/src/decide/election.rs",
     "Reach::of(claim) <= Reach::of(own))", "Reach::of(claim) <= Reach::of(own) || true)",
     history("no_leader_lacks_acknowledged_records_though_a_disk_lost_some")),
    ("whom one outreaches that may have been copied since", "metadata/src/decide/election.rs",
     "!state.distrusted.iter().any(is_outreached)", "!state.distrusted.iter().any(|one| is_outreached(one) && false)",
     unsettled("nobody_leads_whom_one_outreaches_that_was_not_believed_and_may_have_been_copied_since")),
    ("one that was cut and led alone", "metadata/src/decide/election.rs",
     "    state.elr.len() < min_isr\n", "    state.elr.len() < min_isr && !state.distrusted.is_empty()\n",
     history("who_leads_alone_since_a_recovery_of_the_controllers_and_was_cut_does_not_lead")),
    ("folders of what is found", "metadata/src/decide/change.rs",
     "matches!(report.vouch, Vouch::Not(_)) || !is_same_folder", "matches!(report.vouch, Vouch::Not(_))",
     unsettled("of_another_or_an_older_folder_no_replica_is_believed_wherever_it_is_found")),
    ("what an interrupted move was to take away is not found", "metadata/src/decide/election.rs",
     "let is_found = |broker: BrokerId| state.found.contains(&broker);",
     "let is_found = |broker: BrokerId| state.removing.contains(&broker);",
     unsettled("a_replica_that_an_old_move_was_to_take_away_is_none_that_was_found")),
    ("nobody is given up before all were heard", "metadata/src/decide/trust.rs",
     "(state.unsettled && !unheard.is_empty()).then(", "(false && state.unsettled && !unheard.is_empty()).then(",
     unsettled("nobody_chooses_while_a_broker_that_is_known_may_hold_more")),
    ("logs from before a recovery", "broker/src/partition/roster.rs",
     "|known| !recovery::is_between(known, state.leader_epoch)", "|known| !recovery::is_between(known, state.leader_epoch) || true",
     ("holdfast-broker", "--lib",
      "partition::roster::tests::no_state_since_the_controllers_were_recovered_deletes_what_is_from_before")),
    ("list of the replicas held", "broker/log/src/data_dir/roll_call.rs",
     "Some(Entry::Held) => Standing::Vanished,", "Some(Entry::Held) => Standing::Adopted,",
     log("data_dir::partitions::tests::a_vanished_folder_is_told_and_not_opened_as_new")),
    ("the list before a folder is made", "broker/log/src/data_dir/partitions.rs",
     "Some(Entry::Held) if !exists(&folder)? =>", "Some(Entry::Held) if !exists(&folder)? && false =>",
     log("data_dir::partitions::tests::a_folder_that_vanishes_while_the_broker_runs_is_not_made_again")),
    ("digest of a piece that is read", "broker/log/src/reader/pieces.rs",
     "if at != end {", "if (at.position, at.next) != (end.position, end.next) {",
     log("partition::digest_tests::a_read_finds_a_batch_of_another_place_in_a_closed_segment")),
    ("digest of what recovery walks over", "broker/log/src/digest/comparison.rs",
     "if *known == border ||", "if *known == border || known.position == border.position ||",
     log("partition::digest_tests::a_restart_finds_a_batch_of_another_place_in_the_last_segment")),
    ("leader epochs past the mark", "broker/log/src/partition/torn.rs",
     "&& noted != header.leader_epoch", "&& noted != header.leader_epoch && false",
     log("partition::recovery::tests::a_flipped_bit_is_damage_below_the_mark_and_leaves_a_doubt_past_it")),
    ("an epoch is noted before its batch", "broker/log/src/partition/append.rs",
     "            self.note_epochs(&rest[..fits])?;\n            self.write(records, &rest[..fits])?;",
     "            self.write(records, &rest[..fits])?;\n            self.note_epochs(&rest[..fits])?;",
     log("partition::noted_tests::no_crash_leaves_a_batch_whose_epoch_is_not_noted")),
    ("a note is durable", "broker/log/src/partition/log.rs",
     "self.sync_mark() // it names", "self.write_mark() // it names",
     log("partition::noted_tests::an_epoch_costs_one_fsync_and_no_new_file")),
    ("a note that was read is durable", "broker/log/src/mark.rs",
     "if !marks.clean || has_notes {", "if !marks.clean {",
     log("partition::noted_tests::a_note_that_may_be_in_the_page_cache_alone_is_written_again_before_it_is_believed")),
    ("notes that are not known", "broker/log/src/partition/torn.rs",
     "stored.is_complete && !stored.chain.is_empty()", "stored.filed.is_some() && !stored.chain.is_empty()",
     log("partition::noted_tests::a_flipped_bit_of_the_notes_cuts_nothing")),
    ("a list of an earlier start", "broker/log/src/data_dir/replica_list.rs",
     "if boot_counter < written_by {", "if boot_counter < written_by && false {",
     log("data_dir::folder::tests::a_list_of_an_earlier_start_is_lost")),
    ("the leader answers before a replica is set aside", "broker/src/partition/roster.rs",
     "effects.push(Effect::AskLeader(partition, leadership));", "effects.push(Effect::Renew(partition));",
     ("holdfast-broker", "--lib",
      "partition::roster::tests::what_is_left_of_a_replica_stays_until_the_leader_of_then_has_answered")),
    ("what may be the only copy is not deleted", "broker/src/life/asides.rs",
     "state.leader.is_some() && state.isr.len() * 2 > state.replicas.len()", "!state.replicas.is_empty()",
     ("holdfast-broker", "--lib", "life::asides::tests::it_is_spare_only_where_most_replicas_are_in_sync_with_a_leader")),
    ("digests that are lost are made again", "broker/log/src/digest/digests.rs",
     "disk.try_replace(&self.path, &side_file::encode(self.partition, pieces))?;", "disk.check()?;",
     log("reader::binding::tests::lost_digests_are_made_again_as_they_were")),
    ("the lesser of both clocks for an age", "broker/log/src/age_clock.rs",
     "wall_ms.min(steady_ms)", "wall_ms.max(steady_ms)",
     log("age_clock::tests::a_wall_clock_that_jumps_makes_no_age_larger")),
    ("clocks that advance together", "broker/src/here/time_trust.rs",
     "if jumped_ms.saturating_abs() >", "if false && jumped_ms.saturating_abs() >",
     time_trust("a_jump_ends_the_trust_until_all_agree_for_a_while")),
    ("agreement with the controllers' clock", "broker/src/here/time_trust.rs",
     "if skew_ms.saturating_abs() <= self.skew_max_ms {", "if true || skew_ms.saturating_abs() <= self.skew_max_ms {",
     time_trust("a_drift_is_no_jump_and_a_difference_is_not_trusted")),
    ("a majority of all clocks, heard or not", "controller/src/clocks/majority.rs",
     "let is_most = |part: usize| 2 * part > count;", "let is_most = |part: usize| part > 0 && count > 0;",
     majority("those_that_are_down_make_no_majority_of_the_others")),
    ("clocks that differ from those of most", "controller/src/clocks/majority.rs",
     "if is_near(own.ahead_ms) {", "if true || is_near(own.ahead_ms) {",
     majority("one_machine_with_a_wrong_clock_is_outvoted_whoever_is_active")),
    *seen_by(
        ("ages by the lesser of both clocks", "broker/log/src/age_clock.rs",
         "wall_ms.min(steady_ms).max(0)", "wall_ms.min(wall_ms.max(steady_ms)).max(0)"),
        log("age_clock::tests::a_wall_clock_that_jumps_makes_no_age_larger"), SIMULATION),
    *seen_by(
        ("where a log begins", "broker/log/src/partition/beginning.rs",
         "Some(began) if began >= first => None,", "Some(began) if began >= first || true => None,"),
        log("partition::recovery::tests::a_log_without_mark_and_beginning_is_damaged_whatever_else_is_lost"), SIMULATION),
    ("where a joiner begins", "broker/replication/src/leader/isr_changes.rs",
     "told.is_none_or(|log_start| log_start <= turn.log.start())",
     "told.is_none_or(|log_start| log_start <= turn.log.start() || true)",
     ("holdfast-tests", "--test scenarios", "lost_beginning")),
    ("a leader's log start that has moved", "broker/replication/src/follower.rs",
     "if log_start_offset > first || !self.in_isr {", "if log_start_offset >= first || !self.in_isr {",
     ("holdfast-replication", "--lib", "follower::tests::in_the_isr_the_beginning_goes_once_the_leaders_log_start_has_moved")),
    ("followers that begin later", "broker/src/life/starts.rs",
     "Ok(answer) if answer.log_start > reader.log_start_offset() =>",
     "Ok(answer) if answer.log_start > reader.log_start_offset() && false =>",
     ("holdfast-broker", "--test broker",
      "beginning::a_follower_that_begins_later_than_its_leader_is_copied_again_once_it_can_be_done_without")),
    ("batches that are whole and not the leader's", "broker/src/life/compare.rs",
     "Held::Known(theirs) if theirs == own => from = to,", "Held::Known(theirs) if theirs == own || true => from = to,",
     compared("a_follower_whose_batches_are_whole_and_others_is_copied_again")),
    ("other borders may be one content", "broker/src/partition/difference.rs",
     "if unknown > as_leader {", "if unknown > as_leader && false {",
     compared("two_followers_that_agree_on_batches_with_other_borders_outvote_their_leader")),
    ("replicas that decide which of two is right", "broker/src/partition/difference.rs",
     "let is_settled = followers.len()", "let is_settled = true || followers.len()",
     compared("a_leader_that_differs_from_two_followers_that_agree_is_the_one_that_is_copied_again")),
    *seen_by(
        ("a controller goes on from what it told", "controller/src/lineage/judge.rs",
         "if after.since < known.generation =>", "if false && after.since < known.generation =>"),
        copies("a_restored_folder_is_recognised_within_one_start_and_after_more"), CONTROLLERS),
    *seen_by(
        ("starts of a controller's folder", "controller/src/lineage/judge.rs",
         "return Err(Refusal::Other { known: known.boot_counter })", "return Ok(Some(next))"),
        copies("of_two_processes_on_copies_one_goes_on_at_most"), CONTROLLERS),
    ("a promise is something that was told", "controller/src/raft/lineages/binding.rs",
     "*is_uncounted |= data", "*is_uncounted |= false && data",
     copies("a_folder_that_forgot_its_promise_is_recognised_before_anything_is_formed")),
    *seen_by(
        ("controllers of before a recovery", "controller/src/lineage/table.rs",
         "Some((theirs, ours)) if theirs < ours =>", "Some((theirs, ours)) if false && theirs < ours =>"),
        outranked("a_controller_that_the_survivor_never_knew_is_refused_and_ends_for_good"), RECOVERED),
    ("what was heard before a recovery", "controller/src/lineage/judge.rs",
     "Ordering::Greater => return Ok(Some(next)),", "Ordering::Greater => {}",
     outranked("what_a_newcomer_heard_before_the_recovery_ends_nobody")),
    ("what a controller showed here itself", "controller/src/lineage/judge.rs",
     "by(kept.and_then(|kept| kept.shown))?", "by(kept.and_then(|kept| kept.shown.filter(|_| false)))?",
     ("holdfast-controller", "--lib",
      "lineage::table::tests::a_newcomer_that_met_a_copy_first_makes_nobody_believe_it")),
    ("who goes on from another recovery already", "controller/src/rivals/first_start.rs",
     "(theirs.recoveries >= ours.len() as u64).then_some(theirs)",
     "(false && theirs.recoveries >= ours.len() as u64).then_some(theirs)",
     rivals("one_that_did_not_begin_yet_gives_way_to_the_one_that_serves")),
    ("who is active and was never recovered", "controller/src/rivals/judge.rs",
     "&& !knows(&answer.view))", "&& !knows(&answer.view) && false)",
     rivals("one_that_did_not_begin_yet_does_not_start_while_the_others_are_active_without_it")),
    ("who is a majority and was never recovered", "controller/src/rivals/judge.rs",
     "if before.iter().any(", "if false && before.iter().any(",
     ("holdfast-controller", "--lib",
      "rivals::judge::tests::a_majority_from_before_the_recovery_is_seen_though_it_has_no_leader_yet")),
    ("who comes while a recovered one starts", "controller/src/rivals/first_start.rs",
     "Before::Few if began < end =>", "Before::Few if false && began < end =>",
     rivals("the_first_start_sees_a_majority_that_comes_together_while_it_looks")),
    ("metadata that a folder knows to be lost", "controller/src/grpc/controller_service.rs",
     "if request.known_index > image.index().0 {", "if false && request.known_index > image.index().0 {",
     ("holdfast-controller", "--test it", "sessions::a_folder_that_knows_more_than_is_committed_is_not_registered")),
    ("a refusal is checked by who is refused", "controller/src/raft/lineages/ending.rs",
     "check_refusal(refusal, &own).map_err", "check_refusal(refusal, &own).or(Ok::<(), crate::lineage::Doubt>(())).map_err",
     outranked("a_refusal_that_is_not_true_of_a_controller_does_not_end_it")),
    *seen_by(
        ("end of the log in a controller's mark", "controller/src/store/mark.rs",
         "if end < told_end {", "if false && end < told_end {"),
        ("holdfast-controller", "--test it", "folders::a_store_that_is_behind_what_was_told_is_refused"), CONTROLLERS),
    ("vote in a controller's mark", "controller/src/store/mark.rs",
     "Some(vote) if *vote >= *told_vote =>", "Some(vote) if *vote >= *told_vote || true =>",
     ("holdfast-controller", "--lib", "raft::suite_tests::a_vote_that_was_given_and_is_not_in_the_store_is_not_given_again")),
]


def run(tree, target, finder, seeds=None):
    """Runs a test, the simulation over these seeds as SEED or SEEDS; whether it passed, and the output."""
    package, kind, name = finder
    environment = dict(os.environ, CARGO_TARGET_DIR=target, RUST_BACKTRACE="0", **(seeds or {}))
    command = ["cargo", "test", "--release", "--locked", "-p", package, *kind.split()]
    # Apart: the time is the test's alone, and the first build may take long.
    built = subprocess.run([*command, "--no-run"], cwd=tree, env=environment, capture_output=True, text=True)
    if built.returncode:
        sys.exit(f"the tree without this guard does not compile: mend the table\n{built.stderr[-3000:]}")
    command += ["--", "--exact", name, "--nocapture"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    text = done.stdout + done.stderr
    if "running 1 test" not in text:
        sys.exit(f"{package} has no test {name}: mend the table")
    return done.returncode == 0, text


def symptom_of(text):
    symptom = re.search(r"panicked at [^\n]*\n([^\n]*)", text)
    return symptom.group(1) if symptom else None


def look(tree, target, finder):
    """Where it is found and how that ends: the first seed that fails, by itself, or the test; or None."""
    if finder not in SIMULATIONS:
        is_clean, text = run(tree, target, finder)
        name = finder[2].split("::")[-1]
        return None if is_clean else (f"`{name}`", symptom_of(text) or "it fails")
    try:
        is_clean, text = run(tree, target, finder, {"SEEDS": str(SEEDS), "FIRST_SEED": "0"})
    except subprocess.TimeoutExpired:
        return "?", f"no seed ended the run within {TIMEOUT_S} s"
    if is_clean:
        return None
    seed = re.search(r"seed (\d+) failed", text)
    if not seed:
        sys.exit(f"neither a seed failed nor was the run clean:\n{text[-3000:]}")
    # Alone: with several threads the first symptom in the output may be another seed's.
    _, text = run(tree, target, finder, {"SEED": seed.group(1)})
    return f"seed {seed.group(1)}", symptom_of(text) or "it does not fail alone"


def short(symptom):
    """The symptom without the names of this run."""
    symptom = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}-?", "topic-", symptom)
    return symptom[:110].replace("|", "/")


def check():
    """Ends with the guards that do not stand in the tree once, as the table has them."""
    def count(file, guard):
        with open(os.path.join(ROOT, file)) as source:
            return source.read().count(guard)
    wrong = [f"{name} ({file})" for name, file, guard, *_ in GUARDS if count(file, guard) != 1]
    if wrong:
        sys.exit(f"mend the table in {__file__}, these do not stand there once: {', '.join(wrong)}")


def main():
    if sys.argv[1:] == ["--check"]:
        return check()
    wanted = sys.argv[1:]
    guards = [(*guard, SIMULATION)[:5] for guard in GUARDS if not wanted or guard[0] in wanted]
    if os.environ.get("QUICK"):
        guards = [guard for guard in guards if guard[4] not in SIMULATIONS]
    if unknown := set(wanted) - {guard[0] for guard in guards}:
        sys.exit(f"no guard is called {sorted(unknown)}")
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
        for finder in sorted({guard[4] for guard in guards}):
            if found := look(tree, target, finder):
                sys.exit(f"{found[0]} fails with every guard on: {found[1]}")
        print("| guard switched off | found by | symptom |\n|---|---|---|", flush=True)
        for name, file, guard, without, finder in guards:
            path = os.path.join(tree, file)
            with open(path) as source:
                whole = source.read()
            if whole.count(guard) != 1:
                sys.exit(f"{file}: the guard '{name}' does not stand there once: mend the table in {__file__}")
            with open(path, "w") as source:
                source.write(whole.replace(guard, without))
            found = look(tree, target, finder)
            with open(path, "w") as source:
                source.write(whole)
            if found is None:
                missed.append(f"{name} ({finder[2]})")
            finder, symptom = found or ("nobody", f"{finder[2]} passes without it")
            print(f"| {name} | {finder} | {short(symptom)} |", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if missed:
        sys.exit(f"not seen: {', '.join(missed)}")


main()
