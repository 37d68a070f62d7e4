//! Placeholder until the rules' tests stand here.
