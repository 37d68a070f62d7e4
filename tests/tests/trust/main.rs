//! One disk, one clock or one byte at fault, and everybody else only killed: nothing that was acknowledged is lost.
//!
//! Each case ends with the account of every record that its cluster ever acknowledged, and with a comparison of the
//! replicas, batch by batch. Each proves that its fault was met: a node says so, of the replica and the reason. `make test`
//! runs each kind once; with `TRUST=all` (`make trust`) each runs in all its variants.
//!
//! - [`restored`]: data folders of brokers restored from older copies. [`moves`]: while replicas move. [`twins`]: used twice.
//! - [`beyond`]: more disks at fault than the promise allows. [`steps`]: what several cases do.
//! - [`controllers`]: the store of a controller gone, while another one is behind. [`recovery`]: most controllers gone for good.
//! - [`away`]: all brokers killed at once, and one stays away.
//! - [`clocks`]: wall clocks that jump, at some nodes or at all, at their start and while they run.
//!   [`majority`]: those of one machine with its controller, the active one, against those of most.
//! - [`pieces`]: a partition's folder, a segment, the list of replicas, the end of a log gone while the broker was down.
//! - [`metrics`]: what Prometheus is told of a damaged replica and of a wrong clock.
//! - [`damage`]: bytes of a running broker changed: flipped bits, batches of another partition.

mod away;
mod beyond;
mod clocks;
mod controllers;
mod damage;
mod majority;
mod metrics;
mod moves;
mod pieces;
mod recovery;
mod restored;
mod steps;
mod twins;

/// True if every variant is to run.
fn all_variants() -> bool {
    std::env::var("TRUST").is_ok_and(|which| which == "all")
}
