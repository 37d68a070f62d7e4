//! Counts the entries of repeated fields in an encoded message, and builds nothing. Pure.
//!
//! It reads what prost would read: where both find a field, both count it. What it cannot read it refuses, so that nothing
//! passes here uncounted.

use crate::{detail::ErrorDetail, error::ErrorCode};

/// Fields with a limit in one message, at most.
pub const MOST_FIELDS: usize = 4;

/// What one kind of message may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Its repeated fields, and those of messages in it.
    pub entries: &'static [Entries],
    /// Number and name of a field, and how many bytes may stand beside it.
    pub beside: Option<(u64, &'static str, usize)>,
}

/// How many entries a repeated field may have, over the whole request.
#[derive(Clone, Copy, Debug)]
pub struct Entries {
    /// Number of the field in the request that holds the messages that hold this one.
    pub within: Option<u64>,
    /// Number of the field in its own message.
    pub field: u64,
    /// Name of the field, as errors tell it.
    pub name: &'static str,
    /// The most entries that it may have.
    pub most: usize,
    /// True for numbers, several of which may stand in one piece.
    pub is_packed: bool,
}

impl Entries {
    /// A field of the request itself.
    pub const fn of(field: u64, name: &'static str, most: usize) -> Self {
        Self { within: None, field, name, most, is_packed: false }
    }

    /// A field of the messages in field `within` of the request, counted over all of them.
    pub const fn within(within: u64, field: u64, name: &'static str, most: usize) -> Self {
        Self { within: Some(within), ..Self::of(field, name, most) }
    }

    /// This field as one of numbers.
    #[must_use]
    pub const fn packed(self) -> Self {
        Self { is_packed: true, ..self }
    }
}

/// Why a message is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More entries than one request may have.
    #[error("more than {most} entries in '{name}' of one request; send several requests")]
    TooMany {
        /// Name of the field.
        name: &'static str,
        /// The most entries that it may have.
        most: usize,
    },
    /// Too much that is not the field for whose sake the message is large.
    #[error("{bytes} bytes stand beside '{name}'; at most {most} are allowed")]
    TooMuchBeside {
        /// Name of the field.
        name: &'static str,
        /// Bytes that stand beside it.
        bytes: usize,
        /// The most that may stand there.
        most: usize,
    },
    /// The bytes are no message.
    #[error("the request is no protobuf message")]
    Malformed,
}

impl From<Error> for ErrorDetail {
    fn from(error: Error) -> Self {
        Self::new(ErrorCode::InvalidRequest, error.to_string())
    }
}

/// Refuses a message that holds more than it may.
pub fn check(message: &[u8], bounds: &Bounds) -> Result<(), Error> {
    let mut counts = [0; MOST_FIELDS];
    if !bounds.entries.is_empty() {
        count(message, None, bounds.entries, &mut counts)?;
    }
    let Some((field, name, most)) = bounds.beside else { return Ok(()) };
    let mut main = 0;
    for found in fields(message) {
        let found = found?;
        if found.number == field {
            // Of several the last one stays.
            main = found.bytes.len();
        }
    }
    let bytes = message.len() - main;
    if bytes > most { Err(Error::TooMuchBeside { name, bytes, most }) } else { Ok(()) }
}

fn count(
    message: &[u8],
    within: Option<u64>,
    entries: &'static [Entries],
    counts: &mut [usize; MOST_FIELDS],
) -> Result<(), Error> {
    for found in fields(message) {
        let found = found?;
        let mut holds_more = false;
        for (entry, count) in entries.iter().zip(counts.iter_mut()) {
            holds_more |= within.is_none() && entry.within == Some(found.number);
            if entry.within == within && entry.field == found.number {
                // Each number of a piece ends in a byte without the highest bit.
                let in_piece = || found.bytes.iter().filter(|byte| **byte < 0x80).count();
                *count += if entry.is_packed && found.is_piece { in_piece() } else { 1 };
                if *count > entry.most {
                    return Err(Error::TooMany { name: entry.name, most: entry.most });
                }
            }
        }
        if holds_more {
            count(found.bytes, Some(found.number), entries, counts)?;
        }
    }
    Ok(())
}

/// One field as it stands in the bytes.
struct Field<'a> {
    number: u64,
    /// Its content, if it is a piece with a length; else nothing.
    bytes: &'a [u8],
    is_piece: bool,
}

/// The fields of a message, in order; ends with the first that cannot be read.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Error>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let found = field(&mut rest).ok_or(Error::Malformed);
        if found.is_err() {
            rest = &[];
        }
        Some(found)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let key = varint(rest)?;
    let number = key >> 3;
    let other = |rest: &mut &'a [u8], size: usize| rest.split_off(..size).map(|_| &[][..]);
    let (bytes, is_piece) = match key & 7 {
        0 => (varint(rest).map(|_| &[][..])?, false),
        1 => (other(rest, 8)?, false),
        2 => {
            let size = usize::try_from(varint(rest)?).ok()?;
            (rest.split_off(..size)?, true)
        }
        5 => (other(rest, 4)?, false),
        // Groups, which no message here ever had.
        _ => return None,
    };
    Some(Field { number, bytes, is_piece })
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
#[path = "count_tests.rs"]
mod tests;
