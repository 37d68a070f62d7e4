//! The gRPC server: turns messages into calls of the services and back. Calls to others are in `outward`.
//!
//! Towards clients: `producer`, `consumer`, `admin`; `relay` sends calls on that are meant for another broker. Towards
//! brokers: `replica`. `server` serves both ports. `caller`: who makes a call.

mod admin;
mod caller;
mod consumer;
mod producer;
mod relay;
mod replica;
mod server;

pub(crate) use server::{Listeners, Servers};
