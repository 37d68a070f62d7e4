//! What the clocks of the machine said when they were last looked at, kept in the data folder: `clock-look`.
//!
//! By it the clock of the ages goes on over restarts, and a jump of the wall clock between two processes is seen. Its text: a
//! version, the id of the machine's boot, ms since that boot, ms of the wall clock, ms that are counted for ages, and of a
//! jump how long it counts still and by how many ms it was (0 and 0: none does); and a checksum. A damaged file is as none.

use std::{fs, path::Path};

use rustix::time::{ClockId, clock_gettime};

use crate::{Counted, Disk, Error, Look, look};

const FILE: &str = "clock-look";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const HEAD: &str = "version: 2";

/// What the clocks of a machine said at one moment, as an earlier process kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockLook {
    /// Names the boot of the machine; empty where the system does not.
    boot_id: String,
    /// Time since that boot, time asleep included, ms. It never jumps.
    since_boot_ms: i64,
    /// The wall clock, ms since 1970.
    wall_ms: i64,
    /// What [`Ages`](crate::Ages) had counted, ms.
    counted_ms: i64,
    /// The jump that counted still, if there was one.
    jump: Option<KeptJump>,
}

/// A jump of the wall clock of which the consequences are not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptJump {
    /// How long they last, from then on, ms.
    pub left_ms: i64,
    /// By how much it jumped, ms.
    pub by_ms: i64,
}

impl ClockLook {
    /// What they say now.
    fn now(counted_ms: i64, jump: Option<KeptJump>) -> Self {
        let since_boot = clock_gettime(ClockId::Boottime);
        let boot_id = fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default();
        let since_boot_ms = since_boot.tv_sec * 1000 + since_boot.tv_nsec / 1_000_000;
        Self { boot_id, since_boot_ms, wall_ms: look().wall_ms, counted_ms, jump }
    }

    /// This look on the scale of the steady clock of this process; `None` if it was on another boot of the machine, or that is
    /// not known.
    pub fn on_this_boot(&self) -> Option<Look> {
        let now = Self::now(0, None);
        let ago_ms = now.since_boot_ms.saturating_sub(self.since_boot_ms);
        let is_same = now.boot_id == self.boot_id && !self.boot_id.is_empty();
        is_same.then(|| Look { wall_ms: self.wall_ms, steady_ms: look().steady_ms.saturating_sub(ago_ms) })
    }

    /// What the wall clock said, ms since 1970.
    pub const fn wall_ms(&self) -> i64 {
        self.wall_ms
    }

    /// The jump that counted still, if there was one.
    pub const fn jump(&self) -> Option<KeptJump> {
        self.jump
    }

    /// How far ages were counted.
    pub(super) fn counted(&self) -> Counted {
        Counted { counted_ms: self.counted_ms, look: self.on_this_boot() }
    }

    fn encode(&self) -> String {
        let Self { boot_id, since_boot_ms, wall_ms, counted_ms, jump } = self;
        let KeptJump { left_ms, by_ms } = jump.unwrap_or(KeptJump { left_ms: 0, by_ms: 0 });
        let text = format!("{HEAD}\n{boot_id} {since_boot_ms} {wall_ms} {counted_ms} {left_ms} {by_ms}\n");
        format!("{text}{:08x}\n", crc32c::crc32c(text.as_bytes()))
    }

    fn decode(text: &str) -> Option<Self> {
        let content = text.get(..text.len().checked_sub(9)?)?;
        if text[content.len()..] != format!("{:08x}\n", crc32c::crc32c(content.as_bytes())) {
            return None;
        }
        let line = content.strip_prefix(HEAD)?.strip_prefix('\n')?.strip_suffix('\n')?;
        let mut fields = line.split(' ');
        let boot_id = fields.next()?.to_owned();
        let mut number = || fields.next()?.parse().ok();
        let (since_boot_ms, wall_ms, counted_ms) = (number()?, number()?, number()?);
        let jump = Some(KeptJump { left_ms: number()?, by_ms: number()? }).filter(|jump| jump.left_ms > 0);
        Some(Self { boot_id, since_boot_ms, wall_ms, counted_ms, jump })
    }
}

/// The look that a folder holds.
pub(super) fn load(folder: &Path) -> Option<ClockLook> {
    fs::read_to_string(folder.join(FILE)).ok().and_then(|text| ClockLook::decode(&text))
}

/// Puts a look of now into the folder, durably.
pub(super) fn keep(disk: &Disk, folder: &Path, jump: Option<KeptJump>) -> Result<(), Error> {
    let look = ClockLook::now(disk.ages().look().0, jump);
    disk.try_replace(&folder.join(FILE), look.encode().as_bytes())
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::BrokerId;

    use super::*;
    use crate::{DataDir, test_support::tempdir};

    #[test]
    fn a_look_comes_back_and_a_damaged_one_is_none() {
        for jump in [None, Some(KeptJump { left_ms: 7, by_ms: -9 })] {
            let look = ClockLook::now(5, jump);
            assert!(look.since_boot_ms > 0 && look.wall_ms > 0, "{look:?}");
            let text = look.encode();
            assert_eq!(ClockLook::decode(&text), Some(look));
            for at in 0..text.len() {
                assert_eq!(ClockLook::decode(&text[..at]), None, "cut at {at}");
            }
            assert_eq!(ClockLook::decode(&text.replace(' ', "9")), None);
        }
    }

    #[test]
    fn what_is_counted_goes_on_at_the_next_start_and_begins_anew_where_it_is_lost() {
        const DAYS_MS: i64 = 7 * 86_400_000;
        let folder = tempdir().unwrap();
        let file = folder.path().join("data").join(FILE);
        let open = || DataDir::open(&folder.path().join("data"), BrokerId(1), None).unwrap();
        let keep = |look: ClockLook| fs::write(&file, look.encode()).unwrap();
        assert!(open().disk().ages().look().0 < DAYS_MS, "a new folder");
        let dir = open();
        dir.keep_clock_look(None).unwrap();
        drop(dir);
        let look = ClockLook { counted_ms: DAYS_MS, ..load(&folder.path().join("data")).unwrap() };
        keep(ClockLook { wall_ms: look.wall_ms - 5_000, since_boot_ms: look.since_boot_ms - 5_000, ..look.clone() });
        let counted_ms = open().disk().ages().look().0;
        assert!((DAYS_MS + 5_000..2 * DAYS_MS).contains(&counted_ms), "{counted_ms}");
        // Another boot, years earlier by the wall clock.
        keep(ClockLook { boot_id: "another".to_owned(), wall_ms: 0, ..look.clone() });
        let counted_ms = open().disk().ages().look().0;
        assert!((DAYS_MS..DAYS_MS + 3_600_000).contains(&counted_ms), "{counted_ms}");
        fs::write(&file, "damaged").unwrap();
        assert!(open().disk().ages().look().0 < DAYS_MS);
    }
}
