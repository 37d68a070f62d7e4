//! openraft's own storage suite against our stores; and a store that lacks nothing but the last vote.

use std::{io, path::Path};

use openraft::{
    StorageError,
    storage::RaftLogStorage as _,
    testing::log::{StoreBuilder, Suite},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    Halt, LogStore, StateMachine,
    types::{TypeConfig, Vote},
};
use crate::{
    store::{Marker, Origin, Store, Told},
    view::MetadataView,
};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().expect("a folder");
        let told = Told::open(&dir.path().join("told"), false).expect("a mark");
        let store = Store::open(dir.path(), &Marker { node_id: 1, directory_id: Uuid::nil() }, Origin::New, told)
            .expect("open");
        let log = LogStore::open(store.clone(), Halt::default()).expect("log");
        let machine = StateMachine::open(store, MetadataView::default(), Halt::default()).expect("state machine");
        Ok((dir, log, machine))
    }
}

#[test]
fn the_stores_pass_openrafts_suite() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(Suite::test_all(Builder)).expect("the suite");
}

/// Opens a log over the store in `folder`, whose mark is `mark`: one that was there before, if it is an old store.
fn open(folder: &TempDir, mark: &Path, origin: Origin) -> io::Result<LogStore> {
    let told = Told::open(mark, origin == Origin::Made)?;
    let marker = Marker { node_id: 1, directory_id: Uuid::nil() };
    LogStore::open(Store::open(folder.path(), &marker, origin, told)?, Halt::default())
}

#[tokio::test]
async fn a_vote_that_was_given_and_is_not_in_the_store_is_not_given_again() {
    let (kept, older) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let marks = tempfile::tempdir().expect("a folder");
    for (folder, name, terms) in [(&older, "older", 1..=1), (&kept, "kept", 1..=2)] {
        let mut log = open(folder, &marks.path().join(name), Origin::New).expect("open");
        for term in terms {
            log.save_vote(&Vote::new(term, 1)).await.expect("given");
        }
    }
    let given = marks.path().join("kept");
    drop(open(&kept, &given, Origin::Made).expect("it holds what it gave"));
    // Of the log nothing is missing: the vote alone tells.
    let refused = open(&older, &given, Origin::Made).map(drop).expect_err("it gave a later vote");
    assert!(refused.to_string().contains("it gave the vote"), "{refused}");
}
