//! The broker of Holdfast.

pub mod clock;
pub mod config;
pub mod exit;
pub mod telemetry;
