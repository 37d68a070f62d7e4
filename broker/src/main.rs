//! The program `holdfast-broker`.
fn main() {}
