//! What follows from what others say, before the controllers go on from one of them. Pure.

use std::collections::BTreeSet;

use holdfast_metadata::recovery::ControllerRecovery;
use holdfast_proto::{
    ids::{ClusterId, ControllerId, MetadataIndex},
    refusal::Recovered,
    v1::{self, DescribeClusterResponse},
};

/// A controller that answers, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answered {
    /// `host:port` that was asked.
    pub(crate) address: String,
    /// What it says of the cluster.
    pub(crate) view: DescribeClusterResponse,
}

/// The controller that is to go on, by its folder.
#[derive(Clone, Debug)]
pub(crate) struct Own<'a> {
    /// The cluster that the folder is bound to.
    pub(crate) cluster_id: ClusterId,
    /// The recoveries that its metadata has.
    pub(crate) recoveries: &'a [ControllerRecovery],
    /// It votes, and could be started as it is: its store is whole, and nobody refused it.
    pub(crate) counts: bool,
    /// The voters by its log: one half, or two while their change is half done, of each of which a majority decides.
    pub(crate) halves: &'a [Half],
}

/// Voters of which a majority decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Half {
    /// The addresses of those that are not the one that is to go on.
    pub(crate) others: BTreeSet<String>,
    /// That one is among them.
    pub(crate) has_own: bool,
    /// How many they are, itself included if it is among them.
    pub(crate) voters: usize,
}

/// What the others are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Too few answer for a majority, and nobody is active: these do.
    Few(Vec<String>),
    /// Nobody is active, and these are a majority that holds the log, with the one that is to go on if it counts.
    Majority(Vec<String>),
    /// A controller of the cluster is active.
    Active {
        /// Who says so: the one itself, if it answers.
        address: String,
        /// The node id of that one.
        id: u64,
        /// The last recovery there, if it is none that the folder knows.
        beside: Option<Recovered>,
    },
}

/// What others are to a controller that was gone on with, and did not start since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// All answer, and none holds the log from before its recovery.
    Nobody,
    /// One holds that log, or does not answer; they are no majority, and nobody is active.
    Few,
    /// Nobody is active, and those at these addresses hold that log and may be a majority.
    Majority(Vec<String>),
    /// One of them is active.
    Active {
        /// Who says so: the one itself, if it answers.
        address: String,
        /// The node id of that one.
        id: u64,
    },
}

/// Looks at what is answered.
pub(crate) fn judge(own: &Own<'_>, answers: &[Answered]) -> Verdict {
    let held: Vec<&Answered> = answers.iter().filter(|answer| is_of(own.cluster_id, &answer.view)).collect();
    if let Some((answer, id)) = active(held.iter().copied()) {
        let beside = stands_beside(own.recoveries, &answer.view);
        return Verdict::Active { address: answer.address.clone(), id, beside };
    }
    let votes = |half: &Half, address: &String| half.others.contains(address);
    let voters = held.iter().filter(|answer| own.halves.iter().any(|half| votes(half, &answer.address)));
    let voters: Vec<String> = voters.map(|answer| answer.address.clone()).collect();
    let has_majority = |half: &Half| {
        let there = held.iter().filter(|answer| votes(half, &answer.address)).count();
        2 * (there + usize::from(own.counts && half.has_own)) > half.voters
    };
    let is_majority = own.halves.iter().all(has_majority);
    if !voters.is_empty() && is_majority { Verdict::Majority(voters) } else { Verdict::Few(voters) }
}

/// What the others are to a controller that was gone on with by the last of `ours` and did not start since: once it
/// serves, those that lack that recovery end, and so does their majority. `asked`: how many addresses were asked.
/// Nobody is left out for what it says of the one that starts: a copy of its folder may be active under the same id.
pub(crate) fn judge_before(
    cluster_id: ClusterId,
    ours: &[ControllerRecovery],
    asked: usize,
    answers: &[Answered],
) -> Before {
    let Some(last) = ours.last().map(key) else { return Before::Nobody };
    let knows =
        |view: &DescribeClusterResponse| view.controller_recoveries.iter().any(|theirs| wire_key(theirs) == last);
    let before = answers.iter().filter(|answer| is_of(cluster_id, &answer.view) && !knows(&answer.view));
    let before: Vec<&Answered> = before.collect();
    if let Some((answer, id)) = active(before.iter().copied()) {
        return Before::Active { address: answer.address.clone(), id };
    }
    let addresses: Vec<String> = before.iter().map(|answer| answer.address.clone()).collect();
    if before.iter().any(|answer| may_decide(&answer.view, &addresses)) {
        return Before::Majority(addresses);
    }
    let is_clear = answers.len() >= asked && !answers.iter().any(|answer| begins(&answer.view));
    if before.is_empty() && is_clear { Before::Nobody } else { Before::Few }
}

