//! Stopping in order, when others can take over and when nobody answers.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

use holdfast_broker::{here::state::Phase, life::start::Broker};
use holdfast_node::health::Probe;
use holdfast_proto::{
    ids::{BrokerId, PartitionIndex, TopicPartition},
    v1,
};

use crate::rig::{Client, Rig, batch, produce_until, soon, until};

/// A way to the controller that can be cut: connections on it end, and no new ones are made.
struct Way {
    address: SocketAddr,
    carrying: tokio::task::JoinHandle<()>,
}

impl Way {
    async fn to(controller: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let carrying = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(controller).await {
                        let _ended_by_a_side = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self { address, carrying }
    }

    fn cut(&self) {
        self.carrying.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_controller_it_keeps_its_answers_and_stops_within_its_time() {
    let rig = Rig::start().await;
    let way = Way::to(rig.controller.address).await;
    let mut config = rig.config(1);
    config.controllers = vec![way.address.to_string().parse().unwrap()];
    config.shutdown_timeout_ms = 4_000;
    let broker = Broker::start(config).await.unwrap();
    let is_active = || rig.controller.image().brokers().values().any(holdfast_metadata::BrokerRegistration::is_active);
    until("it serves", async || is_active().then_some(())).await;
    rig.controller.create_topic("t", 1, 1, &[("min.insync.replicas", "1")]);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["a"]).await;
    let probes = broker.context().state.probes.clone();
    let answers = || Probe::ALL.map(|probe| probes.is(probe));
    until("it answers every probe", async || (answers() == [true; 4]).then_some(())).await;

    way.cut();
    let holds = || broker.context().lease.holds(broker.context().clock.now());
    until("the lease runs out", async || (!holds()).then_some(())).await;
    assert_eq!(answers(), [true; 4], "a lost session took the broker out of service");
    assert_eq!(*broker.context().state.phase().borrow(), Phase::Serving);
    // Another may lead by now: what the leader alone would acknowledge is not taken.
    let mut stream = client.stream().await;
    stream.acks = v1::Acks::Leader;
    assert_eq!(stream.produce("t", 0, batch(&["b"])).await, Err("NOT_LEADER_OR_FOLLOWER".to_owned()));

    let asked = Instant::now();
    let fatal = soon("it stops", broker.stop()).await;
    assert!(fatal.is_none(), "{fatal:?}");
    assert!(asked.elapsed() < Duration::from_millis(4_000 + 2_500), "it took {:?}", asked.elapsed());
    // The next start finds the folder closed in order, and what was acknowledged.
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    let values = until("it is led again", async || client.read("t", 0, 0).await.ok()).await;
    assert_eq!(values, ["a"]);
    soon("it stops", broker.stop()).await;
}

/// Broker 1 alone is in sync when it is asked to stop, and broker 2 is back but not in sync yet: 1 waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_holder_waits_for_the_replica_that_is_about_to_join() {
    let rig = Rig::start().await;
    let [first, second] = [rig.broker(1).await, rig.broker(2).await];
    let topic_id = rig.controller.create_topic("t", 4, 2, &[("min.insync.replicas", "1")]);
    let state = |index| {
        let image = rig.controller.image();
        image.partition(TopicPartition { topic_id, partition: PartitionIndex(index) }).cloned().unwrap()
    };
    soon("it ends", second.kill()).await;
    let alone = |index| (state(index).isr == [BrokerId(1)] && state(index).leader == Some(BrokerId(1))).then_some(());
    until("broker 1 leads alone", async || (0..4).all(|index| alone(index).is_some()).then_some(())).await;
    let client = Client::connect(&first).await;
    for index in 0..4 {
        produce_until(&client, "t", index, &["a", "b"]).await;
    }
    let second = rig.broker(2).await;
    soon("it stops", first.stop()).await;
    for index in 0..4 {
        assert_eq!(state(index).leader, Some(BrokerId(2)), "partition {index} was left without a leader");
    }
    let client = Client::connect(&second).await;
    // The controller's metadata names broker 2 before broker 2 has heard of it.
    let values = until("broker 2 leads", async || client.read("t", 3, 0).await.ok()).await;
    assert_eq!(values, ["a", "b"]);
    soon("it stops", second.stop()).await;
}

/// All leave together: nobody can take over, so nobody waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_together_wait_for_nobody() {
    let rig = Rig::start().await;
    let brokers = rig.brokers(3).await;
    rig.controller.create_topic("t", 6, 3, &[]);
    let client = Client::connect(&brokers[0]).await;
    let led = || rig.controller.image().partitions_led_by(BrokerId(1)).map(|(id, ..)| id.partition.0).next();
    let index = until("broker 1 leads", async || led()).await;
    produce_until(&client, "t", index, &["a"]).await;
    let asked = Instant::now();
    let stops: Vec<_> = brokers.into_iter().map(|broker| tokio::spawn(broker.stop())).collect();
    for stop in stops {
        assert!(soon("it stops", stop).await.unwrap().is_none());
    }
    // Each has 5 s, of which half may be waited.
    assert!(asked.elapsed() < Duration::from_millis(2_400), "they waited for each other: {:?}", asked.elapsed());
}
