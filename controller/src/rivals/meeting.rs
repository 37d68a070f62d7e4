//! An active controller asks who else there is.

use std::time::Duration;

use holdfast_net::jitter::jittered;

use crate::{node::Node, peers::Peers};

/// How often it asks.
const INTERVAL: Duration = Duration::from_secs(3);

/// Asks `peers` for what they are, members or not, while this controller is active and was recovered once. What is shown on
/// both sides decides who ends, if one of them has to. Never ends.
pub(crate) async fn meet(node: Node, peers: Peers) {
    loop {
        tokio::time::sleep(jittered(INTERVAL)).await;
        if node.is_active() && !node.view().image().controller_recoveries().is_empty() {
            // What they answer is compared as it comes.
            drop(peers.formation(None).await);
        }
    }
}
