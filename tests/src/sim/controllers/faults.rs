//! What goes wrong in a simulated run, chosen by its seed.

use super::world::{Coverage, World};

/// One run: faults at random times, then healing and the audit. Panics with the anomaly if there is one.
pub fn run(seed: u64) -> Coverage {
    let mut world = World::new(seed);
    let faults = world.rng().u32(5..40);
    world.run_until(2_000);
    for _ in 0..faults {
        let pause_ms = world.rng().u64(20..700);
        let now_ms = world.now_ms();
        world.run_until(now_ms + pause_ms);
        let at = world.some_machine();
        let restart_after_ms = world.rng().u64(1..900);
        match world.rng().u8(..10) {
            0 | 1 => world.copy(at),
            2 => world.kill(at, false, restart_after_ms),
            3 => world.kill(at, true, restart_after_ms),
            4 => world.isolate(at),
            5 => {
                let (other, both) = (world.some_machine(), world.rng().bool());
                world.cut_link(at, other, both);
            }
            6 | 7 => world.connect(),
            8 if world.rng().u8(..3) == 0 => forget(&mut world),
            8 => world.harm(at),
            _ => plot(&mut world),
        }
    }
    world.heal_and_audit()
}

/// A run in which a majority of the folders is at fault at once: nobody leads, until an operator lets one go on alone; those
/// that were given up come back, and harm nothing. Panics if it is otherwise.
pub fn run_beyond(seed: u64) -> Coverage {
    let mut world = World::new(seed);
    // Time for everybody to have voted.
    let until_ms = world.rng().u64(3_000..6_000);
    world.run_until(until_ms);
    if world.rng().bool() {
        // The one that is gone on with was away: what it does not know is lost in the open, and who came since returns.
        let survivor = world.some_machine();
        world.kill(survivor, false, 1_000_000);
        let harmed = world.some_machine();
        if harmed != survivor {
            world.harm(harmed);
        }
        let pause_ms = world.rng().u64(500..6_000);
        world.run_until(world.now_ms() + pause_ms);
        world.kill_all(false, 50);
        world.recover(survivor);
    } else if world.harm_most() {
        for _ in 0..40 {
            world.run_until(world.now_ms() + 100);
            world.check_that_nobody_leads();
        }
        world.kill_all(false, 100);
        world.recover_best();
    }
    let pause_ms = world.rng().u64(1_000..4_000);
    world.run_until(world.now_ms() + pause_ms);
    world.heal_and_audit()
}

/// A run in which two operators let the controllers go on, each from another one: of the two one goes on and takes all others
/// in, whichever they meet and when. Panics if none or both do.
pub fn run_rivals(seed: u64) -> Coverage {
    let mut world = World::new(seed);
    let until_ms = world.rng().u64(3_000..6_000);
    world.run_until(until_ms);
    let (first, second) = (world.some_machine(), world.some_machine());
    if world.rng().bool() {
        // One of them lags.
        let away = if world.rng().bool() { first } else { second };
        world.kill(away, false, 1_000_000);
        let pause_ms = world.rng().u64(100..2_000);
        world.run_until(world.now_ms() + pause_ms);
    }
    world.kill_all(false, 1_000_000);
    world.recover(first);
    let pause_ms = world.rng().u64(0..1_500);
    world.run_until(world.now_ms() + pause_ms);
    if first != second && world.may_recover(second) {
        let apart = world.rng().bool();
        if apart {
            world.isolate(second);
        }
        world.recover_beside(second);
        let pause_ms = world.rng().u64(100..3_000);
        world.run_until(world.now_ms() + pause_ms);
        if world.rng().bool() {
            world.kill_all(false, 50);
        }
        world.connect();
    }
    let pause_ms = world.rng().u64(1_000..4_000);
    world.run_until(world.now_ms() + pause_ms);
    world.heal_and_audit()
}

/// The story by which a controller that forgot does the most harm: it and the leader alone hold what was committed; it is
/// harmed, and meets one that was cut off while the leader is away.
fn plot(world: &mut World) {
    let Some(leader) = world.leader() else { return };
    let (harmed, away) = (world.some_machine(), world.some_machine());
    if harmed == leader || away == leader || away == harmed {
        return;
    }
    world.isolate(away);
    let pause_ms = world.rng().u64(50..400);
    world.run_until(world.now_ms() + pause_ms);
    world.harm(harmed);
    let restart_after_ms = world.rng().u64(800..2_500);
    world.kill(leader, false, restart_after_ms);
    world.connect();
    let pause_ms = world.rng().u64(300..2_000);
    world.run_until(world.now_ms() + pause_ms);
}

/// A vote is forgotten as soon as it was given, while elections go on.
fn forget(world: &mut World) {
    if let Some(leader) = world.leader() {
        let restart_after_ms = world.rng().u64(500..1_500);
        world.kill(leader, false, restart_after_ms);
    }
    for _ in 0..400 {
        world.run_until(world.now_ms() + 2);
        if let Some(at) = world.just_voted() {
            return world.forget_a_vote(at);
        }
    }
}
