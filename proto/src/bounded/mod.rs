//! How much may be built of a request's bytes, checked before anything is.
//!
//! An entry of a repeated field costs two bytes on the wire and 30 to 100 in memory, so a limit on a message's bytes alone
//! bounds nothing. [`table`] says how many entries the fields of each request may have, [`count`] counts them in the
//! encoded bytes, and [`BoundedCodec`] has every request counted before it is decoded.

pub mod count;
pub mod table;

mod codec;

pub use codec::BoundedCodec;
