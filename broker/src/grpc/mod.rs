//! The gRPC server: turns messages into calls of the services and back. Calls to others are in `outward`.
//!
//! Towards clients: `producer`, `consumer` with `offsets`, `admin`; `relay` sends calls on that are meant for another broker. Towards
//! brokers: `replica`. `server` serves both ports. `caller`: who makes a call, and its way. `unsent`: what answers hold until their
//! bytes have left the socket; `answer_room`: room for those whose size is known before. `arriving`:
//! room for messages on their way in.

mod admin;
mod answer_room;
mod arriving;
mod caller;
mod consumer;
mod offsets;
mod producer;
mod relay;
mod replica;
mod server;
mod unsent;

pub(crate) use server::{Listeners, Servers};
