//! The decision alone, and a model of several controllers that lose disks, messages and time between any two steps.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use holdfast_proto::ids::ClusterId;

use super::{Decision, Own, PeerAnswer, PeerState, decide};

fn cluster(number: u128) -> ClusterId {
    ClusterId(Uuid::from_u128(number))
}

fn blank(node_id: u64) -> PeerState {
    PeerState { node_id, formed: false, cluster_id: None, promised_to: 0, leader: 0 }
}

fn own(address: &str, state: PeerState) -> Own {
    Own { address: address.to_owned(), state, configured: None }
}

fn answers(list: &[(&str, PeerAnswer)]) -> BTreeMap<String, PeerAnswer> {
    list.iter().map(|(address, answer)| ((*address).to_owned(), answer.clone())).collect()
}

fn is_wait(decision: &Decision, part: &str) -> bool {
    matches!(decision, Decision::Wait(why) if why.contains(part))
}

#[test]
fn only_the_least_address_with_all_answers_asks_for_promises() {
    let all = answers(&[("b", Ok(blank(2))), ("c", Ok(blank(3)))]);
    assert_eq!(decide(&own("a", blank(1)), &all, None), Decision::AskPromises);
    let from_b = answers(&[("a", Ok(blank(1))), ("c", Ok(blank(3)))]);
    assert!(is_wait(&decide(&own("b", blank(2)), &from_b, None), "waiting for a to form"));
    let one_silent = answers(&[("b", Ok(blank(2))), ("c", Err("refused".to_owned()))]);
    assert!(is_wait(&decide(&own("a", blank(1)), &one_silent, None), "c (refused)"));
    let same = answers(&[("b", Ok(blank(1))), ("c", Ok(blank(3)))]);
    assert!(is_wait(&decide(&own("a", blank(1)), &same, None), "one controller"));
    assert_eq!(decide(&own("a", blank(1)), &answers(&[]), None), Decision::AskPromises, "alone");
}

#[test]
fn a_formed_peer_stops_every_formation() {
    let formed = PeerState { formed: true, cluster_id: Some(cluster(9)), ..blank(3) };
    let seen = answers(&[("b", Ok(blank(2))), ("c", Ok(formed))]);
    assert_eq!(decide(&own("a", blank(1)), &seen, None), Decision::Join(cluster(9)));
    let configured = |number| Own { configured: Some(cluster(number)), ..own("a", blank(1)) };
    assert_eq!(decide(&configured(9), &seen, None), Decision::Join(cluster(9)));
    assert!(is_wait(&decide(&configured(8), &seen, None), "correct cluster_id or peers"), "it binds to no other");
    let bound = PeerState { cluster_id: Some(cluster(9)), ..blank(1) };
    assert!(is_wait(&decide(&own("a", bound), &seen, Some(cluster(9))), "waiting for its active controller"));
    let other = PeerState { cluster_id: Some(cluster(8)), ..blank(1) };
    assert!(is_wait(&decide(&own("a", other), &seen, Some(cluster(8))), "bound to cluster"));
}

#[test]
fn promises_of_all_are_needed_and_of_this_initiator() {
    let mine = PeerState { cluster_id: Some(cluster(5)), promised_to: 1, ..blank(1) };
    let promise = |node_id, to| PeerState { cluster_id: Some(cluster(5)), promised_to: to, ..blank(node_id) };
    let all = answers(&[("b", Ok(promise(2, 1))), ("c", Ok(promise(3, 1)))]);
    let members = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)]);
    assert_eq!(decide(&own("a", mine), &all, Some(cluster(5))), Decision::Initialize(members));
    let one_missing = answers(&[("b", Ok(promise(2, 1))), ("c", Ok(blank(3)))]);
    assert_eq!(decide(&own("a", mine), &one_missing, Some(cluster(5))), Decision::AskPromises);
    let to_another = answers(&[("b", Ok(promise(2, 1))), ("c", Ok(promise(3, 77)))]);
    assert!(is_wait(&decide(&own("a", mine), &to_another, Some(cluster(5))), "controller 77"));
}

/// One controller of the model: its folder, and what it has in memory.
#[derive(Clone)]
struct Node {
    state: PeerState,
    list: Vec<&'static str>,
}

