//! The tokens of a data folder, by which it proves that it is the one that registered last.
//!
//! The controllers give a broker's folder another token now and then, and know the newest. A folder that shows none which
//! they know is an old copy, however it was made. A token is durable before it is told, so a folder never lacks one that
//! the controllers know; which of those that were told they took may not be known, so all of them are shown.

use uuid::Uuid;

use holdfast_proto::ids::{FolderToken, MetadataIndex};

use super::{
    folder::DataDir,
    identity::{Identity, ListKept},
};
use crate::Error;

/// Most tokens that may wait to be confirmed.
const MAX_PENDING: usize = 16;

/// What a data folder shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The confirmed token, if there is one, and those that were given since, oldest first; at most 17.
    pub known: Vec<FolderToken>,
}

impl DataDir {
    /// The tokens that prove this folder; none before the first was given.
    pub fn tokens(&self) -> Tokens {
        let identity = self.identity.lock();
        Tokens { known: identity.token.iter().chain(&identity.pending).copied().collect() }
    }

    /// A random token, to be told to the controllers: it is durable when this returns. While 16 wait to be confirmed the
    /// newest of them is given again. Fails if the folder's identity cannot be written.
    pub fn next_token(&self) -> Result<FolderToken, Error> {
        let mut identity = self.identity.lock();
        if identity.pending.len() >= MAX_PENDING
            && let Some(newest) = identity.pending.last()
        {
            return Ok(*newest);
        }
        let token = FolderToken(Uuid::new_v4());
        let mut given = identity.clone();
        given.pending.push(token);
        self.keep(&mut identity, given)?;
        Ok(token)
    }

    /// How far the cluster's metadata was committed at least, as this folder has noted; 0 if it has not.
    pub fn known_metadata(&self) -> MetadataIndex {
        self.identity.lock().metadata_index
    }

    /// The cluster's metadata is committed up to there: noted durably. Controllers whose metadata ends before have lost some.
    pub fn note_metadata(&self, index: MetadataIndex) -> Result<(), Error> {
        let mut identity = self.identity.lock();
        if index <= identity.metadata_index {
            return Ok(());
        }
        let noted = Identity { metadata_index: index, ..identity.clone() };
        self.keep(&mut identity, noted)
    }

    /// The controllers know this token, by their metadata up to `index`: it alone proves the folder from now on, durably.
    ///
    /// If this start `was_heard`, they took what it found as it registered: then a lost list and a copied folder are not told
    /// any more by the next one. A token that the folder does not show changes nothing: a newer one was confirmed before it.
    pub fn confirm_token(&self, token: FolderToken, index: MetadataIndex, was_heard: bool) -> Result<(), Error> {
        let mut identity = self.identity.lock();
        if identity.token != Some(token) && !identity.pending.contains(&token) {
            return Ok(());
        }
        let confirmed = Identity {
            token: Some(token),
            pending: Vec::new(),
            metadata_index: index.max(identity.metadata_index),
            list: if was_heard { Some(ListKept::Kept) } else { identity.list },
            was_copied: identity.was_copied && !was_heard,
            ..identity.clone()
        };
        self.keep(&mut identity, confirmed)
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
