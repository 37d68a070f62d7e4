//! Starting and refusing to start.

use holdfast_broker::{exit::Fatal, life::start::Broker};
use holdfast_metadata::{AlterReplicas, Command, trust::DistrustReason};
use holdfast_proto::{
    ids::{BrokerId, PartitionIndex},
    v1::{self, admin_service_client::AdminServiceClient},
};

use crate::rig::{Client, Rig, produce_until, soon, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named_with_its_option() {
    let rig = Rig::start().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = rig.config(1);
    config.peer_listen = taken.local_addr().unwrap().to_string().parse().unwrap();
    let fatal = Broker::start(config).await.err().unwrap();
    assert_eq!(fatal.number(), 10);
    assert!(fatal.to_string().contains("peer_listen"), "{fatal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_belongs_to_one_process_and_one_broker() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let fatal = Broker::start(rig.config(1)).await.err().unwrap();
    assert_eq!(fatal.number(), 11, "{fatal}");
    soon("it stops", broker.stop()).await;
    let mut other = rig.config(1);
    other.broker_id = Some(2);
    let fatal = Broker::start(other).await.err().unwrap();
    assert_eq!(fatal.number(), 11, "{fatal}");
    assert!(fatal.to_string().contains('1') && fatal.to_string().contains('2'), "{fatal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_clusters_controller_is_refused() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    soon("it stops", broker.stop()).await;
    let other = Rig::start().await;
    let mut config = other.config(1);
    config.data_dir = rig.data_dir(1);
    let broker = Broker::start(config).await.unwrap();
    let fatal = soon("it ends", broker.failed()).await;
    assert!(matches!(fatal, Fatal::OtherCluster { .. }), "{fatal}");
    assert_eq!(fatal.number(), 12);
    broker.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_reflection_are_served() {
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    let client = Client::connect(&broker).await;
    let mut health = HealthClient::new(client.channel());
    for service in ["", "started", "live", "ready", "safe-to-stop-next"] {
        until("it is serving", async || {
            let request = HealthCheckRequest { service: service.to_owned() };
            let status = health.check(request).await.ok()?.into_inner().status;
            (status == i32::from(ServingStatus::Serving)).then_some(())
        })
        .await;
    }
    soon("it stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_not_served_and_takes_no_other_with_it() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    for topic in ["damaged", "whole"] {
        rig.controller.create_topic(topic, 1, 1, &[("min.insync.replicas", "1")]);
    }
    let client = Client::connect(&broker).await;
    for (topic, value) in [("damaged", "a"), ("damaged", "b"), ("whole", "c")] {
        produce_until(&client, topic, 0, &[value]).await;
    }
    soon("it stops", broker.stop()).await;
    let image = rig.controller.image();
    let id = |topic: &str| image.topic_by_name(topic).unwrap().topic_id();
    let partitions = rig.data_dir(1).join("partitions");
    let folder = partitions.join(format!("{}-0", id("damaged")));
    let segment = folder.join("00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    // So that it is read at the start, as after a kill.
    std::fs::remove_file(folder.join("00000000000000000000.index")).unwrap();
    let broker = until("it starts", async || Broker::start(rig.config(1)).await.ok()).await;
    let state = |topic: &str| {
        let image = rig.controller.image();
        image.topic_by_name(topic).unwrap().partition(PartitionIndex(0)).unwrap().clone()
    };
    until("the whole one is led again", async || (state("whole").leader == Some(BrokerId(1))).then_some(())).await;
    let offline = state("damaged");
    assert_eq!((offline.leader, offline.elr), (None, vec![]), "the only replica does not count");
    assert_eq!(offline.distrusted[0].reason, DistrustReason::Damaged);
    let client = Client::connect(&broker).await;
    produce_until(&client, "whole", 0, &["d"]).await;
    // Nobody else has it. An operator lets it go on.
    let mut admin = AdminServiceClient::new(client.channel());
    let request = v1::RecoverPartitionRequest {
        topic: "damaged".to_owned(),
        partition: 0,
        broker_id: 1,
        partition_epoch: offline.partition_epoch.0,
        validate_only: false,
    };
    admin.recover_partition(request).await.expect("it is offline");
    produce_until(&client, "damaged", 0, &["e"]).await;
    let names = std::fs::read_dir(&partitions).unwrap().map(|entry| entry.unwrap().file_name());
    let aside: Vec<_> = names.filter(|name| name.to_string_lossy().contains(".damaged-")).collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    let kept = partitions.join(&aside[0]).join("00000000000000000000.log");
    assert_eq!(std::fs::read(kept).unwrap(), bytes, "what was there is kept");
    soon("it stops", broker.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_breaks_goes_on_without_the_whole_state() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, &[("min.insync.replicas", "1")]);
    let client = Client::connect(&broker).await;
    produce_until(&client, "t", 0, &["a"]).await;
    assert_eq!(rig.controller.sessions_begun().1, 1, "a start begins with it");
    let begun = rig.controller.sessions_begun().0;
    rig.controller.break_sessions();
    // It is fenced by that, and has to learn it, and the rest that it missed, before it serves again.
    let limit = AlterReplicas { moves: Vec::new(), move_bytes_per_second: Some(5) };
    rig.controller.run(&Command::AlterReplicas(limit)).unwrap();
    until("a new session", async || (rig.controller.sessions_begun().0 > begun).then_some(())).await;
    produce_until(&client, "t", 0, &["b"]).await;
    assert_eq!(rig.controller.sessions_begun().1, 1);
    soon("it stops", broker.stop()).await;
}
