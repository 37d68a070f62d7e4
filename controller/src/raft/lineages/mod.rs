//! Carries out [`crate::lineage`]: what each message shows, what is kept of what others show, who is refused.
//!
//! 1. The own history is durable, with this start in it, before anything is said in it.
//! 2. Another's new start is durable here before it is answered. How far it got is so within a second: what a crash lets
//!    this controller forget of it makes it believe more, never less.
//! 3. Who refuses says by what; who is refused checks that before it ends (`ending`).
//! 4. At most 64 are kept; above 16 those alone that belong to the membership.
//!
//! - `known`: what is known of each, shown, compared and kept. `binding`: a promise is counted. `ending`: who is refused for
//!   good. `beginning`: what there is before anybody is heard.

mod beginning;
mod binding;
mod ending;
mod known;

pub use binding::BindError;
pub use known::Lineages;

pub(crate) use known::{Refused, Sender};

pub(super) use known::{GIVEN_UP, KNOWN, REFUSED};
