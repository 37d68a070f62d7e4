//! Accepts connections: a bounded number, without Nagle's delay, and each for a bounded time where that is asked for.
//!
//! ```text
//!  accepted ───────── age ──────┬── up to a tenth of it ──┬──────── grace ────────┬
//!                    GOAWAY: no │   streams end by        │  what still runs may   │ closed, whatever
//!                      new call │   themselves            │  end                   │ runs
//! ```
//!
//! A client whose connection has reached its age makes a new one, and so finds the servers that came back after a roll.
//! The GOAWAY is tonic's (`Server::max_connection_age`); a stream asks [`ConnectionInfo::streams_end`] when it has to end,
//! which is after it, so that the stream which follows finds a new connection. The time between differs for each
//! connection: those that were made together do not come back together.
//!
//! Nobody takes a port from the others by connecting to it:
//!
//! 1. A connection says that it speaks HTTP/2 within a deadline, or is closed. From then on the server's pings find out
//!    whether anybody is there.
//! 2. One source has a quarter of the places at most; what it asks for beyond is closed at once and does not wait before
//!    the connections of others.
//! 3. One that takes nothing of what is written to it is closed: it cannot be told anything, so no ping finds it out.
//! 4. Some places are kept for the time when the others are taken, for a few seconds each: enough for a probe, so that a
//!    full node is not taken for a dead one.
//!
//! - `listening`: the port. `accepting`: the connections as tonic takes them. `connection`: one of them, with its times.
//!   `places`: who has how many. `affordable`: how many there may be, as far as files go.

mod accepting;
mod affordable;
mod connection;
mod listening;
mod places;

pub use accepting::{accept, accept_for};
pub use connection::{Connection, ConnectionInfo, Lifetime, until};
pub use listening::listen;
pub use places::Source;
pub(crate) use places::{Place, Places};
