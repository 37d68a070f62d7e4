//! Readers that outlive their log.

use std::fs;

use holdfast_proto::ids::Offset;

use crate::{
    Error, files,
    test_support::{Sample, fill, open, small, tempdir},
};

/// The folder is set aside and made again with other, damaged content, while somebody still holds a reader of the old log.
#[test]
fn a_reader_of_a_closed_log_reads_nothing_of_the_one_that_took_its_place() {
    for is_dropped in [false, true] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        fill(&mut log, 40);
        let reader = log.reader();
        assert!(reader.read(Offset(0), 1, Offset(40)).is_ok());
        if is_dropped {
            drop(log);
        } else {
            log.close().unwrap();
        }
        fs::rename(folder.path().join("p"), folder.path().join("aside")).unwrap();
        let (mut new, _) = open(folder.path(), small());
        for n in 0..40 {
            new.append(&[Sample { timestamp: 5, ..Sample::at(n) }.build()]).unwrap();
        }
        new.flush().unwrap();
        let path = files::file(&folder.path().join("p"), Offset(0), files::LOG);
        let mut bytes = fs::read(&path).unwrap();
        bytes[70] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(new.reader().read(Offset(0), 1, Offset(40)).is_err_and(|error| error.is_damage()));

        let closed = [
            reader.read(Offset(0), 1, Offset(40)).err(),
            reader.scrub(Offset(0), 1).err(),
            reader.digest_of(Offset(0), Offset(1)).err(),
            reader.offset_for_timestamp(holdfast_proto::ids::TimestampMs(0)).err(),
        ];
        assert!(closed.iter().all(|error| matches!(error, Some(Error::Closed))), "{closed:?}");
    }
}
