//! The data folder of a broker comes back from an older copy.

use holdfast_eventually::{PATIENCE, until};
use holdfast_local::NodeName;
use holdfast_proto::v1::{DistrustReason, DistrustedReplica, PartitionInfo};
use holdfast_tests::process::{
    fixture::TOPIC,
    folders::{Copy, Folder, Restore},
    load::Load,
    said::{Said, are_deaf},
    stand::{BROKERS, Stand},
};

use crate::{
    all_variants,
    steps::{Copies, is_chosen, restore, until_isr, until_recognised, until_registered},
};

/// One cluster, and a copy of each broker's folder from its first seconds. Each case puts one of them in the place of what
/// the folder has become by then, some starts later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_folder_counts_for_nothing_until_everything_was_copied_again() {
    let mut stand = Stand::start().await;
    let copies = Copies::of_all(&mut stand).await;
    let rounds = if all_variants() { 6 } else { 1 };
    for round in 0..rounds {
        let how = |volume: bool| if volume { Restore::Volume } else { Restore::Files };
        let (this, other) = (how(round % 2 == 0), how(round % 2 == 1));
        let broker = |step: usize| BROKERS[(round + step) % 3];
        if is_chosen("under load") {
            under_load(&mut stand, &copies, broker(0), this).await;
            under_load(&mut stand, &copies, broker(1), other).await;
        }
        if is_chosen("there first") {
            there_first(&mut stand, &copies, BROKERS[2 - round % 2], this).await;
        }
        if is_chosen("last whole") {
            last_whole(&mut stand, &copies, [0, 1, 2].map(broker), this).await;
        }
        if is_chosen("fail-over") {
            in_a_fail_over(&mut stand, &copies, BROKERS[2 - round % 2], this).await;
        }
        if is_chosen("roll") {
            in_a_roll(&mut stand, &copies, broker(2), this).await;
        }
    }
}

/// A broker that leads and follows is killed under load, and comes back with what its folder held a while ago.
async fn under_load(stand: &mut Stand, copies: &Copies, broker: NodeName, how: Restore) {
    stand.led_and_followed(broker).await;
    let load = stand.load();
    load.flows(500).await;
    let said = Said::by_controllers(&stand.fixture.cluster);
    stand.kill(broker);
    restore(stand, broker, copies.of(broker), how);
    stand.begin(broker);
    until_recognised(&said, broker).await;
    load.flows(500).await;
    stand.take(load).await;
    stand.prove(&format!("{broker} restored under load, {how:?}")).await;
}

/// All brokers are killed; the one whose folder is old comes first, alone. It must not lead.
async fn there_first(stand: &mut Stand, copies: &Copies, restored: NodeName, how: Restore) {
    let load = stand.load();
    load.flows(500).await;
    let said = Said::by_controllers(&stand.fixture.cluster);
    stand.kill_all_brokers().await;
    restore(stand, restored, copies.of(restored), how);
    stand.begin(restored);
    until_recognised(&said, restored).await;
    stand.begin_others(restored);
    load.flows(500).await;
    stand.take(load).await;
    stand.prove(&format!("all killed, {restored} restored and first, {how:?}")).await;
}

/// In sync are two, the third lags; one is killed, the other is stopped and restored from an older copy; the third comes
/// back. Only the killed one holds everything: until it is there nobody leads, and then everybody follows it.
async fn last_whole(stand: &mut Stand, copies: &Copies, [restored, whole, lagging]: [NodeName; 3], how: Restore) {
    stand.kill(lagging);
    until_isr(stand, &[restored, whole]).await;
    stand.write(1_000).await;
    stand.kill(whole);
    until_isr(stand, &[restored]).await;
    let ended = stand.fixture.cluster.terminate(restored, PATIENCE).await.expect("it ends");
    assert!(ended, "{restored} did not end by itself");
    restore(stand, restored, copies.of(restored), how);

    let said = Said::by_controllers(&stand.fixture.cluster);
    stand.begin(restored);
    stand.begin(lagging);
    until_recognised(&said, restored).await;
    for broker in [restored, lagging] {
        until_registered(stand, broker).await;
    }
    for info in stand.topic().await.partitions {
        assert_eq!(info.leader, None, "{TOPIC}-{} is led without the only replica that holds all", info.partition);
    }
    stand.begin(whole);
    stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("it heals by itself");
    stand.write(500).await;
    stand.prove(&format!("{restored} restored, {whole} alone is whole, {lagging} lagged, {how:?}")).await;
}

/// All brokers are killed, and the active controller at the moment in which the restored one comes back, first.
async fn in_a_fail_over(stand: &mut Stand, copies: &Copies, broker: NodeName, how: Restore) {
    let load = stand.load();
    load.flows(500).await;
    let said = Said::by_controllers(&stand.fixture.cluster);
    stand.kill_all_brokers().await;
    restore(stand, broker, copies.of(broker), how);
    let active = until("a controller is active", async || stand.fixture.cluster.active_controller().await).await;
    stand.kill(active);
    stand.begin(broker);
    until_recognised(&said, broker).await;
    stand.begin_others(broker);
    stand.begin(active);
    stand.fixture.cluster.wait_node(active, PATIENCE).await.expect("the controller comes back");
    load.flows(500).await;
    stand.take(load).await;
    stand.prove(&format!("{broker} restored, {active} killed, {how:?}")).await;
}

