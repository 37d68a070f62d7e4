//! Real controllers on loopback ports in one process, each with a runtime and a folder of its own.

mod admin;
mod broker;
mod clocks;
mod copies;
mod folders;
mod formation;
mod given_up;
mod liar;
mod limits;
mod load;
mod moved;
mod moves;
mod outranked;
mod program;
mod quorum;
mod recover;
mod rejoin;
mod removal;
mod resize;
mod sessions;
mod silence;
mod snapshots;
mod stopping;
mod storm;
mod support;
mod versions;
