//! The metadata version is finalised, and who does not know it stays out; the hash of all changes.

use holdfast_metadata::{
    Command, ControllerVersions, FinalizeVersion, HistoryHash, Image, Record, Response, VersionRange,
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{ControllerId, MetadataIndex, MetadataVersion},
};

use crate::cluster::Cluster;

/// Three voters that support these versions; `None`: the second did not say.
fn finalize(version: u32, second: Option<VersionRange>) -> Command {
    let voter = |id, versions| ControllerVersions { controller_id: ControllerId(id), versions };
    let newer = Some(VersionRange::from_numbers(1, 3));
    Command::FinalizeVersion(FinalizeVersion {
        version: MetadataVersion(version),
        controllers: vec![voter(1, newer), voter(2, second), voter(3, newer)],
    })
}

/// Of a controller of a newer build.
fn newer() -> VersionRange {
    VersionRange::from_numbers(1, 3)
}

/// A registration of a new start of broker `n` that supports these versions.
fn registration(c: &mut Cluster, n: u32, boot: u64, versions: VersionRange) -> Command {
    let registration = c.registration(n, boot, n.into());
    Command::RegisterBroker(holdfast_metadata::RegisterBroker { versions, ..registration })
}

#[test]
fn a_version_is_finalised_when_all_support_it_and_never_taken_back() {
    let mut c = Cluster::empty();
    assert_eq!(c.image.version(), MetadataVersion(1));
    let command = registration(&mut c, 1, 1, VersionRange::from_numbers(1, 3));
    c.ok(&command);
    let (records, response) = c.ok(&finalize(2, Some(newer())));
    assert_eq!(records, [Record::Version { version: MetadataVersion(2) }]);
    assert_eq!(response, Response::VersionFinalized { before: MetadataVersion(1) });
    let (records, response) = c.ok(&finalize(2, Some(newer())));
    assert_eq!((records, response), (vec![], Response::VersionFinalized { before: MetadataVersion(2) }), "again");
    assert_eq!(c.refused(&finalize(1, Some(newer()))).code, ErrorCode::InvalidRequest);
    assert_eq!(c.image.version(), MetadataVersion(2));
}

#[test]
fn who_does_not_support_a_version_is_named() {
    let mut c = Cluster::empty();
    for n in 1..=2 {
        let command = registration(&mut c, n, 1, VersionRange::default());
        c.ok(&command);
        c.unfence(n);
    }
    let refusal = c.refused(&finalize(2, Some(newer())));
    assert_eq!(refusal.code, ErrorCode::UnsupportedVersion);
    assert!(refusal.message.contains("broker 1 (1 to 1), broker 2 (1 to 1);"), "{refusal}");
    c.fence(2);
    assert!(c.refused(&finalize(2, Some(newer()))).message.contains("broker 2 (1 to 1, fenced)"), "it may come back");
    let mut c = Cluster::empty();
    let refusal = c.refused(&finalize(2, None));
    assert!(refusal.message.contains("controller 2 (which did not say)"), "{refusal}");
    let refusal = c.refused(&finalize(3, Some(VersionRange::from_numbers(1, 2))));
    assert!(refusal.message.contains("controller 2 (1 to 2)"), "{refusal}");
    let nobody = FinalizeVersion { version: MetadataVersion(2), controllers: Vec::new() };
    assert_eq!(c.refused(&Command::FinalizeVersion(nobody)).code, ErrorCode::UnsupportedVersion);
    assert_eq!(c.image.version(), MetadataVersion(1));
}

#[test]
fn a_broker_registers_only_if_it_supports_the_finalised_version() {
    let mut c = Cluster::empty();
    c.ok(&finalize(2, Some(newer())));
    for (min, max, why) in [(1, 1, "older than the cluster: upgrade it"), (3, 4, "too new for the cluster")] {
        let command = registration(&mut c, 1, 1, VersionRange::from_numbers(min, max));
        let refusal = c.refused(&command);
        assert_eq!(refusal.code, ErrorCode::UnsupportedVersion);
        assert!(refusal.message.contains(why), "{refusal}");
    }
    let command = registration(&mut c, 1, 1, VersionRange::from_numbers(2, 4));
    c.ok(&command);
    assert_eq!(c.image.broker(crate::cluster::b(1)).map(|b| b.versions), Some(VersionRange::from_numbers(2, 4)));
}

#[test]
fn a_snapshot_from_before_versions_and_hashes_is_of_the_first_version_and_has_no_hash() {
    let c = Cluster::new(2);
    let new = |record: &&Record| matches!(record, Record::Version { .. } | Record::History { .. });
    let records = c.image.records();
    let old: Vec<&Record> = records.iter().filter(|record| !new(record)).collect();
    let mut image = Image::from_records(c.image.index(), old).expect("it fits");
    assert_eq!((image.version(), image.history()), (MetadataVersion(1), None));
    let next = |image: &Image| MetadataIndex(image.index().0 + 1);
    let at = next(&image);
    holdfast_metadata::apply_command(&mut image, at, finalize(1, Some(newer())));
    assert_eq!(image.history(), None, "what is not known stays so");
}

#[test]
fn a_hash_that_begins_late_is_the_same_for_all_whatever_each_had_before() {
    let mut c = Cluster::new(1);
    let from_start = c.image.history();
    assert_ne!(from_start, Some(HistoryHash::START));
    let without = c.image.records();
    let without = without.iter().filter(|record| !matches!(record, Record::History { .. }));
    let mut other = Image::from_records(c.image.index(), without).expect("it fits");
    let at = MetadataIndex(c.image.index().0 + 1);
    holdfast_metadata::apply_command(&mut other, at, Command::BeginHistory);
    c.ok(&Command::BeginHistory);
    assert_eq!(other, c.image);
    let check = Command::CheckHistory { index: at, hash: HistoryHash::START };
    assert_eq!(c.ok(&check), (vec![], Response::HistoryChecked));
    assert_eq!(other.history(), c.image.history(), "a check is no change");
}
