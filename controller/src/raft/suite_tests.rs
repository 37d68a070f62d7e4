//! openraft's own storage suite against our stores, and a restart.

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{Halt, LogStore, StateMachine, types::TypeConfig};
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
