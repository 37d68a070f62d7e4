//! Streams of clients that are open: each takes memory, also if nothing ever comes on it.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

/// Part of all places that one source address may have.
const SHARE_OF_SOURCE: u32 = 4;

/// All streams of a broker's clients. Clones share them.
#[derive(Clone, Debug)]
pub struct Streams {
    most: u32,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: u32,
    by_source: HashMap<Option<IpAddr>, u32>,
}

/// One that is open; its place is free again when this is dropped.
#[derive(Debug)]
pub struct OpenStream {
    of: Streams,
    source: Option<IpAddr>,
}

impl Streams {
    /// Twice as many at most as there may be connections, and a quarter of them from one address.
    pub fn new(max_connections: u32) -> Self {
        Self { most: max_connections.saturating_mul(2), open: Arc::default() }
    }

    /// The place of one more stream from this address. OVERLOADED if there is none.
    pub fn open(&self, source: Option<IpAddr>) -> Result<OpenStream, ErrorDetail> {
        let mut open = self.open.lock();
        let of_source = open.by_source.get(&source).copied().unwrap_or(0);
        let share = (self.most / SHARE_OF_SOURCE).max(1);
        let full = |whose: &str, most: u32| {
            let message = format!("{most} streams are open on this broker {whose}; use one for each client");
            Err(ErrorDetail::new(ErrorCode::Overloaded, message))
        };
        if open.all >= self.most {
            return full("(twice max_connections)", self.most);
        }
        if of_source >= share {
            return full("from this address (half of max_connections)", share);
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
    use super::*;

    #[test]
    fn one_address_leaves_places_to_the_others() {
        let streams = Streams::new(4);
        let [one, other] = [1, 2].map(|last| Some(IpAddr::from([10, 0, 0, last])));
        let mut held: Vec<_> = (0..2).map(|_| streams.open(one).unwrap()).collect();
        assert!(streams.open(one).unwrap_err().message.contains("from this address"));
        held.extend((0..2).map(|_| streams.open(other).unwrap()));
        held.extend(
            (3..5).flat_map(|last| [last; 2]).map(|last| streams.open(Some(IpAddr::from([10, 0, 0, last]))).unwrap()),
        );
        assert!(streams.open(None).unwrap_err().message.contains("twice max_connections"));
        held.remove(0);
        assert!(streams.open(one).is_ok());
        drop(held);
        assert!(streams.open.lock().by_source.is_empty());
    }
}
