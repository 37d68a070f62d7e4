//! openraft's own storage suite against our stores, and a restart.

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{Halt, LogStore, StateMachine, types::TypeConfig};
use crate::{
    store::{Marker, Origin, Store},
    view::MetadataView,
};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().expect("a folder");
        let store =
            Store::open(dir.path(), &Marker { node_id: 1, directory_id: Uuid::nil() }, Origin::New).expect("open");
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
