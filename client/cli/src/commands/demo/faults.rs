//! When the demo's faults are due, and what they do.
//!
//! Faults are spread by progress, not by time: with n of them, the first is due when a share of 1/(n+1) of the input is
//! sent. The load goes on meanwhile, but waits at the next share until the last fault has healed: two broken nodes at
//! once would stop writes by design.

use std::time::Duration;

use tokio::sync::mpsc;

use holdfast_local::{
    self, ProcessCluster,
    faults::{FaultReport, Target},
};

/// How long a take-over or a recovery may take before the demo gives up.
const PATIENCE: Duration = Duration::from_mins(2);

/// The demo's faults, in order, with the share of the input at which each is due.
pub fn schedule(leader_kills: u32, controller_kills: u32, partition_count: u32) -> Vec<(f64, Target)> {
    let mut leaders = (0..leader_kills).map(|at| Target::Leader(at % partition_count.max(1)));
    let mut controllers = (0..controller_kills).map(|_| Target::ActiveController);
    let total = leader_kills + controller_kills;
    // Controllers stand between the leaders: after as many of them as keeps both evenly spread.
    let mut targets = Vec::new();
    let mut controllers_so_far = 0;
    for at in 1..=total {
        let controllers_due = (u64::from(at) * u64::from(controller_kills) + u64::from(total) / 2) / u64::from(total);
        if controllers_due > controllers_so_far {
            controllers_so_far += 1;
            targets.extend(controllers.next());
        } else {
            targets.extend(leaders.next());
        }
    }
    targets.extend(leaders.chain(controllers));
    let share = |at: usize| (at + 1) as f64 / f64::from(total + 1);
    targets.into_iter().enumerate().map(|(at, target)| (share(at), target)).collect()
}

/// Does what is due, one after another, until the sender is dropped. `told` hears of each fault as it has healed.
pub async fn run(
    cluster: &mut ProcessCluster,
    topic: &str,
    mut due: mpsc::Receiver<(Target, mpsc::Sender<()>)>,
    mut told: impl FnMut(&FaultReport),
) -> Result<Vec<FaultReport>, holdfast_local::Error> {
    let mut reports = Vec::new();
    while let Some((target, healed)) = due.recv().await {
        let report = cluster.fault(topic, target, PATIENCE).await?;
        told(&report);
        reports.push(report);
        drop(healed);
    }
    Ok(reports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_spread_evenly_with_the_controller_among_them() {
        let schedule = schedule(3, 1, 6);
        let shares: Vec<_> = schedule.iter().map(|(share, _)| *share).collect();
        assert_eq!(shares, [0.2, 0.4, 0.6, 0.8]);
        let targets: Vec<_> = schedule.into_iter().map(|(_, target)| target).collect();
        let expected = [Target::Leader(0), Target::ActiveController, Target::Leader(1), Target::Leader(2)];
        assert_eq!(targets, expected);
    }

    #[test]
    fn any_numbers_give_as_many_faults() {
        for (leaders, controllers) in [(0, 0), (1, 0), (0, 2), (7, 3), (1, 9)] {
            let targets: Vec<_> = schedule(leaders, controllers, 2).into_iter().map(|(_, target)| target).collect();
            let count = targets.iter().filter(|target| **target == Target::ActiveController).count();
            assert_eq!((targets.len() as u32, count as u32), (leaders + controllers, controllers));
        }
    }
}
