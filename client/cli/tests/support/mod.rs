//! The command line against clusters of real processes, as every test of it needs them.
//!
//! Needs the programs: `make test` builds them and sets HOLDFAST_BIN_DIR. Without that variable there is nothing to run
//! against, and each test says so.

mod programs;

pub(crate) use programs::*;
