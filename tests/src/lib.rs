//! What the tests of the whole share.
//!
//! - `tests/tidy.rs`: the rules that the compiler cannot keep: IO and clocks stay out of the pure cores, each outside
//!   framework in its one place.
//! - `peers/`: real Kafka clusters to measure beside.
