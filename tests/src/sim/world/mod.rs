//! The simulated cluster: one thread, one seed, one queue of things to come. The same seed gives the same run.
//!
//! - `state`: the cluster and its queue. `upcoming`: what can come.
//! - `events`: what happens when its time has come. `outgoing`: what brokers want done.
//! - `disks`: the writers of their logs. `upkeep`: retention. `leaving`: leaves in order.
//! - `topics`: topics made, changed and deleted, and replicas moved. `breakage`: crashes, pauses, lost disks, cut links.
//! - `away`: power fails everywhere, and one machine stays away.
//! - `lying_disks`: disks that lose what they had. `beyond`: more of them than the promise allows for.
//! - `clocks`: wall clocks that are set, and retention by time.
//! - `coverage`: what a run went through. `audit`: the end. `gone_back`: what a restored controller would tell.

mod audit;
mod away;
mod beyond;
mod breakage;
mod clocks;
mod coverage;
mod disks;
mod events;
mod gone_back;
mod leaving;
mod lying_disks;
mod outgoing;
mod state;
mod topics;
mod upcoming;
mod upkeep;

pub use beyond::Beyond;
pub use coverage::Coverage;
pub use state::World;
