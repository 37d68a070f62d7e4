//! Who is reached under which address, shared by the calls, which tell what became of them, and by who looks for lost ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use parking_lot::Mutex;

use super::address_book::{AddressBook, Learned, Sighting};

/// The addresses at which the other controllers are called. Clones share them.
#[derive(Clone)]
pub struct Reach {
    book: Arc<Mutex<AddressBook>>,
    started: Instant,
}

impl Default for Reach {
    fn default() -> Self {
        Self { book: Arc::default(), started: Instant::now() }
    }
}

impl Reach {
    /// Takes over the addresses of the membership, by node id.
    pub fn follow(&self, members: &BTreeMap<u64, String>) {
        self.book.lock().follow(members);
    }

    /// Controllers that no call has reached for a second, or that are called elsewhere, with their addresses in the
    /// membership. Of these the leader alone, while another controller is (`led_by`).
    pub fn sought(&self, led_by: Option<u64>) -> BTreeMap<u64, String> {
        self.book.lock().sought(self.now_ms(), led_by)
    }

    /// Those that no call has reached for a second.
    pub fn lost(&self) -> BTreeSet<u64> {
        self.book.lock().lost(self.now_ms())
    }

    /// Takes over who answered where, when these were `asked` for. True if a controller is called elsewhere from now on.
    pub fn learn(&self, asked: &BTreeMap<u64, String>, sightings: &[Sighting]) -> bool {
        let learned = self.book.lock().learn(asked, sightings, self.now_ms());
        for one in &learned {
            match one {
                Learned::Moved { node_id, listed, address } if listed == address => {
                    tracing::info!(node_id, address, "the controller is called at its address in the membership again");
                }
                Learned::Moved { node_id, listed, address } => {
                    tracing::warn!(
                        node_id,
                        listed,
                        address,
                        "a controller is not reached at its address in the membership; its node id answers at another \
                         one of 'peers', and it is called there"
                    );
                }
                Learned::Twice { node_id, addresses } => {
                    tracing::error!(
                        node_id,
                        ?addresses,
                        "two processes answer under one node id: a data folder was copied; stop one of them"
                    );
                }
            }
        }
        learned.iter().any(|one| matches!(one, Learned::Moved { .. }))
    }

    /// A client is made for a node with this address in the membership.
    pub(super) fn list(&self, node_id: u64, address: &str) {
        self.book.lock().list(node_id, address);
    }

    /// Where to call the node now; `otherwise` if it is not known.
    pub(crate) fn address(&self, node_id: u64, otherwise: &str) -> String {
        self.book.lock().address(node_id).unwrap_or(otherwise).to_owned()
    }

    /// A call reached the node.
    pub(super) fn reached(&self, node_id: u64, address: &str) {
        if self.book.lock().reached(node_id, address, self.now_ms()) {
            tracing::info!(node_id, address, "the controller is reached again");
        }
    }

    /// Milliseconds since a call reached the node at this address, if it is the membership's; wherever it is called now.
    pub(crate) fn heard_ms_ago(&self, node_id: u64, listed: &str) -> Option<u64> {
        let at_ms = self.book.lock().heard_at(node_id, listed)?;
        Some(self.now_ms().saturating_sub(at_ms))
    }

    /// A call did not. Each change is logged once.
    pub(super) fn failed(&self, node_id: u64, address: &str, why: &str) {
        if self.book.lock().failed(node_id, self.now_ms()) {
            tracing::warn!(node_id, address, why, "a controller is not reached");
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
