//! What always holds. Checked after every command in tests and simulation; the rules of one partition (1 to 5, 15, 16)
//! also in [`crate::apply_command`] for every partition that it touched, in every build.
//!
//! | no. | of | rule | why |
//! |---|---|---|---|
//! | 1 | a state | the leader is in the ISR | it counts itself |
//! | 2 | a state | replicas are distinct and not empty; ISR and ELR are parts of them with no member in common | |
//! | 3 | a state | every ISR member is registered and not fenced | KIP-841 |
//! | 4 | a state | the ELR is empty while the ISR has min ISR members | KIP-966: records are acknowledged without it |
//! | 5 | a state | with a live member of the ISR, or one of the ELR that may be elected, there is a leader | liveness |
//! | 6 | a state | partitions are dense from 0; names and ids belong together; a deleted id is gone | P2 |
//! | 7 | a state | broker epochs are distinct and below the next one | KIP-903 |
//! | 8 | a step | leader and partition epochs never go back; a changed state has a greater partition epoch, a changed leader a greater leader epoch | P2 |
//! | 9 | a step | a leadership does not outlive the leader's registration: another broker epoch, another leader epoch | P2 |
//! | 10 | a step | a new leader was in the ISR, or in the ELR while no live ISR member was left; then it is the ISR alone | P1, P5: clean election (a leader that leaves, or that a move leaves out, hands over as its successor joins), or an operator said so where there was no leader |
//! | 11 | a step | a replica that joins the ELR was in the ISR | P1 |
//! | 12 | a step | a broker that registered with another disk, or not with a later boot of it, or with the token of an older state or of a copy, is in no ISR and no ELR | P1 |
//! | 13 | a step | moves begin and change by [`Command::AlterReplicas`] alone; any step may end one; a higher min ISR changes the partition epoch of every partition | |
//! | 14 | a step | counters and broker epochs never go back; deleted ids stay deleted until enough newer ones are, and only they are missing | P3 |
//! | 15 | a state | adding and removing are disjoint parts of the replicas; removing stands last, and somebody stays; what was found is removing, and of an unsettled partition alone | KIP-455 |
//! | 16 | a state | no move is under way while all replicas that are to stay are in sync and one of them leads or is active | liveness |
//! | 17 | a step | who comes to the replicas is adding; a replica that was there before its move leaves only when all that stay are in sync | P1 |
//! | 19 | a state | the high watermark is kept only while the ISR has fewer than min ISR members; who claims to end below it is not eligible; who is not trusted is in no ISR and no ELR | P1 |
//! | 18 | a step | when an in-sync or eligible replica leaves the replicas, at least min ISR stay in sync | P1 |

use std::{collections::BTreeSet, fmt};

use holdfast_proto::ids::{BrokerId, PartitionIndex, TopicId, TopicPartition};

use crate::{
    command::Command,
    decide::{Standings, candidate, is_same_folder},
    image::{Image, Topic},
    limits::MAX_DELETED_TOPICS,
    record::{BrokerRegistration, PartitionState},
    trust::ReplicaClaim,
};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number in the table of the module.
    pub number: u8,
    /// What is wrong, with the values.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: {}", self.number, self.text)
    }
}

#[derive(Default)]
struct Checker(Vec<Violation>);

impl Checker {
    fn ensure(&mut self, number: u8, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Violation { number, text: text() });
        }
    }

    fn result(self) -> Result<(), Vec<Violation>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Checks invariants 1 to 5, 15 and 16 for some partitions; those that are gone are passed over.
pub fn check_partitions(
    image: &Image,
    partitions: impl IntoIterator<Item = (TopicId, PartitionIndex)>,
) -> Result<(), Vec<Violation>> {
    let mut checker = Checker::default();
    for (topic_id, partition) in partitions {
        let Some(topic) = image.topic(topic_id) else { continue };
        let Some(state) = topic.partition(partition) else { continue };
        check_partition(&mut checker, image, TopicPartition { topic_id, partition }, topic, state);
    }
    checker.result()
}

