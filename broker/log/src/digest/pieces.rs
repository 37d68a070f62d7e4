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

/// The borders, the segment's start first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pieces(Vec<Border>);

impl Pieces {
    /// Those of an empty segment.
    pub(crate) fn new(base: Offset) -> Self {
        Self(vec![Border { position: 0, next: base, digest: Digest::default() }])
    }

    /// Adds a border; one at or before the last is there already.
    pub(crate) fn push(&mut self, border: Border) {
        if self.last().position < border.position {
            self.0.push(border);
        }
    }

    /// The last border: the end of the segment if it is closed.
    pub(super) fn last(&self) -> Border {
        self.0[self.0.len() - 1]
    }

    /// All borders, the segment's start first.
    pub(super) fn borders(&self) -> &[Border] {
        &self.0
    }

    /// The pieces that bytes between `from` and `to` belong to, by their two borders.
    pub(super) fn touching(&self, from: u64, to: u64) -> impl Iterator<Item = (Border, Border)> {
        let first = self.0.partition_point(|border| border.position <= from).max(1);
        let touching = self.0[first - 1..].windows(2).map(|pair| (pair[0], pair[1]));
        touching.take_while(move |(start, _)| start.position < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn border(position: u64) -> Border {
        Border { position, next: Offset(position / 10), digest: Digest(position * 3) }
    }

    #[test]
    fn the_pieces_of_some_bytes_are_found() {
        let mut pieces = Pieces::new(Offset(0));
        let found = |pieces: &Pieces, from, to| -> Vec<u64> {
            pieces.touching(from, to).map(|(_, end)| end.position).collect()
        };
        assert_eq!(found(&pieces, 0, 900), [], "what is written still is no piece");
        for position in [100, 200, 200, 300] {
            pieces.push(border(position));
        }
        assert_eq!(pieces.borders().len(), 4);
        assert_eq!(found(&pieces, 150, 160), [200]);
        assert_eq!(found(&pieces, 100, 101), [200]);
        assert_eq!(found(&pieces, 99, 101), [100, 200]);
        assert_eq!(found(&pieces, 0, 400), [100, 200, 300]);
        assert_eq!(found(&pieces, 300, 400), []);
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
