use std::path::Path;

use bytes::Bytes;
use uuid::Uuid;

use super::{Error, Marker, Op, Origin, Snapshot, Store, Told};

fn marker() -> Marker {
    Marker { node_id: 7, directory_id: Uuid::from_u128(9) }
}

/// A mark that nothing is known of.
fn told(path: &Path) -> Told {
    std::fs::create_dir_all(path).expect("mkdir");
    Told::open(&path.join("told"), false).expect("a mark")
}

fn open(path: &Path) -> Store {
    Store::open(path, &marker(), Origin::New, told(path)).expect("open")
}

fn entries(range: std::ops::Range<u64>) -> Vec<(u64, Vec<u8>)> {
    range.map(|index| (index, vec![index as u8; 10])).collect()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    store.write(|done| Op::Append { entries: entries(0..300), done }).await.expect("append");
    store.write(|done| Op::Truncate { from: 250, done }).await.expect("truncate");
    store.write(|done| Op::Purge { up_to: 9, key: b"purged", value: b"9".to_vec(), done }).await.expect("purge");
    store.write(|done| Op::PutState { key: b"vote", value: b"v".to_vec(), done: Some(done) }).await.expect("vote");
    store.submit(Op::PutState { key: b"committed", value: b"c".to_vec(), done: None }).await.expect("committed");
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.read_log(0, u64::MAX, usize::MAX).expect("read"), entries(10..250));
    assert_eq!(store.read_log(20, 30, 25).expect("read"), entries(20..22), "bounded in bytes");
    assert_eq!(store.read_log(20, 30, 1).expect("read"), entries(20..21), "one at least");
    assert_eq!(store.last_log().expect("read"), entries(249..250).pop());
    assert_eq!(store.read_state(b"vote").expect("read"), Some(b"v".to_vec()));
    assert_eq!(store.read_state(b"committed").expect("read"), Some(b"c".to_vec()));
    assert_eq!(store.read_state(b"purged").expect("read"), Some(b"9".to_vec()));
}

#[tokio::test]
async fn a_snapshot_replaces_the_one_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    assert_eq!(store.read_snapshot().expect("read"), None);
    for size in [3_500_000_usize, 0, 2_000_000] {
        let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let (meta, bytes) = (size.to_string().into_bytes(), Bytes::from(data.clone()));
        store.write(|done| Op::PutSnapshot { meta: meta.clone(), data: bytes, done }).await.expect("put");
        assert!(store.read_snapshot().expect("read") == Some(Snapshot { meta, data }), "of {size} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_read_whole_while_another_one_takes_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let put = async |number: u8| {
        let data = Bytes::from(vec![number; 1_500_000]);
        store.write(|done| Op::PutSnapshot { meta: vec![number], data, done }).await.expect("put");
    };
    put(0).await;
    let (reader, stop) = (store.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = std::sync::Arc::clone(&stop);
    let reading = tokio::task::spawn_blocking(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let Snapshot { meta, data } = reader.read_snapshot().expect("read").expect("a snapshot");
            assert!(data.len() == 1_500_000 && data.iter().all(|byte| *byte == meta[0]), "of snapshot {meta:?}");
        }
    });
    for number in 1..=100 {
        put(number).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    reading.await.expect("each was whole");
}

#[tokio::test]
async fn the_store_of_another_node_or_a_newer_format_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(open(dir.path()));
    let other = Store::open(dir.path(), &Marker { node_id: 8, ..marker() }, Origin::Made, told(dir.path()));
    assert!(matches!(other, Err(Error::OtherNode { .. })), "{other:?}");
    let store = open(dir.path());
    store.write(|done| Op::PutState { key: b"marker", value: vec![2; 25], done: Some(done) }).await.expect("put");
    drop(store);
    let newer = Store::open(dir.path(), &marker(), Origin::New, told(dir.path()));
    assert!(matches!(newer, Err(Error::NewerFormat { found: 2, .. })), "{newer:?}");
}

#[tokio::test]
async fn a_damaged_write_ahead_log_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    for at in 0..50 {
        store.write(|done| Op::Append { entries: entries(at..at + 1), done }).await.expect("append");
    }
    drop(store);
    let wal = std::fs::read_dir(dir.path())
        .expect("list")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .max_by_key(|path| path.metadata().map_or(0, |meta| meta.len()))
        .expect("a write-ahead log");
    let mut bytes = std::fs::read(&wal).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&wal, bytes).expect("write");
    let damaged = Store::open(dir.path(), &marker(), Origin::New, told(dir.path()));
    assert!(matches!(damaged, Err(Error::RocksDb { .. })), "{damaged:?}");
}
