//! The borders of a segment's pieces, and which pieces were found to be what was appended.

use holdfast_proto::ids::Offset;

use super::Digest;

/// Bytes of a piece at least.
const MIN_PIECE_BYTES: u64 = 64 << 10;
/// A piece is at most this part of what lies before it, if that is more.
const MAX_PART: u64 = 256;

/// A batch border of a segment, and what lies before it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Border {
    /// Where in the file, bytes.
    pub(crate) position: u64,
    /// Offset after the last batch before it.
    pub(crate) next: Offset,
    /// Of all batches of the segment before it.
    pub(crate) digest: Digest,
}

/// True if a border is to be kept at `position`, where the one before it lies `since` bytes back.
pub(crate) const fn is_border_due(position: u64, since: u64) -> bool {
    since >= MIN_PIECE_BYTES && since >= position / MAX_PART
}

/// The borders, the segment's start first, and which of the pieces between them were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    borders: Vec<Border>,
    /// For each border: whether the piece that it ends was checked.
    checked: Vec<bool>,
}

impl Pieces {
    /// Those of an empty segment.
    pub(super) fn new(base: Offset) -> Self {
        Self::from_borders(vec![Border { position: 0, next: base, digest: Digest::default() }])
    }

    /// With these borders, of which nothing is checked; the first is the segment's start.
    pub(super) fn from_borders(borders: Vec<Border>) -> Self {
        let checked = vec![false; borders.len()];
        Self { borders, checked }
    }

    /// Adds a border; one at or before the last is there already.
    pub(super) fn push(&mut self, border: Border) {
        if self.last().position < border.position {
            self.borders.push(border);
            self.checked.push(false);
        }
    }

    /// The last border: the end of the segment if it is closed.
    pub(super) fn last(&self) -> Border {
        self.borders[self.borders.len() - 1]
    }

    /// All borders, the segment's start first.
    pub(super) fn borders(&self) -> &[Border] {
        &self.borders
    }

    /// The piece that ends at this border was found to be what was appended.
    pub(super) fn set_checked(&mut self, end: Border) {
        if let Ok(at) = self.borders.binary_search_by_key(&end.position, |border| border.position) {
            self.checked[at] = true;
        }
    }

    /// The first piece of the bytes from `from` on up to `to` that was not checked, by its two borders.
    pub(super) fn unchecked(&self, from: u64, to: u64) -> Option<(Border, Border)> {
        let first = self.borders.partition_point(|border| border.position <= from);
        (first..self.borders.len())
            .take_while(|at| self.borders[at - 1].position < to)
            .find(|at| !self.checked[*at])
            .map(|at| (self.borders[at - 1], self.borders[at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn border(position: u64) -> Border {
        Border { position, next: Offset(position / 10), digest: Digest(position * 3) }
    }

    #[test]
    fn each_piece_is_checked_once() {
        let mut pieces = Pieces::new(Offset(0));
        assert_eq!(pieces.unchecked(0, 900), None, "what is written still is no piece");
        for position in [100, 200, 200, 300] {
            pieces.push(border(position));
        }
        assert_eq!(pieces.borders().len(), 4);
        assert_eq!(pieces.unchecked(150, 160), Some((border(100), border(200))));
        assert_eq!(pieces.unchecked(100, 101), Some((border(100), border(200))));
        pieces.set_checked(border(200));
        assert_eq!(pieces.unchecked(150, 200), None);
        assert_eq!(pieces.unchecked(150, 201), Some((border(200), border(300))));
        assert_eq!(pieces.unchecked(0, 400), Some((border(0), border(100))));
        assert_eq!(pieces.unchecked(300, 400), None);
    }

    #[test]
    fn a_gibibyte_has_few_borders() {
        let (mut position, mut last, mut count) = (0_u64, 0, 0);
        while position < 1 << 30 {
            position += 1000;
            if is_border_due(position, position - last) {
                (last, count) = (position, count + 1);
            }
        }
        assert!((1000..1500).contains(&count), "{count}");
    }
}
