//! The one door to the disk of a data folder.

/// Does the writes and fsyncs of one data folder, counts them, and latches at the first that fails.
#[derive(Debug)]
pub struct Disk {}
