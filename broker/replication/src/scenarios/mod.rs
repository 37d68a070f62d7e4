//! Scripted stories (texts in `../scenarios/`) and seeded runs over real replicas.

mod seeded;

/// One test for each scenario text.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let text = include_str!(concat!("../../scenarios/", stringify!($name), ".txt"));
                crate::testing::script::run(stringify!($name), text);
            }
        )*
    };
}

scenarios! {
    kip101_truncation_to_high_watermark
    kip101_divergence_after_power_loss
    kip279_fast_fail_overs
    kafka10706_empty_epochs
    kip497_pending_joiner_counts
    kip497_late_proposal
    kip841_fenced_replica
    kip903_stale_broker_epoch
    kip966_last_replica_standing
    kip320_fencing
    kip207_high_watermark_of_a_new_leader
    kafka14704_high_watermark_after_truncation
    acks_and_minimum
    idempotence
    retention_and_laggard
    restarted_leader
    divergence_below_log_start
    kip455_replica_given_back_empty
}
