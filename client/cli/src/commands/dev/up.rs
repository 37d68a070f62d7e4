//! The start of a cluster: as its folder has it, or a new one.

use std::{path::PathBuf, time::Duration};

use holdfast_local::{ClusterSpec, Lifetime, ProcessCluster, Programs, Role, Setting, state::State};

use super::{command::UpArgs, down::end, status::print_status};
use crate::{
    exit::{Failure, Result},
    output::{Output, note, say},
    signals::Signals,
};

pub(super) async fn up(dir: PathBuf, args: UpArgs, output: Output) -> Result {
    let stored = match State::load(&dir) {
        Ok(state) => Some(state),
        Err(holdfast_local::Error::NoCluster { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let count = |role| stored.as_ref().map_or(3, |state| state.count(role));
    let settings = |own: Vec<Setting>, stored: Option<Vec<Setting>>| {
        let given: Vec<_> = args.set.iter().cloned().chain(own).collect();
        if given.is_empty() { stored.unwrap_or_default() } else { given }
    };
    let spec = ClusterSpec {
        brokers: args.brokers.unwrap_or_else(|| count(Role::Broker)),
        controllers: args.controllers.unwrap_or_else(|| count(Role::Controller)),
        base_port: args.base_port,
        broker_settings: settings(args.broker_set, stored.as_ref().map(|state| state.broker_settings.clone())),
        controller_settings: settings(
            args.controller_set,
            stored.as_ref().map(|state| state.controller_settings.clone()),
        ),
        programs: Programs::find()?,
        lifetime: if args.foreground { Lifetime::Tied } else { Lifetime::Detached },
        dir,
    };
    let patience = args.timeout;
    // Before anything starts, so that an early Ctrl-C ends what has started by then.
    let mut signals = Signals::listen()?;
    let mut cluster = tokio::select! {
        cluster = start(&spec, patience) => cluster?,
        code = signals.wait() => return Err(Failure::new(code, "interrupted; what had started was ended")),
    };
    print_status(&mut cluster, output);
    if output == Output::Table {
        say(format!("\nexport HOLDFAST_BOOTSTRAP={}", cluster.bootstrap().join(",")));
    }
    if args.foreground {
        note("running in the foreground; Ctrl-C ends the cluster");
        signals.wait().await;
        tokio::select! {
            ended = end(&mut cluster) => ended?,
            code = signals.wait() => {
                cluster.kill_all();
                return Err(Failure::new(code, "interrupted again; the nodes were killed"));
            }
        }
    }
    Ok(())
}

/// Starts the cluster; when this future is dropped, what has started by then ends.
async fn start(spec: &ClusterSpec, patience: Duration) -> std::result::Result<ProcessCluster, holdfast_local::Error> {
    struct Guard(Option<ProcessCluster>);
    impl Drop for Guard {
        fn drop(&mut self) {
            if let Some(cluster) = &mut self.0 {
                cluster.kill_all();
            }
        }
    }
    let mut guard = Guard(Some(ProcessCluster::create(spec)?));
    if let Some(cluster) = &mut guard.0 {
        cluster.start_all()?;
        cluster.wait_ready(patience).await?;
        cluster.keep_settings(spec)?;
    }
    guard.0.take().ok_or_else(|| holdfast_local::Error::Spec("the cluster is gone".to_owned()))
}
