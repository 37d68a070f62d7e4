//! What a run went through: a run whose faults did not bite proves nothing.

macro_rules! coverage {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of one run, or of many.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Coverage {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Coverage {
            /// Adds another run's counts.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// The counts that are zero.
            pub fn missing(&self) -> Vec<&'static str> {
                [$((stringify!($name), self.$name),)*].into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
            }
        }
    };
}

coverage! {
    /// Batches that were acknowledged with acks=all.
    acked,
    /// Batches that were acknowledged with acks=1.
    acked_by_leader,
    /// Batches sent more than once.
    resent,
    /// Batches that ended as not appended.
    not_appended,
    /// Batches that ended in doubt.
    in_doubt,
    /// Leader epochs beyond the first, over all partitions.
    elections,
    /// Records that crashes took from writers' queues, and power losses of what was not fsynced.
    records_forgotten,
    /// Cuts that followers made.
    truncations,
    /// Log starts that retention moved, here or at the leader.
    log_starts_moved,
    /// Moves of replicas that the controller began, changed or cancelled.
    moves_accepted,
    /// Moves that it refused.
    moves_refused,
    /// Moves that ended with all replicas in sync.
    moves_ended,
    /// Logs that were deleted where replicas moved away, or with their topic.
    deleted_logs,
    /// Logs that were closed and kept, for a state that had gone back did not place them here.
    set_aside_logs,
    /// Topics that were made while faults went on.
    topics_made,
    /// Topics that got `flush.policy=interval`.
    interval_topics,
    /// Topics that were deleted.
    topics_deleted,
    /// Changes of min.insync.replicas while it ran.
    settings_changed,
    /// Leases that ended before they were renewed.
    leases_ended,
    /// Brokers that were fenced because their session ended.
    brokers_fenced,
    /// Times that several were fenced by one command.
    fenced_together,
    /// Registrations that had to come again, until it was known who ended with their brokers.
    starts_held_back,
    /// Brokers that left in order.
    leaves,
    /// Partitions of which a leader that stopped said how far was acknowledged.
    last_words,
    /// Processes that were paused.
    pauses,
    /// Disks that were put back to an earlier copy.
    disks_restored,
    /// Of these, copies of the start that was just running.
    disks_restored_within_a_start,
    /// Of these, copies with the token that the controllers expect.
    copies_with_the_token,
    /// Disks that were lost.
    disks_lost,
    /// Logs that vanished from a disk.
    logs_vanished,
    /// Logs that lost their end, and were found damaged or in doubt.
    logs_cut,
    /// Logs that lost their beginning, and what said where it was.
    beginnings_lost,
    /// Replicas that stopped because retention had taken more of them than of their leader, and were copied again.
    stopped_late,
    /// Disks that lost their list of replicas.
    lists_lost,
    /// Replicas in which damage was found while they ran.
    damage_found,
    /// Replicas that were not vouched for, and began again.
    renewed,
    /// Sessions that began with an older state.
    old_states,
    /// Controllers that became active.
    controllers_changed,
    /// Times at which somebody set clocks.
    clocks_set,
    /// Clocks that were found to have jumped.
    jumps_seen,
    /// Clocks that were found to differ from those of most.
    wrong_clocks_seen,
    /// Clocks that were not trusted because none was that of most.
    split_clocks_seen,
    /// Starts of a machine, after which a clock was not trusted.
    machines_started,
    /// Clocks that were trusted, for the first time or again.
    clocks_trusted,
    /// Batches that retention by time took.
    retained_by_time,
    /// Runs with retention by time.
    runs_with_retention,
    /// Runs with one broker.
    runs_of_one_broker,
    /// Runs with five brokers.
    runs_of_five_brokers,
    /// Runs with more than eight partitions.
    runs_of_many_partitions,
}
