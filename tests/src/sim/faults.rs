//! What goes wrong in a simulated run, chosen by its seed: crashes, power losses of one or of all, pauses, disks that are
//! lost, restored or lose a part, broken connections, cut links, a broker cut off from the controllers alone and one cut
//! off from its peers alone, another active controller, clocks that are set to anything; all that while replicas move,
//! topics come, change and go, and retention takes what is old.

use std::ops::Range;

use fastrand::Rng;

use holdfast_proto::ids::BrokerId;

use super::{
    disk::Crash,
    message::Node,
    shape::Shape,
    world::{Beyond, Coverage, World},
};

/// How long a broker is away that falls behind, ms: long enough to leave every ISR, and shorter than a mark may be old.
const FALLEN_BEHIND_MS: Range<u64> = 300..900;

/// One run: faults at random times, then healing and the audit. Panics with the anomaly if there is one.
pub fn run(seed: u64) -> Coverage {
    let mut world = World::new(seed);
    let mut cut: Vec<(Node, Node)> = Vec::new();
    for _ in 0..world.shape().faults {
        let pause_ms = world.rng().u64(20..900);
        let now_ms = world.now_ms();
        world.run_until(now_ms + pause_ms);
        if world.rng().u8(..3) == 0 {
            world.begin_some_move();
        }
        if world.rng().u8(..5) == 0 {
            world.change_some_topic();
        }
        if world.rng().u8(..4) == 0 {
            world.retain_some();
        }
        if world.rng().u8(..4) == 0 {
            let (copied, _) = two_brokers(&mut world);
            world.copy_disk(copied);
        }
        if world.rng().u8(..3) == 0 {
            world.set_some_clocks();
        }
        inject(&mut world, &mut cut);
    }
    world.heal_and_audit()
}

/// A run in which too many disks are at fault at one time: what is lost then is lost aloud. Panics if it is not.
pub fn run_beyond(seed: u64) -> Beyond {
    let mut rng = Rng::with_seed(seed);
    let shape = Shape::beyond(&mut rng);
    let mut world = World::of(&shape, rng);
    for _ in 0..world.shape().faults {
        let pause_ms = world.rng().u64(100..2_500);
        world.run_until(world.now_ms() + pause_ms);
        let (one, other) = two_brokers(&mut world);
        world.keep_copy(one);
        let restart_after_ms = world.rng().u64(1..900);
        match world.rng().u8(..4) {
            0 => world.crash(other, Crash::Kill { done: 2 }, restart_after_ms),
            1 => world.crash(other, Crash::PowerLoss { done: 2, kept: 1 }, restart_after_ms),
            2 => world.disconnect(Node::Broker(one), Node::Broker(other), false),
            _ => world.change_controller(),
        }
    }
    world.break_too_many_disks();
    world.recover_and_audit()
}

/// A run in which power fails everywhere at one moment and one machine stays away: the others lead again. Panics if not.
pub fn run_one_away(seed: u64) -> Coverage {
    let mut rng = Rng::with_seed(seed);
    let shape = Shape::beyond(&mut rng);
    let mut world = World::of(&shape, rng);
    let pause_ms = world.rng().u64(100..2_500);
    world.run_until(world.now_ms() + pause_ms);
    world.lose_power_and_audit()
}

/// A run in which all brokers are told to stop and one machine stays away: the others lead again. Panics if not.
pub fn run_all_stopped(seed: u64) -> Coverage {
    let mut rng = Rng::with_seed(seed);
    let shape = Shape::beyond(&mut rng);
    let mut world = World::of(&shape, rng);
    let pause_ms = world.rng().u64(100..2_500);
    world.run_until(world.now_ms() + pause_ms);
    world.stop_all_and_audit()
}

fn inject(world: &mut World, cut: &mut Vec<(Node, Node)>) {
    let kept = if world.rng().bool() { 0 } else { world.rng().usize(..4) };
    let done = world.rng().usize(..6);
    let is_power_loss = world.rng().bool();
    let crash = if world.shape().has_interval {
        // What waits for the writer of an interval topic counts already.
        Crash::Kill { done: usize::MAX }
    } else if is_power_loss {
        Crash::PowerLoss { done, kept }
    } else {
        Crash::Kill { done }
    };
    let restart_after_ms = world.rng().u64(1..2_500);
    let (one, other) = two_brokers(world);
    if world.shape().has_bad_disks && world.rng().u8(..4) == 0 {
        return world.break_disk(one, restart_after_ms);
    }
    match world.rng().u8(..18) {
        // The leader, because that is where a loss would begin.
        0..=3 => {
            if let Some(leader) = world.some_leader() {
                world.crash(leader, crash, restart_after_ms);
            }
        }
        4 => world.crash(one, crash, restart_after_ms),
        5 => {
            world.crash(one, crash, restart_after_ms);
            let restart_after_ms = world.rng().u64(1..2_500);
            world.crash(other, crash, restart_after_ms);
        }
        6 => {
            for broker in world.running() {
                let restart_after_ms = world.rng().u64(1..2_500);
                world.crash(broker, crash, restart_after_ms);
            }
        }
        7 => world.disconnect(Node::Broker(one), Node::Broker(other), false),
        8 => cut_off(world, cut, Node::Broker(one), Node::Broker(other)),
        9 => cut_off(world, cut, Node::Broker(one), Node::Controller),
        10 => {
            for peer in world.shape().brokers().map(BrokerId).filter(|peer| *peer != one).collect::<Vec<_>>() {
                cut_off(world, cut, Node::Broker(one), Node::Broker(peer));
            }
        }
        11 => {
            let for_ms = world.rng().u64(100..2_000);
            let paused = world.some_leader().unwrap_or(one);
            world.pause(paused, for_ms);
        }
        12 => world.break_disk(one, restart_after_ms),
        13 => world.change_controller(),
        14 if world.rng().bool() => world.leave(one),
        // A drain of all nodes: nobody takes over what the last of them lead.
        14 => world.running().into_iter().for_each(|broker| world.leave(broker)),
        // One falls behind; then all that are ahead of it start again, and know high watermarks as old as their marks.
        15 => {
            let behind_ms = world.rng().u64(FALLEN_BEHIND_MS);
            world.crash(one, crash, behind_ms + 100);
            let now_ms = world.now_ms();
            world.run_until(now_ms + behind_ms);
            for broker in world.running() {
                let restart_after_ms = world.rng().u64(1..300);
                world.crash(broker, crash, restart_after_ms);
            }
        }
        _ => {
            for (a, b) in cut.drain(..) {
                world.mend(a, b);
            }
        }
    }
}

fn cut_off(world: &mut World, cut: &mut Vec<(Node, Node)>, a: Node, b: Node) {
    if a != b {
        world.disconnect(a, b, true);
        cut.push((a, b));
    }
}

/// Two brokers; the same one twice if there is no other.
fn two_brokers(world: &mut World) -> (BrokerId, BrokerId) {
    let brokers = world.shape().brokers;
    let one = 1 + world.rng().u32(..brokers);
    let other = if brokers == 1 { one } else { 1 + (one + world.rng().u32(..brokers - 1)) % brokers };
    (BrokerId(one), BrokerId(other))
}