/// Walks every order of steps of a small world at random: probes that are lost, promises that are answered late, disks
/// that go, lists that differ. First memberships must never share a folder, nor a cluster id.
#[test]
fn two_clusters_never_share_a_folder() {
    let mut formed_in = 0;
    for seed in 0..20_000_u64 {
        let mut random = Random(seed);
        let lists: [&[&str]; 2] = [&["a", "b", "c"], &["b", "c", "d"]];
        let mut next_id = 0;
        let mut fresh = || {
            next_id += 1;
            blank(next_id)
        };
        let mut nodes: BTreeMap<&str, Node> = BTreeMap::new();
        for address in ["a", "b", "c", "d"] {
            let fitting: Vec<&[&str]> = lists.iter().copied().filter(|list| list.contains(&address)).collect();
            let list = fitting[random.below(fitting.len() as u64) as usize].to_vec();
            nodes.insert(address, Node { state: fresh(), list });
        }
        let mut next_cluster = 100;
        let mut memberships: Vec<(ClusterId, BTreeSet<u64>)> = Vec::new();
        for _ in 0..40 {
            let address = ["a", "b", "c", "d"][random.below(4) as usize];
            if random.below(12) == 0 {
                let list = nodes[address].list.clone();
                nodes.insert(address, Node { state: fresh(), list });
                continue;
            }
            let me = nodes[address].clone();
            if me.state.formed {
                // Replication reaches a member that is bound to this cluster.
                let peer = me.list[random.below(3) as usize];
                let member = memberships.iter().any(|(_, ids)| ids.contains(&nodes[peer].state.node_id));
                if member && nodes[peer].state.cluster_id == me.state.cluster_id {
                    nodes.get_mut(peer).expect("a node").state.formed = true;
                }
                continue;
            }
            let ask = |nodes: &mut BTreeMap<&str, Node>, promise: Option<ClusterId>, random: &mut Random| {
                let mut seen = BTreeMap::new();
                for peer in me.list.iter().filter(|peer| **peer != address) {
                    let node = nodes.get_mut(peer).expect("a node");
                    if let Some(wanted) = promise.filter(|_| random.below(6) > 0) {
                        if node.list != me.list {
                            seen.insert((*peer).to_owned(), Err("another list".to_owned()));
                            continue;
                        }
                        if node.state.cluster_id.is_none() && !node.state.formed {
                            node.state.cluster_id = Some(wanted);
                            node.state.promised_to = me.state.node_id;
                        }
                    }
                    let lost = random.below(8) == 0;
                    seen.insert((*peer).to_owned(), if lost { Err("lost".to_owned()) } else { Ok(node.state) });
                }
                seen
            };
            let seen = ask(&mut nodes, None, &mut random);
            match decide(&own(address, me.state), &seen, None) {
                Decision::Wait(_) => {}
                Decision::Join(id) => nodes.get_mut(address).expect("a node").state.cluster_id = Some(id),
                Decision::Initialize(_) => panic!("seed {seed}: initialised without promises"),
                Decision::AskPromises => {
                    let wanted = me.state.cluster_id.unwrap_or_else(|| {
                        next_cluster += 1;
                        cluster(next_cluster)
                    });
                    let bound = me.state.cluster_id.is_some();
                    assert!(!bound || me.state.promised_to == me.state.node_id, "seed {seed}: took over a promise");
                    let mine = PeerState { cluster_id: Some(wanted), promised_to: me.state.node_id, ..me.state };
                    nodes.get_mut(address).expect("a node").state = mine;
                    let promises = ask(&mut nodes, Some(wanted), &mut random);
                    if let Decision::Initialize(members) = decide(&own(address, mine), &promises, Some(wanted)) {
                        nodes.get_mut(address).expect("a node").state.formed = true;
                        memberships.push((wanted, members.values().copied().collect()));
                    }
                }
            }
        }
        formed_in += usize::from(!memberships.is_empty());
        for (at, (id, members)) in memberships.iter().enumerate() {
            for (other_id, others) in &memberships[at + 1..] {
                assert!(members.is_disjoint(others), "seed {seed}: {id} {members:?} and {other_id} {others:?}");
                assert_ne!(id, other_id, "seed {seed}: one id, two first memberships");
            }
        }
    }
    assert!(formed_in > 1_000, "the model formed too few clusters to say anything: {formed_in}");
}

/// Splitmix64: enough for a model.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
