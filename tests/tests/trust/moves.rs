//! A folder comes back from an older copy while replicas move.

use holdfast_client::admin::Move;
use holdfast_eventually::{PATIENCE, until};
use holdfast_proto::ids::{BrokerId, PartitionIndex};
use holdfast_tests::process::{
    fixture::TOPIC,
    folders::Restore,
    said::Said,
    stand::{BROKERS, Stand, partitions},
};

use crate::{
    all_variants,
    steps::{restore, until_older, until_recognised},
};

/// How fast replicas move, bytes a second: so slow that a move outlasts the fault.
const SLOW: u64 = 20_000;

/// Every replica moves from one broker to a new one. While they do all brokers are killed, and the folder of one is restored,
/// which comes back first: one that stays, the one that the replicas leave, or the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_of_replicas_survives_a_restored_broker() {
    let rounds = if all_variants() { 4 } else { 1 };
    for round in 0..rounds {
        let mut stand = Stand::start().await;
        let newcomer = stand.fixture.cluster.add_broker().expect("there is room for one more");
        stand.begin(newcomer);
        stand.fixture.cluster.wait_node(newcomer, PATIENCE).await.expect("it becomes ready");
        let all = [BROKERS[0], BROKERS[1], BROKERS[2], newcomer];
        let restored = [BROKERS[2], BROKERS[1], BROKERS[0], newcomer][round];
        stand.write(1_000).await;
        let load = stand.load();
        let to: Vec<BrokerId> = [newcomer, BROKERS[1], BROKERS[2]].map(|broker| BrokerId(broker.number)).to_vec();
        let moves: Vec<Move> = partitions().map(|index| Move::to(TOPIC, PartitionIndex(index), to.clone())).collect();
        stand.fixture.client.admin().alter_replicas(&moves, Some(SLOW)).await.expect("the moves begin");
        let copy = stand.copy_running(restored);
        until_older(&stand, restored, &copy).await;
        let said = Said::by_controllers(&stand.fixture.cluster);
        for broker in all {
            stand.kill(broker);
        }
        stand.until_fenced().await;
        restore(&stand, restored, &copy, Restore::Volume);
        stand.begin(restored);
        until_recognised(&said, restored).await;
        assert!(moving(&stand).await > 0, "all moves have ended before the fault: it proved nothing");
        for broker in all.into_iter().filter(|other| *other != restored) {
            stand.begin(broker);
        }
        load.flows(500).await;
        stand.fixture.client.admin().alter_replicas(&[], Some(0)).await.expect("the moves go on without a limit");
        until("every move has ended", async || moving(&stand).await == 0).await;
        load.flows(500).await;
        stand.take(load).await;
        stand.prove(&format!("{restored} restored while replicas move from {} to {newcomer}", BROKERS[0])).await;
    }
}

/// Partitions that are moving.
async fn moving(stand: &Stand) -> usize {
    let topic = stand.topic().await;
    topic
        .partitions
        .iter()
        .filter(|info| !info.adding_replicas.is_empty() || !info.removing_replicas.is_empty())
        .count()
}
