//! A toy cluster around real replicas of one partition: for this crate's scenarios and seeded runs, and, with the feature
//! `testing`, for others that drive the cores.
//!
//! - `toy_log`: a log whose writes become durable only when told to, and that forgets the rest when power fails;
//! - `toy_controller`: elects from the ISR, then from the eligible replicas, and commits ISR changes;
//! - `network`: messages that wait until they are delivered; links that hold or break;
//! - `cluster`: the shell of each replica, and the clock;
//! - `faults`: what befalls it;
//! - `moves`: replicas that are taken away, deleted and given back;
//! - `oracle`: what clients were promised, compared with every log;
//! - `script`: scenarios as text;
//! - `dice`: numbers from a seed.

pub mod cluster;
pub mod dice;
pub mod faults;
pub mod moves;
pub mod network;
pub mod oracle;
pub mod script;
pub mod toy_controller;
pub mod toy_log;
