//! Waiting for a cluster, or for one of its nodes, with a deadline.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use holdfast_proto::v1::DescribeClusterResponse;

use crate::{Error, NodeName, ProcessCluster, Role, probe};

/// How often the cluster is asked.
const POLL: Duration = Duration::from_millis(20);
/// How many lines of the log of a node that has ended the error shows.
const TAIL_LINES: usize = 12;

impl ProcessCluster {
    /// Waits until every broker is registered and unfenced and a controller is active, as every broker sees it.
    ///
    /// Fails at once if a node has ended.
    pub async fn wait_ready(&mut self, patience: Duration) -> Result<(), Error> {
        let brokers: BTreeSet<u32> =
            self.nodes().iter().filter(|node| node.role == Role::Broker).map(|node| node.number).collect();
        let controllers = self.state.count(Role::Controller) as usize;
        let deadline = Instant::now() + patience;
        loop {
            for name in self.nodes() {
                self.check_alive(name)?;
            }
            let addresses = self.bootstrap();
            let views = futures::future::join_all(addresses.iter().map(|address| probe::describe(address))).await;
            let own = futures::future::join_all(addresses.iter().map(|address| probe::ready(address))).await;
            let missing: BTreeSet<String> = views
                .into_iter()
                .flat_map(|view| match view {
                    Ok(view) => probe::missing(&view, &brokers, controllers),
                    Err(reason) => vec![reason],
                })
                .chain(own.into_iter().filter_map(Result::err))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            self.check_deadline(deadline, patience, &missing)?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until one node answers, and, if it is a broker, is unfenced.
    ///
    /// Fails at once if it has ended.
    pub async fn wait_node(&mut self, name: NodeName, patience: Duration) -> Result<(), Error> {
        let address = self.address(name)?;
        let deadline = Instant::now() + patience;
        loop {
            self.check_alive(name)?;
            let missing = match probe::describe(&address).await {
                Err(reason) => vec![reason],
                Ok(view) if name.role == Role::Broker => {
                    let missing = probe::missing(&view, &BTreeSet::from([name.number]), 0);
                    missing.into_iter().chain(probe::ready(&address).await.err()).collect()
                }
                Ok(_) => return Ok(()),
            };
            if missing.is_empty() {
                return Ok(());
            }
            self.check_deadline(deadline, patience, &missing.into_iter().collect())?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// What the first node that answers knows of the cluster; brokers are asked first.
    pub async fn describe(&self) -> Result<DescribeClusterResponse, Error> {
        let mut reasons = Vec::new();
        for address in self.bootstrap().into_iter().chain(self.state.addresses(Role::Controller)) {
            match probe::describe(&address).await {
                Ok(view) => return Ok(view),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(Error::NoAnswer(reasons.join("; ")))
    }

    fn check_alive(&mut self, name: NodeName) -> Result<(), Error> {
        match self.alive(name) {
            Ok(_) => Ok(()),
            Err(Error::NotRunning { .. }) => {
                self.reap();
                let (log, tail) = (self.log_path(name), self.tail(name, TAIL_LINES)?);
                Err(Error::NodeEnded { node: name.to_string(), log, tail })
            }
            Err(error) => Err(error),
        }
    }

    fn check_deadline(&self, deadline: Instant, patience: Duration, missing: &BTreeSet<String>) -> Result<(), Error> {
        if Instant::now() < deadline {
            return Ok(());
        }
        let missing: Vec<_> = missing.iter().cloned().collect();
        let logs = self.dir.join("logs");
        Err(Error::NotReady { seconds: patience.as_secs(), missing: missing.join("; "), logs })
    }
}