/// All brokers are stopped in good order and started again, one after the other; the folder of one is restored while it is
/// down.
async fn in_a_roll(stand: &mut Stand, copies: &Copies, restored: NodeName, how: Restore) {
    let load = stand.load();
    load.flows(500).await;
    for broker in BROKERS {
        let said = Said::by_controllers(&stand.fixture.cluster);
        stand.fixture.cluster.terminate(broker, PATIENCE).await.expect("it ends");
        if broker == restored {
            restore(stand, restored, copies.of(restored), how);
        }
        stand.begin(broker);
        if broker == restored {
            until_recognised(&said, restored).await;
        }
        stand.fixture.cluster.wait_node(broker, PATIENCE).await.expect("it becomes ready");
    }
    load.flows(500).await;
    stand.take(load).await;
    stand.prove(&format!("{restored} restored in a roll, {how:?}")).await;
}

/// All brokers are killed; first comes one with a copy of its folder that is so young that it proves itself as well as the
/// folder does, and lacks records all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_restored_to_a_second_ago_does_not_lead_if_it_is_there_first() {
    let mut stand = Stand::start().await;
    let rounds = if all_variants() { 6 } else { 2 };
    for round in 0..rounds {
        let restored = BROKERS[2 - round % 3];
        let how = if round < 3 { Restore::Volume } else { Restore::Files };
        let load = stand.load();
        let copy = young_copy(&mut stand, &load, restored).await;
        stand.kill_all_brokers().await;
        restore(&stand, restored, &copy, how);
        stand.begin(restored);
        until_registered(&stand, restored).await;
        stand.begin_others(restored);
        load.flows(500).await;
        stand.take(load).await;
        stand.prove(&format!("all killed, {restored} restored to a moment ago and first, {how:?}")).await;
    }
}

/// In sync are two, then one; it is killed too, and comes back with a copy of its folder of a moment ago, which proves itself
/// and ends below the high watermark that it told last. The one that was killed before alone holds everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_restored_to_below_the_high_watermark_that_it_told_is_not_eligible() {
    let mut stand = Stand::start().await;
    let rounds = if all_variants() { 3 } else { 1 };
    for round in 0..rounds {
        let [restored, whole, lagging] = [0, 1, 2].map(|step| BROKERS[(round + step) % 3]);
        stand.kill(lagging);
        until_isr(&stand, &[restored, whole]).await;
        let load = stand.load();
        load.flows(200).await;
        let copy = young_copy(&mut stand, &load, restored).await;
        let topic = stand.topic().await;
        let led = |info: &&PartitionInfo| info.leader == Some(restored.number);
        let led: Vec<u32> = topic.partitions.iter().filter(led).map(|info| info.partition).collect();
        assert!(!led.is_empty(), "{restored} leads nothing: the case proves nothing");
        stand.kill(whole);
        // Who leads only now does not know the high watermark yet.
        until("the last one in sync has told the high watermark of what it led", async || {
            let topic = stand.fixture.cluster.topic(TOPIC).await?;
            let is_told = |info: &PartitionInfo| info.frozen_high_watermark.is_some() || !led.contains(&info.partition);
            let is_alone = |info: &PartitionInfo| info.isr == [restored.number];
            topic.partitions.iter().all(|info| is_alone(info) && (is_told(info) || are_deaf())).then_some(())
        })
        .await;
        stand.kill(restored);
        stand.until_fenced().await;
        restore(&stand, restored, &copy, Restore::Volume);
        stand.begin(restored);
        stand.begin(lagging);
        for broker in [restored, lagging] {
            until_registered(&stand, broker).await;
        }
        for info in stand.topic().await.partitions {
            assert_eq!(info.leader, None, "{TOPIC}-{} is led without the only replica that holds all", info.partition);
            let own = info.distrusted.iter().find(|one| one.broker_id == restored.number);
            let expected = led.contains(&info.partition).then_some(DistrustReason::Short);
            assert_eq!(own.map(DistrustedReplica::reason), expected, "{TOPIC}-{}", info.partition);
        }
        stand.begin(whole);
        load.flows(500).await;
        stand.take(load).await;
        stand.prove(&format!("{restored} restored to below its high watermark")).await;
    }
}

/// A copy of the broker's folder that proves itself as well as the folder does, and lacks records that were acknowledged since.
async fn young_copy(stand: &mut Stand, load: &Load, broker: NodeName) -> Copy {
    loop {
        let copy = stand.copy_running(broker);
        load.flows(200).await;
        if are_deaf() || !copy.is_older_than(&Folder::of(&stand.fixture.cluster, broker)) {
            return copy;
        }
    }
}
