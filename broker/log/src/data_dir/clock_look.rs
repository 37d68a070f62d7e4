//! What the clocks of the machine said when they were last looked at, kept in the data folder: `clock-look`.
//!
//! A jump of the wall clock between two processes is seen by it. Its text: a version, the id of the machine's boot, ms since
//! that boot, ms of the wall clock, and a checksum. A damaged file is as none.

use std::{fs, path::Path};

use rustix::time::{ClockId, clock_gettime};

use super::folder::DataDir;
use crate::{Error, wall_clock};

const FILE: &str = "clock-look";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const HEAD: &str = "version: 1";

/// What the clocks said at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockLook {
    /// Names the boot of the machine; empty where the system does not.
    pub boot_id: String,
    /// Time since that boot, time asleep included, ms. It never jumps.
    pub since_boot_ms: i64,
    /// The wall clock, ms since 1970.
    pub wall_ms: i64,
}

impl ClockLook {
    /// What they say now.
    pub fn now() -> Self {
        let since_boot = clock_gettime(ClockId::Boottime);
        let boot_id = fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default();
        let since_boot_ms = since_boot.tv_sec * 1000 + since_boot.tv_nsec / 1_000_000;
        Self { boot_id, since_boot_ms, wall_ms: wall_clock().0 }
    }

    fn encode(&self) -> String {
        let text = format!("{HEAD}\n{} {} {}\n", self.boot_id, self.since_boot_ms, self.wall_ms);
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
        Some(Self { boot_id, since_boot_ms: number()?, wall_ms: number()? })
    }
}

impl DataDir {
    /// What the clocks said when somebody last kept it here; `None` if nobody did, or the file is damaged.
    pub fn last_clock_look(&self) -> Option<ClockLook> {
        load(&self.path)
    }

    /// Keeps what the clocks say, durably.
    pub fn keep_clock_look(&self, look: &ClockLook) -> Result<(), Error> {
        self.disk.replace(&self.path.join(FILE), look.encode().as_bytes())
    }
}

fn load(folder: &Path) -> Option<ClockLook> {
    fs::read_to_string(folder.join(FILE)).ok().and_then(|text| ClockLook::decode(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_comes_back_and_a_damaged_one_is_none() {
        let look = ClockLook::now();
        assert!(look.since_boot_ms > 0 && look.wall_ms > 0, "{look:?}");
        let text = look.encode();
        assert_eq!(ClockLook::decode(&text), Some(look));
        for at in 0..text.len() {
            assert_eq!(ClockLook::decode(&text[..at]), None, "cut at {at}");
        }
        assert_eq!(ClockLook::decode(&text.replace(' ', "9")), None);
    }
}
