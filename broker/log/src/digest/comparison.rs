//! A walk through a segment, held against the borders that were noted when it was written.

use std::path::Path;

use holdfast_proto::ids::Offset;

use super::Border;
use crate::Error;

/// Compares where a walk comes by with the borders that are known, and keeps the first that it does not find as it was.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Those to come by, in the order of their positions.
    known: Vec<Border>,
    /// Borders that were reached and are right.
    right: usize,
    /// What stands at or behind the first that is not.
    other: Option<Border>,
}

impl Comparison {
    /// With these borders; none compare as right.
    pub(crate) const fn new(known: Vec<Border>) -> Self {
        Self { known, right: 0, other: None }
    }

    /// The walk has come to a batch border, the positions of which increase.
    pub(crate) fn reach(&mut self, border: Option<Border>) {
        let Some(border) = border else { return };
        while self.other.is_none()
            && let Some(known) = self.known.get(self.right).filter(|known| known.position <= border.position)
        {
            if *known == border || known.position == 0 {
                self.right += 1;
            } else {
                self.other = Some(border);
            }
        }
    }

    /// [`Error::Damaged`] if the walk, which ended at `end`, came by a border that it did not find as it was. What lies
    /// past its end is not judged.
    pub(crate) fn result(mut self, (path, base): (&Path, Offset), end: Option<Border>) -> Result<(), Error> {
        self.reach(end);
        let (Some(known), Some(_)) = (self.known.get(self.right), self.other) else { return Ok(()) };
        let right = self.right.checked_sub(1).map(|right| self.known[right]);
        let (at, position) = right.map_or((base, 0), |right| (right.next, right.position));
        let reason = format!(
            "up to byte {} are not the batches that were appended here: a batch of another place, time or partition",
            known.position
        );
        Err(Error::Damaged { path: path.to_owned(), at, position, reason })
    }
}
