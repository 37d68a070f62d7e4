//! Two processes with one broker id, and controllers that know another start of it.

use holdfast_broker::{exit::Fatal, life::start::Broker};
use holdfast_log::ListState;
use holdfast_proto::ids::{BrokerId, PartitionIndex, TopicPartition};

use crate::rig::{Client, Rig, batch, produce_until, soon, until};

/// The one that was registered first loses its session (here: the controller lets the newer one in at once), finds
/// itself replaced, acknowledges nothing more, says who took its place and ends. It does not register again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_process_of_one_id_is_fenced_and_ends_with_a_code_of_its_own() {
    let rig = Rig::start().await;
    let older = rig.broker(1).await;
    let partner = rig.broker(2).await;
    let topic_id = rig.controller.create_topic("t", 1, 2, &[("min.insync.replicas", "1")]);
    let partition = TopicPartition { topic_id, partition: PartitionIndex(0) };
    let leader = || rig.controller.image().partition(partition).and_then(|state| state.leader);
    let at_older = Client::connect(&older).await;
    until("somebody leads", async || leader()).await;
    if leader() == Some(BrokerId(1)) {
        produce_until(&at_older, "t", 0, &["before"]).await;
    } else {
        produce_until(&Client::connect(&partner).await, "t", 0, &["before"]).await;
    }
    let first_epoch = rig.controller.image().broker(BrokerId(1)).unwrap().broker_epoch;

    // The same id, an empty folder: a pod that returned elsewhere.
    let mut config = rig.config(1);
    config.data_dir = rig.folder.path().join("another");
    let newer = Broker::start(config).await.unwrap();
    let fatal = soon("the older one ends", older.failed()).await;
    assert!(matches!(fatal, Fatal::Replaced { .. }), "{fatal}");
    assert_eq!(fatal.number(), 16);
    let newer_address = newer.context().identity.addresses.peer.clone();
    assert!(fatal.to_string().contains("replaced by another process") && fatal.to_string().contains(&newer_address));
    // Its process still runs here, and acknowledges nothing.
    let mut stream = at_older.stream().await;
    let refused = stream.produce("t", 0, batch(&["after"])).await;
    assert!(refused.is_err(), "the replaced broker acknowledged offset {refused:?}");

    // The newer one is alone with the id, and stays so.
    let own = || rig.controller.image().broker(BrokerId(1)).cloned();
    until("the newer one serves", async || own().filter(holdfast_metadata::BrokerRegistration::is_active)).await;
    let second_epoch = own().unwrap().broker_epoch;
    assert!(second_epoch > first_epoch);
    assert_eq!(own().unwrap().directory_id, newer.context().logs.data_dir.directory_id());
    older.kill().await;
    until("it is in sync again", async || {
        let image = rig.controller.image();
        (image.partition(partition)?.isr.len() == 2).then_some(())
    })
    .await;
    assert_eq!(own().unwrap().broker_epoch, second_epoch, "somebody registered again");
    assert!(newer.context().state.reason().is_none());
    soon("it stops", newer.stop()).await;
    soon("it stops", partner.stop()).await;
}

/// Each of them knows an earlier start alone. The one that is not active refuses the session for that, in turn with the
/// active one, and that takes nothing back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_restored_controllers_do_not_know_ends_to_register_anew() {
    let rig = Rig::start().await;
    soon("it stops", rig.broker(1).await.stop()).await;
    let before = rig.controller.image();
    let earlier = before.broker(BrokerId(1)).unwrap().broker_epoch;
    let second = rig.controller.beside().await;
    let broker = rig
        .broker_with(1, |mut config| {
            config.controllers.push(second.address.to_string().parse().unwrap());
            config
        })
        .await;
    let epoch = rig.controller.image().broker(BrokerId(1)).unwrap().broker_epoch;
    assert!(epoch > earlier);

    rig.controller.go_back_to(before);
    let fatal = soon("it ends", broker.failed()).await;
    assert_eq!(fatal.number(), 20, "{fatal}");
    let message = fatal.to_string();
    assert!(message.contains(&format!("with broker epoch {}, not {}", earlier.0, epoch.0)), "{message}");
    assert!(second.sessions_passed_on() > 1, "no session was asked of the other one in between");
    broker.kill().await;
}

/// Before metadata version 2 the controllers take nothing of what a start finds. When that is finalised they take its token,
/// and what it found is said by the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_start_found_before_the_version_was_finalised_is_said_by_the_next() {
    let rig = Rig::start_unfinalised().await;
    soon("it stops", rig.broker(1).await.stop()).await;
    std::fs::remove_file(rig.data_dir(1).join("replicas")).unwrap();
    let is_lost = |broker: &Broker| matches!(broker.context().logs.data_dir.list_state(), ListState::Lost { .. });
    let token = || rig.controller.image().broker(BrokerId(1)).and_then(|broker| broker.token);
    let confirmed = async |broker: &Broker| {
        until("its token is confirmed", async || {
            (token().is_some() && broker.context().token.to_say().is_none()).then_some(())
        })
        .await;
    };
    let broker = rig.broker(1).await;
    assert!(is_lost(&broker) && token().is_none());
    rig.controller.finalise();
    confirmed(&broker).await;
    soon("it stops", broker.stop()).await;
    let broker = rig.broker(1).await;
    assert!(is_lost(&broker), "the controllers have not heard of it");
    confirmed(&broker).await;
    soon("it stops", broker.stop()).await;
    let broker = rig.broker(1).await;
    assert!(!is_lost(&broker), "they have");
    soon("it stops", broker.stop()).await;
}
