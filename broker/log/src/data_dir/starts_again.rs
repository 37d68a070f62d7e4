//! How often in a row a process on this folder ended so that another start looks at one of its replicas, kept in the folder:
//! `starts-again`. A replica that can be read now and then must not take the others along each time.
//!
//! Its text: a version, the number, the time of the last by the clock of ages, and a checksum. A file that is damaged, missing
//! or cannot be read means none.

use std::fs;

use super::folder::DataDir;
use crate::Error;

const FILE: &str = "starts-again";
const HEAD: &str = "version: 1";

/// After so long without another, ms, the count begins again.
const FORGET_MS: i64 = 6 * 3_600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    count: u32,
    /// When the last was, ms of the clock of ages.
    last: i64,
}

impl Ends {
    fn encode(self) -> String {
        let text = format!("{HEAD}\n{} {}\n", self.count, self.last);
        format!("{text}{:08x}\n", crc32c::crc32c(text.as_bytes()))
    }

    fn decode(text: &str) -> Option<Self> {
        let content = text.get(..text.len().checked_sub(9)?)?;
        if text[content.len()..] != format!("{:08x}\n", crc32c::crc32c(content.as_bytes())) {
            return None;
        }
        let (count, last) = content.strip_prefix(HEAD)?.trim().split_once(' ')?;
        Some(Self { count: count.parse().ok()?, last: last.parse().ok()? })
    }

    /// How many count at this time.
    const fn at(self, now: i64) -> u32 {
        if now.saturating_sub(self.last) < FORGET_MS { self.count } else { 0 }
    }
}

impl DataDir {
    /// How often a process ended so lately, in a row. Blocks.
    pub fn starts_again(&self) -> u32 {
        let text = fs::read_to_string(self.path.join(FILE)).ok();
        text.and_then(|text| Ends::decode(&text)).map_or(0, |ends| ends.at(self.disk.ages().now().0))
    }

    /// Counts that this process is about to end so, durably. Blocks.
    pub fn note_start_again(&self) -> Result<(), Error> {
        let ends = Ends { count: self.starts_again().saturating_add(1), last: self.disk.ages().now().0 };
        self.disk.try_replace(&self.path.join(FILE), ends.encode().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data_dir::partitions::tests::open, test_support::tempdir};

    #[test]
    fn ends_are_counted_over_starts_until_none_came_for_long() {
        let folder = tempdir().unwrap();
        for count in 0..3 {
            let dir = open(&folder);
            assert_eq!(dir.starts_again(), count);
            dir.note_start_again().unwrap();
        }
        let ends = Ends { count: 3, last: -5 };
        assert_eq!((ends.at(-5), ends.at(FORGET_MS - 6), ends.at(FORGET_MS - 5)), (3, 3, 0));
        let text = ends.encode();
        assert_eq!(Ends::decode(&text), Some(ends));
        for at in 0..text.len() {
            assert_eq!(Ends::decode(&text[..at]), None, "cut at {at}");
        }
        fs::write(folder.path().join(FILE), text.replace('3', "9")).unwrap();
        assert_eq!(open(&folder).starts_again(), 0);
    }
}
