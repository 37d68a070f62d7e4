//! The end of a cluster, and of its data if that is asked for.

use std::{io::IsTerminal, time::Duration};

use serde_json::json;

use holdfast_local::ProcessCluster;

use crate::{
    exit::Result,
    output::{Output, confirm, note, print_json},
};

/// How long a node may take to end after SIGTERM before it is killed.
pub(super) const GRACE: Duration = Duration::from_secs(15);

/// Ends the cluster, and removes its data with `wipe`.
pub(super) async fn down(mut cluster: ProcessCluster, wipe: bool, yes: bool, output: Output) -> Result {
    let dir = cluster.dir().to_path_buf();
    // The flag says it all: a script means it, and a person is asked.
    if wipe && std::io::stdin().is_terminal() {
        confirm(&format!("This removes all data of the cluster in {}", dir.display()), yes)?;
    }
    end(&mut cluster).await?;
    if wipe {
        cluster.wipe()?;
        note(format!("{} is removed", dir.display()));
    }
    if output == Output::Json {
        print_json(&json!({ "dir": dir, "removed": wipe }));
    }
    Ok(())
}

/// Ends all nodes; names those that had to be killed.
pub(super) async fn end(cluster: &mut ProcessCluster) -> Result {
    let killed = cluster.down(GRACE).await?;
    for node in killed {
        note(format!(
            "{node} did not end within {} s and was killed; its log: {}",
            GRACE.as_secs(),
            cluster.log_path(node).display()
        ));
    }
    note("all nodes have ended");
    Ok(())
}
