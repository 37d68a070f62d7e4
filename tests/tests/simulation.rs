//! Some hundred seeds of the simulation. `SEED=n` runs one, `SEEDS=n` that many from a place that the clock chooses.

use std::{
    env,
    ops::Range,
    panic,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::SystemTime,
};

use holdfast_tests::sim::{
    controllers::{self, world::Coverage as ControllersCoverage},
    faults,
    world::{Beyond, Coverage},
};

const SEEDS: u64 = 300;

fn seeds() -> Range<u64> {
    let number = |name| env::var(name).ok().map(|text: String| text.parse::<u64>().expect("a seed is a number"));
    match (number("SEED"), number("SEEDS"), number("FIRST_SEED")) {
        (Some(seed), ..) => seed..seed + 1,
        (None, Some(count), Some(first)) => first..first + count,
        (None, Some(count), None) => {
            let first = SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_secs() * 100_000;
            first..first + count
        }
        (None, None, _) => 0..SEEDS,
    }
}

/// Runs every seed, on all cores. How many those were, and what they add up to.
fn run_all<T: Default + Send>(run: impl Fn(u64) -> T + Sync, add: impl Fn(&mut T, &T) + Sync) -> (u64, T) {
    let seeds = seeds();
    let (next, end) = (AtomicU64::new(seeds.start), seeds.end);
    let sum = Mutex::new(T::default());
    let failed = AtomicU64::new(u64::MAX);
    let work = || {
        while failed.load(Ordering::Relaxed) == u64::MAX {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            match panic::catch_unwind(panic::AssertUnwindSafe(|| run(seed))) {
                Ok(one) => add(&mut sum.lock().expect("no run panics with it"), &one),
                Err(_told_already) => {
                    failed.fetch_min(seed, Ordering::Relaxed);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner();
    assert!(failed == u64::MAX, "seed {failed} failed: repeat it with `make sim SEED={failed}`");
    (seeds.end - seeds.start, sum.into_inner().expect("no run panics with it"))
}

#[test]
fn every_promise_holds_under_crashes_loss_and_partitions() {
    let (runs, sum) = run_all(faults::run, Coverage::add);
    println!("{runs} seeds: {sum:#?}");
    if runs >= SEEDS {
        // Faults that did not bite prove nothing.
        assert!(sum.missing().is_empty(), "these never happened: {:?}", sum.missing());
        assert!(sum.elections > runs && sum.resent > runs, "too few fail-overs or retries: {sum:?}");
        assert!(sum.records_forgotten > runs && sum.truncations > runs / 10, "too little was lost and cut: {sum:?}");
        assert!(sum.moves_ended > runs / 4 && sum.deleted_logs > runs / 2, "too few replicas moved: {sum:?}");
        assert!(sum.leases_ended > runs && sum.brokers_fenced > runs, "too few sessions were lost: {sum:?}");
    }
}

#[test]
fn after_a_power_loss_of_all_nobody_waits_for_the_one_that_stays_away() {
    let (runs, sum) = run_all(faults::run_one_away, Coverage::add);
    println!("{runs} seeds of power losses of all: {} times several were fenced together", sum.fenced_together);
    assert!(sum.fenced_together >= runs, "not all ended together: {sum:?}");
    if runs >= SEEDS {
        assert!(sum.starts_held_back > runs / 4, "no start waited for what a new controller does not know: {sum:?}");
    }
}

#[test]
fn after_an_orderly_stop_of_all_nobody_waits_for_the_one_that_stays_away() {
    let (runs, sum) = run_all(faults::run_all_stopped, Coverage::add);
    println!("{runs} seeds of stops of all: {} last words were kept", sum.last_words);
    if runs >= SEEDS {
        assert!(sum.last_words > runs / 2, "others knew how far was acknowledged: {sum:?}");
    }
}

#[test]
fn what_more_disks_lose_than_may_is_never_lost_in_silence() {
    let (runs, sum) = run_all(faults::run_beyond, Beyond::add);
    println!("{runs} seeds with too many disks at fault: {sum:#?}");
    if runs >= SEEDS {
        assert!(sum.went_on > 0 && sum.recovered > runs / 4 && sum.lost > runs / 10, "too little was lost: {sum:?}");
        assert!(sum.recovered > sum.lost, "some lose nothing: {sum:?}");
    }
}

#[test]
fn what_controllers_committed_stays_whatever_becomes_of_fewer_than_half_their_disks() {
    let (runs, sum) = run_all(controllers::faults::run, ControllersCoverage::add);
    println!("{runs} seeds of controllers: {sum:#?}");
    if runs >= SEEDS {
        assert!(sum.missing().is_empty(), "these never happened: {:?}", sum.missing());
        assert!(sum.led > runs && sum.refused > runs / 4 && sum.replaced > runs / 4, "too little went wrong: {sum:?}");
    }
}

#[test]
fn controllers_that_lost_most_disks_wait_and_go_on_from_one_as_an_operator_orders() {
    let (runs, sum) = run_all(controllers::faults::run_beyond, ControllersCoverage::add);
    println!("{runs} seeds of controllers with too many disks at fault: {sum:#?}");
    if runs >= SEEDS {
        assert!(sum.recovered > runs / 2 && sum.refused > runs, "too little was lost: {sum:?}");
    }
}

#[test]
fn of_controllers_that_two_operators_recovered_one_goes_on() {
    let (runs, sum) = run_all(controllers::faults::run_rivals, ControllersCoverage::add);
    println!("{runs} seeds of rivals: {sum:#?}");
    if runs >= SEEDS {
        assert!(sum.rivals > runs / 4 && sum.gave_way > runs / 10, "too few met: {sum:?}");
        assert!(sum.gave_way < sum.rivals, "none decided anything: {sum:?}");
    }
}
