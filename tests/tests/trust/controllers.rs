//! The data folder of one controller loses its store, while another one is behind and all else is only killed.

use holdfast_eventually::PATIENCE;
use holdfast_local::NodeName;
use holdfast_tests::process::{
    fixture::TOPIC,
    folders::Folder,
    said::Said,
    stand::{BROKERS, Stand},
};

use crate::{
    all_variants,
    steps::{CONTROLLERS, until_isr},
};

/// What of the store is lost.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// The store as a whole.
    Store,
    /// The file that names its parts: what is left looks like no store at all.
    Names,
}

/// One controller is down. The others commit that a broker is out of the ISR. Then everything is killed, one of these two has
/// lost its store, and the two that know nothing of the change come back first, with the broker that it concerns: were they
/// believed, it would lead, and what was acknowledged without it would be gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_lost_its_store_votes_no_more_and_joins_again_with_an_empty_folder() {
    let mut stand = Stand::start().await;
    let cases = if all_variants() { &[Harm::Store, Harm::Names, Harm::Store][..] } else { &[Harm::Store] };
    for (round, harm) in cases.iter().enumerate() {
        let [lost, stale, whole] = [0, 1, 2].map(|step| CONTROLLERS[(round + step) % 3]);
        let out = BROKERS[round % 3];
        let others: Vec<NodeName> = BROKERS.into_iter().filter(|broker| *broker != out).collect();
        stand.write(500).await;
        stand.kill(stale);
        stand.kill(out);
        until_isr(&stand, &others).await;
        stand.write(1_000).await;
        for node in others.iter().chain(&[lost, whole]) {
            stand.kill(*node);
        }
        let folder = Folder::of(&stand.fixture.cluster, lost);
        match harm {
            Harm::Store => folder.lose_folder("raft"),
            Harm::Names => folder.lose_file("raft/CURRENT"),
        }
        let said = Said::by(&stand.fixture.cluster, lost);
        for node in [lost, stale, out] {
            stand.begin(node);
        }
        println!("{}", said.until(&["the whole data folder|the whole folder"]).await);
        for node in others.iter().chain(&[whole]) {
            stand.begin(*node);
        }
        stand.fixture.cluster.wait_in_sync(TOPIC, PATIENCE).await.expect("two controllers are enough");
        stand.write(500).await;
        stand.prove(&format!("{harm:?} of {lost} is gone, {stale} was behind")).await;

        // As the message asks: the whole folder goes, and it joins as a new one.
        stand.until_ended(lost).await;
        folder.remove();
        stand.begin(lost);
        stand.fixture.cluster.wait_ready(PATIENCE).await.expect("it votes again");
        stand.write(500).await;
        stand.prove(&format!("{lost} joined again")).await;
    }
}
