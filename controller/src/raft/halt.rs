//! Why this controller takes no further part in the consensus, where it is the metadata that says so.
//!
//! The consensus knows one kind of failure of its storage. What is noted here before is what the process ends with: the
//! first reason wins ([`FatalCell`]).

use std::io;

use holdfast_metadata::Image;
use holdfast_node::fatal::FatalCell;

use super::{applying::unknown_version, codec::Unknown};
use crate::exit::Fatal;

/// Where reasons to end are noted. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Halt(FatalCell<Fatal>);

impl Halt {
    /// Notes them for the program that waits at this cell.
    pub fn new(fatal: FatalCell<Fatal>) -> Self {
        Self(fatal)
    }

    /// Notes a reason, loudly; gives it back as the error that stops the consensus.
    pub(super) fn note(&self, reason: Fatal) -> io::Error {
        let error = io::Error::other(reason.to_string());
        self.0.put(reason, |reason| tracing::error!(%reason, "this controller ends; the others go on"));
        error
    }

    /// Passes a result on; notes that this build is too old where it failed for that.
    pub(super) fn unless_unknown<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            if Unknown::is_cause(&error) {
                self.note(Fatal::TooOld { finalised: None, what: error.to_string() })
            } else {
                error
            }
        })
    }

    /// Refuses to go on with metadata of a version that this build does not support.
    pub(super) fn unless_too_old(&self, image: &Image) -> io::Result<()> {
        let Some(finalised) = unknown_version(image) else { return Ok(()) };
        let what = format!("that version was finalised, at index {} or before", image.index());
        Err(self.note(Fatal::TooOld { finalised: Some(finalised), what }))
    }
}
