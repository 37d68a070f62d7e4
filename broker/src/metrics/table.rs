//! Every metric of a broker: meaning, name, type, unit, labels.

holdfast_node::metrics! {
    /// Every metric of a broker.
    pub static TABLE;

    /// Which program this is, and of which build.
    BUILD: "holdfast_build_info", Info by "program", "version";
    /// The metadata version of the cluster as this node knows it: it is finalised by an operator, and never goes back.
    METADATA_VERSION: "holdfast_metadata_version", Gauge;
    /// The newest metadata version that this build supports.
    METADATA_VERSION_SUPPORTED: "holdfast_metadata_version_supported", Gauge;

    /// Which broker this is; `cluster_id` is empty before its first registration.
    IDENTITY: "holdfast_broker_info", Info by "broker_id", "cluster_id", "directory_id";
    /// How far the broker is: 1 for one of recovering, joining, serving and stopping. It is joining while the controllers do
    /// not count it as alive.
    PHASE: "holdfast_broker_phase", Gauge by "phase";
    /// 1 once the controllers have registered this start of the broker.
    REGISTERED: "holdfast_broker_registered", Gauge;
    /// How long the broker may still believe that the controllers count it as alive; 0 if it may not.
    LEASE: "holdfast_broker_lease_remaining_seconds", Gauge in "seconds";
    /// 1 if the data folder was copied since it was last used: its records are as old as the copy, and none of them count.
    FOLDER_COPIED: "holdfast_broker_folder_copied", Gauge;
    /// 1 if the folder's list of replicas was lost: none that has vanished is known.
    FOLDER_LIST_LOST: "holdfast_broker_folder_list_lost", Gauge;
    /// 1 once the broker has to end, by the exit code that it ends with: 12, 15 and 16 tell of an identity that is refused. The
    /// log says why.
    ENDING: "holdfast_broker_ending", Gauge by "code";

    /// Replicas that this broker holds, each in one state: open; copying (its records do not count until it has copied what it
    /// lacks); in_doubt (open, and its end may lack what it counted as held); kept (damaged, and it goes on with what is sound,
    /// for no other holds what was acknowledged); distrusted (closed, and not vouched for); unread (it could not be looked
    /// at, and is tried again); opening.
    REPLICAS: "holdfast_broker_replicas", Gauge by "state";
    /// Open replicas that lead their partition.
    LED: "holdfast_broker_replicas_led", Gauge;
    /// Replicas of this broker that are not well, all of them.
    TROUBLED: "holdfast_broker_replicas_troubled", Gauge;
    /// A replica of this broker that is not well is 1; a hundred are named at most. Why (`reason`): damaged, vanished, halted,
    /// folder, short, in_doubt, unread. What happens next (`next`): told_to_controllers, then copied_again; or
    /// catches_up; or opened_again; waits_for_leader, where nobody leads from whom it could copy (start the other replicas, or
    /// give them up with `holdfast partition recover`); goes_on, where no other holds what was acknowledged (start the other
    /// replicas); hands_over and waits_for_finalize, where `holdfast cluster finalize-version` is wanted first;
    /// waits_for_metadata.
    TROUBLE: "holdfast_broker_replica_trouble", Gauge by "topic", "partition", "reason", "next";
    /// Findings against replicas that had none, since the start: damaged, unreadable (the disk fails to read it), dead (the log
    /// takes nothing more), halted.
    FINDINGS: "holdfast_broker_findings_total", Counter by "kind";
    /// Folders of replicas that were set aside, as of the last look at them.
    ASIDE_FOLDERS: "holdfast_broker_set_aside_folders", Gauge;
    /// Size of the folders of replicas that were set aside, as of the last look at them.
    ASIDE_BYTES: "holdfast_broker_set_aside_bytes", Gauge in "bytes";

    /// Bytes of replicas that were read again by the scrub and are right, since the start.
    SCRUBBED: "holdfast_broker_scrub_bytes_total", Counter in "bytes";
    /// Rounds of the scrub through all replicas that ended, since the start.
    SCRUB_ROUNDS: "holdfast_broker_scrub_rounds_total", Counter;
    /// Time since the last round of the scrub ended; since the start while none has. Absent where scrubs are switched off.
    SCRUB_AGE: "holdfast_broker_scrub_round_age_seconds", Gauge in "seconds";
    /// Ranges of which this broker, as their leader, asked a follower for the digest, since the start.
    COMPARED: "holdfast_broker_compared_ranges_total", Counter;
    /// Ranges that a follower holds differently, since the start.
    DIFFERENT: "holdfast_broker_compared_ranges_different_total", Counter;

    /// 1 while retention by time stands still, for the wall clock is not trusted.
    RETENTION_FROZEN: "holdfast_broker_retention_by_time_frozen", Gauge;
    /// Why the wall clock is not trusted is 1: unconfirmed, started, jumped, differs, split, unheard; absent while it is
    /// trusted. What happens next (`next`): thaws, by itself; waits_for_controllers; waits_for_clocks, where too few
    /// are heard; set_clock, where that of this machine is wrong; set_clocks, where there is no majority.
    CLOCK_TROUBLE: "holdfast_broker_clock_trouble", Gauge by "reason", "next";
    /// Time until retention by time thaws after a jump of the clock or a start of the machine; 0 if it does not wait for that.
    THAW: "holdfast_broker_retention_thaw_seconds", Gauge in "seconds";
    /// How far the wall clock is ahead of those of most controllers and brokers, as the active controller said last; behind if
    /// below 0. Absent while it is not known.
    CLOCK_AHEAD: "holdfast_broker_clock_ahead_seconds", Gauge in "seconds";
}