/// True if those at these addresses may be a majority of the voters by this view. It does not tell the two halves while
/// a change of the voters is half done: of four that it names two are a majority of both then, where one of three takes
/// the place of another. So half of an even number counts too; of two it never is one.
fn may_decide(view: &DescribeClusterResponse, addresses: &[String]) -> bool {
    let voters = || view.controllers.iter().filter(|controller| controller.voter);
    let all = voters().count();
    let there = voters().filter(|voter| addresses.contains(&voter.address)).count();
    2 * there > all || (all > 2 && 2 * there == all)
}

/// The controller that is active by these answers, and who says so: it knows best itself.
fn active<'a>(answers: impl Iterator<Item = &'a Answered>) -> Option<(&'a Answered, u64)> {
    let active = answers.filter_map(|answer| Some((answer, answer.view.active_controller?)));
    active.max_by_key(|(answer, id)| (is_own(&answer.view, *id, &answer.address), answer.view.index))
}

/// The last recovery in what a controller of the same cluster says, if it is none of `ours`: made beside them, or later.
pub(crate) fn stands_beside(ours: &[ControllerRecovery], view: &DescribeClusterResponse) -> Option<Recovered> {
    let last = view.controller_recoveries.last()?;
    let is_same = |ours: &ControllerRecovery| key(ours) == wire_key(last);
    let recovered = Recovered {
        recoveries: view.controller_recoveries.len() as u64,
        index: MetadataIndex(last.index),
        controller_id: ControllerId(last.controller_id),
    };
    (!ours.iter().any(is_same)).then_some(recovered)
}

fn key(recovery: &ControllerRecovery) -> (u64, u64, u64, u64) {
    (recovery.controller_id.0, recovery.index.0, recovery.term, recovery.at_ms)
}

fn wire_key(recovery: &v1::ControllerRecovery) -> (u64, u64, u64, u64) {
    (recovery.controller_id, recovery.index, recovery.term, recovery.at_ms)
}

/// True if who says this holds something of this cluster: an empty folder holds nothing.
fn is_of(cluster_id: ClusterId, view: &DescribeClusterResponse) -> bool {
    view.cluster_id == cluster_id.to_bytes()
}

/// True if who says this has a log, and does not say of which cluster: it began a moment ago, and reads it still.
fn begins(view: &DescribeClusterResponse) -> bool {
    view.cluster_id.is_empty() && !view.controllers.is_empty()
}

