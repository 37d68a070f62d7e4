//! The actors of the controller, and the only place of actix. Others hold handles, not addresses.

mod session_actor;

pub(crate) use session_actor::{SessionsHandle, Stopper, start};
