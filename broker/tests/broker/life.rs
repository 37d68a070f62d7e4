//! Starting and refusing to start.

use holdfast_broker::{exit::Fatal, life::start::Broker};
use holdfast_metadata::{AlterReplicas, Command};
use holdfast_proto::ids::BrokerId;

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
async fn a_damaged_log_refuses_the_start_until_it_is_set_aside() {
    let rig = Rig::start().await;
    let broker = rig.broker(1).await;
    rig.controller.create_topic("t", 1, 1, &[("min.insync.replicas", "1")]);
    let client = Client::connect(&broker).await;
    for value in ["a", "b", "c"] {
        produce_until(&client, "t", 0, &[value]).await;
    }
    let directory = rig.controller.image().broker(BrokerId(1)).unwrap().directory_id;
    soon("it stops", broker.stop()).await;
    let partitions = rig.data_dir(1).join("partitions");
    let folder = std::fs::read_dir(&partitions).unwrap().next().unwrap().unwrap().path();
    let segment = folder.join("00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let refused = until("the folder is free", async || match Broker::start(rig.config(1)).await {
        Err(Fatal::DataFolder(_)) => None,
        other => Some(other.err().unwrap()),
    })
    .await;
    assert_eq!(refused.number(), 13, "{refused}");
    assert!(refused.to_string().contains("set_aside_damaged_logs"), "{refused}");
    let mut config = rig.config(1);
    config.set_aside_damaged_logs = true;
    let broker = until("it starts", async || Broker::start(config.clone()).await.ok()).await;
    until("it registers under another identity", async || {
        let own = rig.controller.image().broker(BrokerId(1)).cloned()?;
        (own.directory_id != directory).then_some(())
    })
    .await;
    // The only replica is gone: the partition is offline rather than shorter.
    assert_eq!(rig.controller.image().partitions_led_by(BrokerId(1)).count(), 0);
    let set_aside = std::fs::read_dir(&partitions).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(set_aside.into_iter().any(|name| name.to_string_lossy().contains(".damaged-")));
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