/// Checks invariants 1 to 7, 15 and 16.
pub fn check(image: &Image) -> Result<(), Vec<Violation>> {
    let mut checker = Checker::default();
    for (tp, topic, state) in image.partitions() {
        check_partition(&mut checker, image, tp, topic, state);
    }
    let mut partition_count = 0;
    for topic in image.topics() {
        let id = topic.topic_id();
        partition_count += topic.partitions().len();
        let dense = topic.partitions().enumerate().all(|(n, (partition, _))| partition.0 as usize == n);
        checker.ensure(6, dense, || format!("the partitions of {id} have gaps"));
        let named = image.topic_by_name(topic.name()).is_some_and(|found| found.topic_id() == id);
        checker.ensure(6, named, || format!("{} does not lead to {id}", topic.name()));
        checker.ensure(6, !image.deleted_topics().contains(&id), || format!("{id} is there and deleted"));
    }
    let names = image.topics_by_name().len();
    checker.ensure(6, names == image.topic_count(), || format!("{names} names for {} topics", image.topic_count()));
    checker.ensure(6, partition_count == image.partition_count(), || {
        format!("{partition_count} partitions are counted as {}", image.partition_count())
    });
    let epochs: BTreeSet<_> = image.brokers().values().map(|broker| broker.broker_epoch).collect();
    checker.ensure(7, epochs.len() == image.brokers().len(), || format!("broker epochs {epochs:?} are given twice"));
    checker.ensure(7, epochs.last().is_none_or(|last| *last < image.next_broker_epoch()), || {
        format!("broker epochs {epochs:?} reach the next one, {}", image.next_broker_epoch())
    });
    checker.result()
}

fn check_partition(checker: &mut Checker, image: &Image, tp: TopicPartition, topic: &Topic, state: &PartitionState) {
    let live = |broker: &BrokerId| image.broker(*broker).is_some_and(|registration| !registration.fenced);
    let distinct: BTreeSet<_> = state.replicas.iter().collect();
    let members: BTreeSet<_> = state.isr.iter().chain(&state.elr).collect();
    checker.ensure(1, state.leader.is_none_or(|leader| state.isr.contains(&leader)), || format!("{tp}: {state:?}"));
    let sound = !distinct.is_empty()
        && distinct.len() == state.replicas.len()
        && members.is_subset(&distinct)
        && members.len() == state.isr.len() + state.elr.len();
    checker.ensure(2, sound, || format!("{tp}: {state:?}"));
    checker.ensure(3, state.isr.iter().all(live), || format!("{tp}: a fenced broker is in sync: {state:?}"));
    let min_isr = topic.effective_min_isr(state);
    checker
        .ensure(4, state.elr.is_empty() || state.isr.len() < min_isr, || format!("{tp}: min ISR {min_isr}, {state:?}"));
    let electable = candidate(&Standings::of(image), state, min_isr).is_some();
    checker.ensure(5, state.leader.is_some() || !electable, || format!("{tp}: somebody could lead: {state:?}"));
    let reaches = |claim: &ReplicaClaim| {
        let says = !claim.unread && !claim.not_held;
        !says || !state.elr.contains(&claim.broker_id) || state.reaches_frozen(claim)
    };
    let trusted = (state.frozen_high_watermark.is_none() || state.isr.len() < min_isr)
        && (state.frozen_high_watermark.is_some()
            || (state.frozen_leader_epoch.is_none() && state.frozen_in.is_none()))
        && state.claims.iter().all(reaches)
        && state.distrusted.iter().all(|distrust| !members.contains(&distrust.broker_id));
    checker.ensure(19, trusted, || format!("{tp}: min ISR {min_isr}, {state:?}"));
    let adding: BTreeSet<_> = state.adding.iter().collect();
    let removing: BTreeSet<_> = state.removing.iter().collect();
    let told = || format!("{tp}: {state:?}");
    let parts = adding.len() == state.adding.len()
        && adding.is_subset(&distinct)
        && adding.is_disjoint(&removing)
        && state.replicas.ends_with(&state.removing)
        && removing.len() < distinct.len();
    checker.ensure(15, parts, told);
    let target = state.target();
    let found = state.found.iter().all(|replica| state.removing.contains(replica));
    checker.ensure(15, found && (state.unsettled || state.found.is_empty()), told);
    let active = |broker: &BrokerId| image.broker(*broker).is_some_and(BrokerRegistration::is_active);
    let may_lead = |replica: &BrokerId| state.leader == Some(*replica) || active(replica);
    let done = target.iter().all(|replica| state.isr.contains(replica)) && target.iter().any(may_lead);
    checker.ensure(16, !state.is_moving() || !done, told);
}

