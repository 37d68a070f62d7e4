//! Every metric of a controller: meaning, name, type, unit, labels.

holdfast_node::metrics! {
    /// Every metric of a controller.
    pub static TABLE;

    /// Which program this is, and of which build.
    BUILD: "holdfast_build_info", Info by "program", "version";
    /// The metadata version of the cluster as this node knows it: it is finalised by an operator, and never goes back.
    METADATA_VERSION: "holdfast_metadata_version", Gauge;
    /// The newest metadata version that this build supports.
    METADATA_VERSION_SUPPORTED: "holdfast_metadata_version_supported", Gauge;

    /// Which controller this is; `cluster_id` is empty before the cluster is formed.
    IDENTITY: "holdfast_controller_info", Info by "node_id", "cluster_id";
    /// 1 while this controller is the active one. What the others tell of the cluster may be older.
    ACTIVE: "holdfast_controller_active", Gauge;
    /// The Raft term of this controller.
    TERM: "holdfast_controller_term", Gauge;
    /// Time since the active controller was heard, about 0 on itself; absent before it was. A stored vote is no hearing.
    LEADER_HEARD: "holdfast_controller_leader_heard_seconds", Gauge in "seconds";
    /// Index of the last change of the metadata that is applied here.
    APPLIED: "holdfast_controller_applied_index", Gauge;
    /// Index of the last entry that a majority has, as the active controller told it last; absent before it did.
    COMMITTED: "holdfast_controller_committed_index", Gauge;
    /// Controllers that vote, this one included if it does.
    VOTERS: "holdfast_controller_voters", Gauge;
    /// 1 if this controller votes.
    VOTES: "holdfast_controller_votes", Gauge;
    /// Other controllers that this one refuses: stale_folder (an older copy of a folder, or a second process on it), given_up
    /// (in a recovery of the controllers). The log of each says why.
    REFUSED: "holdfast_controller_refused_controllers", Gauge by "reason";

    /// Registered brokers: alive, fenced.
    BROKERS: "holdfast_controller_brokers", Gauge by "state";
    /// Brokers that have not registered since the last recovery of the controllers: what they hold is not known.
    BROKERS_UNHEARD: "holdfast_controller_brokers_unheard", Gauge;
    /// Partitions of all topics.
    PARTITIONS: "holdfast_controller_partitions", Gauge;
    /// Partitions that are not well, by why; one may count for several: without_leader, under_min_isr (writes with acks=all are
    /// refused), under_replicated, unsettled (without a leader since a recovery of the controllers).
    PARTITIONS_TROUBLED: "holdfast_controller_partitions_troubled", Gauge by "reason";
    /// Replicas that are not believed, by why: their records do not count until they were copied again.
    NOT_BELIEVED: "holdfast_controller_replicas_not_believed", Gauge by "reason";
    /// A replica that is not believed is 1; a hundred are named at most. Why (`reason`): damaged, vanished, halted, folder (the
    /// broker came with another folder, or an older state of it), short (it ends below what was acknowledged). What happens next
    /// (`next`): copied_again; or waits_for_broker, where its broker is fenced (start it); or waits_for_leader, where
    /// nobody leads from whom it could copy (start the other replicas, or give them up with `holdfast partition recover`).
    NOT_BELIEVED_REPLICA: "holdfast_controller_replica_not_believed", Gauge by "topic", "partition", "broker_id", "reason", "next";
    /// What operators gave up so that something goes on, as it is recorded: partitions, controllers, disks.
    RECOVERIES: "holdfast_controller_recoveries", Gauge by "kind";
    /// Live brokers that do not trust their wall clock, by why, as they said to the active controller: their retention by time
    /// stands still. The others tell nothing of it.
    CLOCKS: "holdfast_controller_broker_clocks_distrusted", Gauge by "reason";
}
