//! The folder of a new, empty log.

use std::path::Path;

use holdfast_proto::ids::{Offset, TopicPartition};

use super::roll::begin_segment;
use crate::{
    Disk, Error, checkpoint,
    disk::{TEMPORARY, parent, with_suffix},
    files,
    mark::{MarkFile, Marks},
    noted::Noted,
};

/// Creates the folder of an empty log, all or nothing: it gets its name when everything in it is durable. So a file that is
/// missing later was lost, and is not one that was never written.
pub(super) fn create(disk: &Disk, folder: &Path, partition: TopicPartition) -> Result<(), Error> {
    let unfinished = with_suffix(folder, TEMPORARY);
    disk.try_remove_folder(&unfinished)?;
    disk.create_folder(&unfinished)?;
    disk.replace_unnamed(&unfinished.join(files::METADATA), &checkpoint::encode_metadata(partition.topic_id))?;
    let marks = Marks { clean: true, noted: Some(Noted::default()), ..Marks::default() };
    MarkFile::create(disk, &unfinished.join(files::MARK), &marks)?;
    begin_segment(disk, &unfinished, partition, Offset(0))?;
    disk.sync_folder(&unfinished)?;
    let partitions = disk.open_folder(parent(folder))?;
    disk.rename(&unfinished, folder)?;
    disk.sync_opened_folder(&partitions, parent(folder))
}
