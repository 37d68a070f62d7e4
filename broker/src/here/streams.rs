//! Streams of clients that are open: each takes memory, also if nothing ever comes on it.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use holdfast_node::incoming::Source;
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

/// All streams of a broker's clients. Clones share them.
#[derive(Clone, Debug)]
pub struct Streams {
    most: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_source: HashMap<Option<Source>, usize>,
}

/// One that is open; its place is free again when this is dropped.
#[derive(Debug)]
pub struct OpenStream {
    of: Streams,
    source: Option<Source>,
}

impl Streams {
    /// Twice as many at most as there may be connections; one source has the same share of them.
    pub fn new(max_connections: u32) -> Self {
        Self { most: 2 * max_connections as usize, open: Arc::default() }
    }

    /// The place of one more stream from this source. OVERLOADED if there is none.
    pub fn open(&self, source: Option<Source>) -> Result<OpenStream, ErrorDetail> {
        let mut open = self.open.lock();
        let of_source = open.by_source.get(&source).copied().unwrap_or(0);
        let share = Source::share(self.most);
        let full = |whose: &str, most: usize| {
            let message = format!("{most} streams are open on this broker {whose}; use one for each client");
            Err(ErrorDetail::new(ErrorCode::Overloaded, message))
        };
        if open.all >= self.most {
            return full("(twice max_connections)", self.most);
        }
        if of_source >= share {
            return full("from this address, its share of them all", share);
        }
        open.all += 1;
        open.by_source.insert(source, of_source + 1);
        Ok(OpenStream { of: self.clone(), source })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.of.open.lock();
        open.all -= 1;
        if let Some(count) = open.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                open.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn one_address_leaves_places_to_the_others() {
        let streams = Streams::new(256);
        let source = |last| Some(Source::from(IpAddr::from([10, 0, 0, last])));
        let mut held: Vec<_> = (0..128).map(|_| streams.open(source(1)).unwrap()).collect();
        assert!(streams.open(source(1)).unwrap_err().message.contains("from this address"));
        held.extend((2..5).flat_map(|last| [last; 128]).map(|last| streams.open(source(last)).unwrap()));
        assert!(streams.open(None).unwrap_err().message.contains("twice max_connections"));
        held.remove(0);
        assert!(streams.open(source(1)).is_ok());
        drop(held);
        assert!(streams.open.lock().by_source.is_empty());
    }

    #[test]
    fn a_host_with_many_addresses_is_one_source() {
        let streams = Streams::new(128);
        let source = |last| Some(Source::from(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])));
        let held: Vec<_> = (0..64).map(|last| streams.open(source(last)).unwrap()).collect();
        assert!(streams.open(source(64)).is_err());
        drop(held);
    }
}
