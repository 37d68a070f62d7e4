//! The actors of the controller, and the only place of actix. Others hold handles, not addresses.

mod sessions;

pub(crate) use sessions::{SessionsHandle, Stopper, start};
