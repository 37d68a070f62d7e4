//! Machines with controllers, the network between them, and what comes when: one queue, one seed.

mod disks;
mod events;
mod healing;
mod recovery;
mod state;

pub use state::{Coverage, World};
