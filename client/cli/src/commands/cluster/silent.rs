//! Nodes that do not answer though the controllers count them as alive: a broker that was just killed is fenced only when
//! its session is over. Each is asked itself.

use std::{collections::BTreeSet, time::Duration};

use holdfast_client::admin::Admin;
use holdfast_proto::v1::DescribeClusterResponse;

/// How long a node may take to answer.
const LIMIT: Duration = Duration::from_millis(500);

/// The nodes that did not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silent {
    /// Ids of brokers that are not fenced.
    pub brokers: BTreeSet<u32>,
    /// Raft ids of controllers.
    pub controllers: BTreeSet<u64>,
}

impl Silent {
    /// Asks every broker that is not fenced, and every controller.
    pub(super) async fn find(admin: &Admin, view: &DescribeClusterResponse) -> Self {
        let brokers = view.brokers.iter().map(|broker| broker.client_address.clone());
        let controllers = view.controllers.iter().map(|controller| controller.address.clone());
        let addresses: Vec<_> = brokers.chain(controllers).collect();
        Self::of(view, &admin.answering(&addresses, LIMIT).await)
    }

    /// `answering` is of the brokers, then of the controllers; empty if none was asked.
    fn of(view: &DescribeClusterResponse, answering: &[bool]) -> Self {
        let (brokers, controllers) = answering.split_at(view.brokers.len().min(answering.len()));
        let brokers = view.brokers.iter().zip(brokers).filter(|(broker, answers)| !broker.fenced && !**answers);
        let controllers: Vec<_> =
            view.controllers.iter().map(|controller| controller.node_id).zip(controllers).collect();
        // The active one has just answered a broker: if it does not answer here, controllers cannot be reached from here
        // at all, as from outside of Kubernetes, and nothing is known of the others. Where none is active, any that answers
        // shows that they can be.
        let reachable = controllers
            .iter()
            .any(|(id, answers)| **answers && view.active_controller.is_none_or(|active| active == *id));
        Self {
            brokers: brokers.map(|(broker, _)| broker.broker_id).collect(),
            controllers: controllers.iter().filter(|(_, answers)| reachable && !**answers).map(|(id, _)| *id).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::{BrokerInfo, ControllerInfo};

    use super::*;

    fn view() -> DescribeClusterResponse {
        let broker = |broker_id, fenced| BrokerInfo { broker_id, fenced, ..Default::default() };
        let controller = |node_id| ControllerInfo { node_id, voter: true, ..Default::default() };
        DescribeClusterResponse {
            active_controller: Some(7),
            brokers: vec![broker(1, false), broker(2, false), broker(3, true)],
            controllers: vec![controller(7), controller(8)],
            ..Default::default()
        }
    }

    #[test]
    fn who_counts_as_alive_and_does_not_answer_is_silent() {
        let silent = Silent::of(&view(), &[true, false, false, true, false]);
        assert_eq!(silent, Silent { brokers: [2].into(), controllers: [8].into() });
        assert_eq!(Silent::of(&view(), &[true, true, false, true, true]), Silent::default());
        let inactive = DescribeClusterResponse { active_controller: None, ..view() };
        assert_eq!(Silent::of(&inactive, &[true, true, false, true, false]).controllers, [8].into());
    }

    #[test]
    fn where_nobody_is_asked_or_controllers_cannot_be_reached_nothing_is_claimed() {
        assert_eq!(Silent::of(&view(), &[]), Silent::default());
        assert_eq!(Silent::of(&view(), &[true, true, true, false, false]), Silent::default());
        let without = DescribeClusterResponse { active_controller: None, ..view() };
        assert_eq!(Silent::of(&without, &[true, true, true, false, false]), Silent::default());
    }
}
