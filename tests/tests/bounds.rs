//! What brokers bear, at reduced size in `make test` and in full by `make test-bounds`: readers that stop, idle connections,
//! a replica that has everything to copy. Each ends with the account, and prints what was measured.

use std::time::Instant;

use tokio::sync::Mutex;

use holdfast_client::Compression;
use holdfast_eventually::PATIENCE;
use holdfast_local::NodeName;
use holdfast_tests::process::{
    burden::{Burden, peaks_bytes},
    shape::Shape,
};

/// Memory that a broker may have.
const MEMORY_BYTES: u64 = 512 << 20;
const SHAPE: Shape =
    Shape { brokers: 3, topics: 1, partitions: 6, records: 0, value_bytes: 1_000, compression: Compression::None };

/// One cluster at a time has the machine.
static TURN: Mutex<()> = Mutex::const_new(());

/// True if the test is to be as large as it is meant.
fn in_full() -> bool {
    std::env::var("BOUNDS").is_ok_and(|which| which == "all")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stop_and_idle_connections_keep_nobody_from_writing_and_reading() {
    let _turn = TURN.lock().await;
    let (readers, idle, records) = if in_full() { (200, 1_000, 10_000) } else { (30, 200, 1_000) };
    let shape = Shape { topics: 4, partitions: 50, records, ..SHAPE };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (mut cluster, client) = shape.start(&folder).await;
    let mut accounts = vec![shape.write(&client, &Shape::name(0)).await];
    let mut written = async |topic| {
        let began = Instant::now();
        accounts.push(shape.write(&client, &Shape::name(topic)).await);
        began.elapsed()
    };
    let before = written(1).await;
    let burden = Burden::lay(&mut cluster, &Shape::name(0), shape.partitions, readers, idle).await;
    let beside = written(2).await;
    let lifted = burden.lift().await;
    let after = written(3).await;
    shape.read_back(&client, accounts).await;
    let peaks = peaks_bytes(&mut cluster);
    println!(
        "{readers} readers that stop and {idle} idle connections on each broker: a load took {beside:.1?} beside them, \
         {before:.1?} before and {after:.1?} after; {lifted:?}; the most memory of each broker, bytes: {peaks:?}",
    );
    assert!(peaks.iter().all(|peak| *peak < MEMORY_BYTES), "peaks of the brokers, bytes: {peaks:?}");
    assert_eq!(lifted.answered + lifted.given_up, 3 * readers);
    assert!(!in_full() || lifted.given_up > 0, "they filled the memory for answers, and others waited: {lifted:?}");
    cluster.kill_all();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_copies_everything_stays_within_its_memory() {
    // 5 GB of records in full.
    let shape = Shape { records: if in_full() { 850_000 } else { 20_000 }, ..SHAPE };
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (mut cluster, client) = shape.start(&folder).await;
    cluster.wait_in_sync(&Shape::name(0), PATIENCE).await.expect("the replicas come in sync");
    let away = NodeName::broker(3);
    cluster.kill(away).expect("the broker ends");
    let account = shape.write(&client, &Shape::name(0)).await;
    cluster.start(away).expect("the broker starts");
    let began = Instant::now();
    cluster.wait_in_sync(&Shape::name(0), 10 * PATIENCE).await.expect("it copies everything");
    let peaks = peaks_bytes(&mut cluster);
    println!("{shape}: copied in {:.1?}; the most memory of each broker, bytes: {peaks:?}", began.elapsed());
    assert!(peaks.iter().all(|peak| *peak < MEMORY_BYTES), "peaks of the brokers, bytes: {peaks:?}");
    shape.read_back(&client, vec![account]).await;
    cluster.kill_all();
}