fn is_own(view: &DescribeClusterResponse, id: u64, address: &str) -> bool {
    view.controllers.iter().any(|controller| controller.node_id == id && controller.address == address)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::{ids::BrokerEpoch, v1::ControllerInfo};

    use super::*;

    const CLUSTER: ClusterId = ClusterId(Uuid::from_u128(7));

    fn recovery(id: u64, index: u64) -> ControllerRecovery {
        ControllerRecovery {
            controller_id: ControllerId(id),
            index: MetadataIndex(index),
            term: 3,
            committed: MetadataIndex(index),
            given_up: Vec::new(),
            without: Vec::new(),
            expected: Vec::new(),
            first_broker_epoch: BrokerEpoch(9),
            at_ms: 5,
        }
    }

    fn told(recovery: &ControllerRecovery) -> v1::ControllerRecovery {
        let ControllerRecovery { controller_id, index, term, at_ms, .. } = recovery;
        v1::ControllerRecovery {
            controller_id: controller_id.0,
            index: index.0,
            term: *term,
            at_ms: *at_ms,
            ..Default::default()
        }
    }

    /// One that holds the log.
    fn holds(address: &str) -> Answered {
        let view = DescribeClusterResponse { cluster_id: CLUSTER.to_bytes(), index: 8, ..Default::default() };
        Answered { address: address.to_owned(), view }
    }

    /// These, and the one that is to go on.
    fn half(others: &[&str]) -> Half {
        let others: BTreeSet<String> = others.iter().map(ToString::to_string).collect();
        let voters = others.len() + 1;
        Half { others, has_own: true, voters }
    }

    fn verdict(others: &[&str], counts: bool, recoveries: &[ControllerRecovery], answers: &[Answered]) -> Verdict {
        judge(&Own { cluster_id: CLUSTER, recoveries, counts, halves: &[half(others)] }, answers)
    }

    #[test]
    fn a_majority_that_holds_the_log_counts_with_the_folder_that_is_whole() {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let of = |counts, answers: &[Answered]| verdict(&["b", "c"], counts, &[], answers);
        assert_eq!(of(true, &[]), Verdict::Few(list(&[])), "it alone is one of three");
        assert_eq!(of(true, &[holds("b")]), Verdict::Majority(list(&["b"])));
        assert_eq!(of(false, &[holds("b")]), Verdict::Few(list(&["b"])), "a store that is behind");
        assert_eq!(of(false, &[holds("b"), holds("c")]), Verdict::Majority(list(&["b", "c"])));
        let empty = Answered { view: DescribeClusterResponse::default(), ..holds("b") };
        assert_eq!(of(true, &[empty]), Verdict::Few(list(&[])), "an empty folder holds nothing");
        assert_eq!(of(true, &[holds("x")]), Verdict::Few(list(&[])), "it votes nowhere");
        assert_eq!(verdict(&[], true, &[], &[]), Verdict::Few(list(&[])), "the only one: brokers may be given up");
        let mut foreign = holds("b");
        foreign.view.cluster_id = ClusterId(Uuid::from_u128(8)).to_bytes();
        foreign.view.active_controller = Some(2);
        assert_eq!(of(true, &[foreign]), Verdict::Few(list(&[])), "of another cluster");
    }

    #[test]
    fn while_the_voters_change_there_has_to_be_a_majority_of_each_half() {
        let halves = [half(&["b", "c"]), half(&["d", "e"])];
        let of = |counts, addresses: &[&str]| {
            let answers: Vec<Answered> = addresses.iter().map(|address| holds(address)).collect();
            judge(&Own { cluster_id: CLUSTER, recoveries: &[], counts, halves: &halves }, &answers)
        };
        let few = |names: &[&str]| Verdict::Few(names.iter().map(ToString::to_string).collect());
        let majority = |names: &[&str]| Verdict::Majority(names.iter().map(ToString::to_string).collect());
        assert_eq!(of(true, &["b", "c"]), few(&["b", "c"]), "three of five, and one of the half that is to come");
        assert_eq!(of(true, &["b", "d"]), majority(&["b", "d"]));
        assert_eq!(of(false, &["b", "d"]), few(&["b", "d"]), "it counts in neither half");
        assert_eq!(of(false, &["b", "c", "d", "e"]), majority(&["b", "c", "d", "e"]));
        // It leaves: it has no vote in the half that is to come.
        let leaves = [half(&["b", "c"]), Half { has_own: false, voters: 2, ..half(&["b", "c"]) }];
        let own = Own { cluster_id: CLUSTER, recoveries: &[], counts: true, halves: &leaves };
        assert_eq!(judge(&own, &[holds("b")]), few(&["b"]));
        assert_eq!(judge(&own, &[holds("b"), holds("c")]), majority(&["b", "c"]));
    }

    #[test]
    fn who_is_active_is_named_and_so_is_the_recovery_that_it_goes_on_from() {
        let mut active = holds("c");
        active.view.active_controller = Some(3);
        active.view.controllers = vec![ControllerInfo { node_id: 3, address: "c".to_owned(), ..Default::default() }];
        let beside = |ours: &[ControllerRecovery], theirs: &[ControllerRecovery]| {
            let mut active = active.clone();
            active.view.controller_recoveries = theirs.iter().map(told).collect();
            let mut hears = holds("b");
            hears.view.active_controller = Some(3);
            match verdict(&["b", "c"], true, ours, &[active, hears]) {
                Verdict::Active { address, id, beside } => {
                    assert_eq!((address.as_str(), id), ("c", 3));
                    beside.map(|recovered| (recovered.recoveries, recovered.controller_id.0))
                }
                other => panic!("{other:?}"),
            }
        };
        let (first, second, rival) = (recovery(1, 50), recovery(1, 90), recovery(3, 40));
        assert_eq!(beside(&[], &[]), None);
        assert_eq!(beside(&[], std::slice::from_ref(&rival)), Some((1, 3)));
        assert_eq!(beside(std::slice::from_ref(&first), std::slice::from_ref(&rival)), Some((1, 3)));
        assert_eq!(beside(std::slice::from_ref(&first), &[first.clone(), second.clone()]), Some((2, 1)), "a later one");
        assert_eq!(beside(&[first.clone(), second], &[first]), None, "it is from before the folder's own");
    }

    fn before(ours: &[ControllerRecovery], asked: usize, answers: &[Answered]) -> Before {
        judge_before(CLUSTER, ours, asked, answers)
    }

    #[test]
    fn who_is_active_without_the_last_recovery_is_seen_and_who_follows_it_is_not() {
        let (first, second, beside) = (recovery(1, 50), recovery(1, 90), recovery(3, 60));
        let ours = [first.clone(), second.clone()];
        let with = |active: Option<u64>, theirs: &[ControllerRecovery]| {
            let mut answer = holds("b");
            answer.view.active_controller = active;
            answer.view.controller_recoveries = theirs.iter().map(told).collect();
            answer
        };
        let seen = |answer: Answered| before(&ours, 1, &[answer]);
        let active = |id| Before::Active { address: "b".to_owned(), id };
        assert_eq!(seen(with(Some(3), &[])), active(3), "never recovered");
        assert_eq!(seen(with(Some(3), std::slice::from_ref(&first))), active(3), "not as often");
        assert_eq!(seen(with(Some(3), &[first.clone(), beside])), active(3), "from another one");
        assert_eq!(seen(with(Some(1), &[])), active(1), "a copy of the folder, under the id of the one that starts");
        assert_eq!(seen(with(None, &[])), Before::Few, "nobody is active");
        assert_eq!(seen(with(Some(3), &ours)), Before::Nobody, "it goes on from this recovery");
        let empty = Answered {
            view: DescribeClusterResponse { active_controller: Some(3), ..Default::default() },
            ..holds("b")
        };
        assert_eq!(seen(empty), Before::Nobody, "an empty folder holds nothing");
        let mut itself = with(Some(3), &[]);
        itself.address = "c".to_owned();
        itself.view.controllers = vec![ControllerInfo { node_id: 3, address: "c".to_owned(), ..Default::default() }];
        let named = Before::Active { address: "c".to_owned(), id: 3 };
        assert_eq!(before(&ours, 2, &[itself, with(Some(3), &[])]), named, "it is named itself");
        assert_eq!(before(&[], 2, &[]), Before::Nobody, "it was never gone on with");
    }

    #[test]
    fn a_majority_from_before_the_recovery_is_seen_though_it_has_no_leader_yet() {
        let ours = [recovery(1, 50)];
        let of = |voters: &[&str], address: &str| {
            let mut answer = holds(address);
            let voter =
                |address: &&str| ControllerInfo { address: (*address).to_owned(), voter: true, ..Default::default() };
            answer.view.controllers = voters.iter().map(voter).collect();
            let learner = ControllerInfo { address: "l".to_owned(), ..Default::default() };
            answer.view.controllers.push(learner);
            answer
        };
        let seen = |voters: &[&str], there: &[&str]| {
            let answers: Vec<Answered> = there.iter().map(|address| of(voters, address)).collect();
            before(&ours, 2, &answers)
        };
        let majority = |names: &[&str]| Before::Majority(names.iter().map(ToString::to_string).collect());
        assert_eq!(seen(&["a", "b", "c"], &["b", "c"]), majority(&["b", "c"]), "`a` is the one that starts");
        assert_eq!(seen(&["a", "b", "c"], &["b"]), Before::Few);
        assert_eq!(seen(&["a", "b", "c"], &["b", "l"]), Before::Few, "a learner decides nothing");
        assert_eq!(
            seen(&["a", "b", "c", "d"], &["b", "c"]),
            majority(&["b", "c"]),
            "of both halves, where d comes for a"
        );
        assert_eq!(seen(&["a", "b"], &["b"]), Before::Few, "one of two");
        assert_eq!(seen(&[], &["b"]), Before::Few, "it knows no voters");
        let mut later = of(&["b"], "c");
        later.view.controller_recoveries = vec![told(&ours[0])];
        assert_eq!(before(&ours, 2, &[later, holds("b")]), Before::Few, "who has the recovery does not count");
    }

    #[test]
    fn who_does_not_answer_may_come() {
        let ours = [recovery(1, 50)];
        let empty = Answered { view: DescribeClusterResponse::default(), ..holds("b") };
        assert_eq!(before(&ours, 2, &[]), Before::Few);
        assert_eq!(before(&ours, 2, std::slice::from_ref(&empty)), Before::Few);
        let other = Answered { address: "c".to_owned(), ..empty.clone() };
        assert_eq!(before(&ours, 2, &[empty.clone(), other.clone()]), Before::Nobody);
        let mut begins = other;
        begins.view.controllers = vec![ControllerInfo { node_id: 3, voter: true, ..Default::default() }];
        assert_eq!(before(&ours, 2, &[empty, begins]), Before::Few, "it has not read its log yet");
        assert_eq!(before(&ours, 0, &[]), Before::Nobody, "it is the only one");
    }
}
