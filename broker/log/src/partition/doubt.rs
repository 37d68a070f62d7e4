//! The doubt of a partition: that its log may lack records which were counted as held here.
//!
//! Place: recovery writes it, durably, before it cuts what may have been counted, for a process that ends right after the
//! cut finds a log that ends cleanly. It stands until [`crate::DataDir::settle_doubt`] takes it away.
//!
//! The file is the reason as text. Its presence alone counts: of a damaged one only the words are lost.

use std::{fs, io, path::Path};

use crate::{Disk, Error, files};

/// Longest text that is kept, bytes. Starts that fail again and again must not make it grow.
const MAX_BYTES: usize = 2000;

/// The doubt that an earlier start left; `None` if there is none.
pub(super) fn load(folder: &Path) -> Result<Option<String>, Error> {
    let path = folder.join(files::DOUBT);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(String::from_utf8(bytes).ok().filter(|text| !text.is_empty()).unwrap_or_else(|| {
            "an earlier start found that the log may lack records; why is lost with the file that said it".to_owned()
        }))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", &path, error)),
    }
}

/// Adds a doubt to those that stand, durably, and gives all of them.
pub(super) fn add(disk: &Disk, folder: &Path, doubt: String) -> Result<String, Error> {
    let all = match load(folder)? {
        Some(before) if before.contains(&doubt) || before.len() + doubt.len() > MAX_BYTES => return Ok(before),
        Some(before) => format!("{before}; {doubt}"),
        None => doubt,
    };
    disk.replace(&folder.join(files::DOUBT), all.as_bytes())?;
    Ok(all)
}

/// Takes this doubt away, durably. False where none stands, or another one.
pub(crate) fn settle(disk: &Disk, folder: &Path, doubt: &str) -> Result<bool, Error> {
    if load(folder)?.is_none_or(|standing| standing != doubt) {
        return Ok(false);
    }
    let opened = disk.open_folder(folder)?;
    disk.remove(&folder.join(files::DOUBT))?;
    disk.sync_opened_folder(&opened, folder)?;
    Ok(true)
}
