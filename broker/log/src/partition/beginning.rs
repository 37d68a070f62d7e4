//! Whether a log begins where it began. Pure.
//!
//! Segments at the start of a log go by retention alone. If they are gone and nothing says so, a shorter log looks whole: it
//! would join the ISR for its end, and once it leads all others delete what it lacks. So the first segment is held against
//! two files that say where the log begins; of a folder of which both are lost it is not believed, unless it is offset 0.

use holdfast_proto::ids::Offset;
use holdfast_replication::EpochChain;

/// What the durable mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkedStart {
    /// Where the log begins.
    pub log_start: Offset,
    /// False if it says that nothing is durable: then a start over may be under way, to a later offset.
    pub is_claimed: bool,
}

/// Where a log began whose first segment begins at `first`, and how that is known; `None` if it begins there still. With what
/// the mark says, and the leader epochs of a checkpoint with a checksum: the oldest of them begins with the log, whatever
/// retention has taken, and a start over forgets them before it removes a segment. A beginning of which nothing is known
/// counts as lost, from 0.
pub fn lost_beginning(
    first: Offset,
    marked: Option<MarkedStart>,
    epochs: Option<&EpochChain>,
) -> Option<(Offset, String)> {
    let oldest = || epochs.and_then(|epochs| epochs.iter().next()).map(|oldest| oldest.start_offset);
    let began = match marked {
        Some(marked) if first <= marked.log_start => return None,
        Some(marked) if marked.is_claimed => Some(marked.log_start),
        Some(_) => Some(oldest().unwrap_or(first)),
        None => oldest().or((first == Offset(0)).then_some(first)),
    };
    match began {
        Some(began) if began >= first => None,
        Some(began) => Some((began, format!("the first segment begins at {first}, the log at {began}"))),
        None => Some((
            Offset(0),
            format!(
                "the durable mark is lost, and nothing tells whether the log begins at {first}, as its first segment"
            ),
        )),
    }
}
