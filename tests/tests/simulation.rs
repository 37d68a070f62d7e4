//! Some hundred seeds of the simulation. `SEED=n` runs one, `SEEDS=n` that many from a place that the clock chooses.

use std::{env, panic, time::SystemTime};

use holdfast_tests::sim::{faults, world::Coverage};

const SEEDS: u64 = 300;

#[test]
fn every_promise_holds_under_crashes_loss_and_partitions() {
    let number = |name| env::var(name).ok().map(|text: String| text.parse::<u64>().expect("a seed is a number"));
    let seeds = match (number("SEED"), number("SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => {
            let first = SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_secs() * 100_000;
            first..first + count
        }
        (None, None) => 0..SEEDS,
    };
    let mut sum = Coverage::default();
    let runs = seeds.end - seeds.start;
    for seed in seeds {
        let run = panic::catch_unwind(|| faults::run(seed));
        let Ok(coverage) = run else { panic!("seed {seed} failed: repeat it with `make sim SEED={seed}`") };
        sum.acked += coverage.acked;
        sum.resent += coverage.resent;
        sum.elections += coverage.elections;
        sum.records_forgotten += coverage.records_forgotten;
        sum.truncations += coverage.truncations;
        sum.moves_accepted += coverage.moves_accepted;
        sum.moves_refused += coverage.moves_refused;
        sum.moves_ended += coverage.moves_ended;
        sum.deleted_logs += coverage.deleted_logs;
    }
    println!("{runs} seeds: {sum:?}");
    if runs >= SEEDS {
        // Faults that did not bite prove nothing.
        assert!(sum.elections > runs && sum.resent > runs, "too few fail-overs or retries: {sum:?}");
        assert!(sum.records_forgotten > runs && sum.truncations > runs / 10, "too little was lost and cut: {sum:?}");
        assert!(sum.moves_ended > runs && sum.deleted_logs > runs, "too few replicas moved: {sum:?}");
        assert!(sum.moves_refused > runs / 10, "no move was refused: {sum:?}");
    }
}