/// Checks invariants 8 to 14, 17 and 18: what the command may make of `before`.
pub fn check_step(command: &Command, before: &Image, after: &Image) -> Result<(), Vec<Violation>> {
    let mut checker = Checker::default();
    let moves = matches!(command, Command::AlterReplicas(_));
    let recovers = matches!(command, Command::RecoverPartition(_));
    for (tp, topic, old) in before.partitions() {
        let Some(new_topic) = after.topic(tp.topic_id) else {
            checker.ensure(14, after.deleted_topics().contains(&tp.topic_id), || format!("{tp} is gone, not deleted"));
            continue;
        };
        match new_topic.partition(tp.partition) {
            Some(new) => {
                check_partition_step(&mut checker, recovers, (before, after), tp, old, new);
                check_move_step(&mut checker, moves || recovers, tp, new_topic, old, new);
                let raised = new_topic.effective_min_isr(new) > topic.effective_min_isr(old);
                checker.ensure(13, !raised || new.partition_epoch > old.partition_epoch, || {
                    format!("{tp}: min ISR grew, the partition epoch stays {}", new.partition_epoch)
                });
            }
            None => checker.ensure(14, false, || format!("{tp} is gone, its topic is not")),
        }
    }
    for (id, old) in before.brokers() {
        let Some(new) = after.broker(*id) else { continue };
        checker.ensure(14, new.broker_epoch >= old.broker_epoch, || format!("broker {id}: {old:?} becomes {new:?}"));
        let trusted = match command {
            Command::RegisterBroker(command) if command.broker_id == *id => is_same_folder(old, command),
            _ => true,
        };
        if new.broker_epoch != old.broker_epoch && !trusted && new.fenced {
            for (tp, _, state) in after.partitions_of(*id) {
                let free = !state.isr.contains(id) && !state.elr.contains(id);
                checker.ensure(12, free, || format!("{tp}: broker {id} came with another disk: {state:?}"));
            }
        }
    }
    let forgets = before.deleted_topics().len() >= MAX_DELETED_TOPICS;
    let stay = forgets || before.deleted_topics().is_subset(after.deleted_topics());
    checker.ensure(14, stay, || "a deletion is undone".into());
    checker.ensure(14, before.next_producer_id() <= after.next_producer_id(), || "producer ids go back".into());
    checker.ensure(14, before.next_broker_epoch() <= after.next_broker_epoch(), || "broker epochs go back".into());
    checker.result()
}

fn check_partition_step(
    checker: &mut Checker,
    recovers: bool,
    (before, after): (&Image, &Image),
    tp: TopicPartition,
    old: &PartitionState,
    new: &PartitionState,
) {
    let told = || format!("{tp}: {old:?} becomes {new:?}");
    let grows = new.leader_epoch >= old.leader_epoch
        && (new == old || new.partition_epoch > old.partition_epoch)
        && (new.leader == old.leader || new.leader_epoch > old.leader_epoch);
    checker.ensure(8, grows, told);
    if let Some(leader) = new.leader.filter(|_| new.leader_epoch == old.leader_epoch) {
        let epoch = |image: &Image| image.broker(leader).map(|registration| registration.broker_epoch);
        checker.ensure(9, epoch(before) == epoch(after), told);
    }
    if let Some(leader) = new.leader.filter(|_| new.leader_epoch != old.leader_epoch) {
        let live = |broker: &BrokerId| after.broker(*broker).is_some_and(|registration| !registration.fenced);
        // A leaving leader hands over in the step in which its successor joins.
        let leaves = |broker| after.broker(broker).is_some_and(|registration| registration.shutting_down);
        // So does one that a move leaves out.
        let left_out = |broker| !new.replicas.contains(&broker);
        let hands_over = old.leader.is_some_and(|broker| leaves(broker) || left_out(broker));
        let from_isr = old.isr.contains(&leader) || hands_over;
        let from_elr = old.elr.contains(&leader) && new.isr == [leader];
        let isr_lives = old.isr.iter().any(|member| live(member) && new.isr.contains(member));
        let recovered = recovers && old.leader.is_none() && new.isr == [leader];
        checker.ensure(10, recovered || (from_isr && new.isr.contains(&leader)) || (from_elr && !isr_lives), told);
    }
    let joined = new.elr.iter().filter(|member| !old.elr.contains(member));
    checker.ensure(11, old.unsettled || joined.into_iter().all(|member| old.isr.contains(member)), told);
}

fn check_move_step(
    checker: &mut Checker,
    moves: bool,
    tp: TopicPartition,
    topic: &Topic,
    old: &PartitionState,
    new: &PartitionState,
) {
    let told = || format!("{tp}: {old:?} becomes {new:?}");
    let stays = (&new.replicas, &new.adding, &new.removing) == (&old.replicas, &old.adding, &old.removing);
    let ended = !new.is_moving() && new.replicas == old.target();
    let found = old.unsettled && new.replicas.starts_with(&old.replicas);
    checker.ensure(13, moves || stays || ended || found, told);
    let whole = !new.is_moving() && new.replicas.iter().all(|replica| new.isr.contains(replica));
    let comes = |replica: &&BrokerId| !old.replicas.contains(replica);
    let leaves = |replica: &&BrokerId| !new.replicas.contains(replica);
    let fits = new.replicas.iter().filter(comes).all(|replica| new.adding.contains(replica) || found)
        && old.replicas.iter().filter(leaves).all(|replica| whole || old.adding.contains(replica));
    checker.ensure(17, fits, told);
    let drops = old.isr.iter().chain(&old.elr).filter(leaves).count();
    checker.ensure(18, drops == 0 || new.isr.len() >= topic.effective_min_isr(new), told);
}
