//! What every port serves alike, whatever its services are.
//!
//! - [`http2`]: what one connection may do by frames alone.
//! - [`refusals`]: names for what the gRPC library refuses by itself.
//! - [`reflection`]: what tools can learn of a port.

pub mod http2;
pub mod reflection;
pub mod refusals;
