//! One partition's queue between callers, lanes and metadata.

use std::sync::mpsc;

use futures::FutureExt;

use holdfast_proto::ids::BrokerId;

use super::*;
use crate::producer::{batch_queue::Rules, memory::Memory};

fn queue() -> Arc<PartitionQueue> {
    let queue = BatchQueue::new(PartitionIndex(0), Rules::FOR_TESTS, None);
    PartitionQueue::new(Arc::from("t"), Bytes::new(), PartitionIndex(0), queue)
}

fn outcomes() -> Outcomes {
    let outcomes = Outcomes::new(Memory::new(100));
    assert!(outcomes.memory.try_reserve(100));
    outcomes
}

fn is_told(completion: &BatchCompletion) -> bool {
    completion.done().now_or_never().is_some()
}

fn append(queue: &Arc<PartitionQueue>, callback: impl FnOnce() + Send + 'static) {
    let mut callback: Option<Callback> = Some(Box::new(|_| callback()));
    queue.append(&RecordRef::default(), 10, &mut callback, false).unwrap().unwrap();
}

#[test]
fn an_end_that_is_known_but_not_told_is_waited_for() {
    let (queue, outcomes) = (queue(), outcomes());
    let (entered, in_callback) = mpsc::channel();
    let (leave, left) = mpsc::channel::<()>();
    append(&queue, move || {
        entered.send(()).unwrap();
        let _ = left.recv();
    });
    let fail = |queue: &mut BatchQueue| queue.fail_all(ErrorCode::ShuttingDown);
    std::thread::scope(|scope| {
        let teller = scope.spawn(|| queue.update(&outcomes, fail));
        in_callback.recv().unwrap();
        let told = queue.seal(&outcomes).expect("the first record's callback has not returned");
        assert!(!is_told(&told) && !queue.is_settled());
        append(&queue, || ());
        queue.update(&outcomes, fail);
        let behind = queue.seal(&outcomes).expect("the second record's end is known, and not told");
        assert!(!Arc::ptr_eq(&told, &behind));
        drop(leave);
        teller.join().unwrap();
        assert!(is_told(&told) && is_told(&behind));
    });
    assert!(queue.seal(&outcomes).is_none() && queue.is_settled());
}

#[test]
fn a_partition_never_goes_back_to_the_leader_of_an_older_epoch() {
    let (queue, outcomes) = (queue(), outcomes());
    let lane = |id| Arc::new(PartitionLane::new(BrokerId(id)));
    let (old, new) = (lane(1), lane(2));
    queue.assign(&outcomes, &old, LeaderEpoch(3));
    queue.assign(&outcomes, &new, LeaderEpoch(4));
    for epoch in [3, 4] {
        queue.assign(&outcomes, &old, LeaderEpoch(epoch));
        assert!(Arc::ptr_eq(&queue.lane().unwrap(), &new), "epoch {epoch}");
    }
    let known = |lane| queue.serve(lane, |_, epoch| epoch).flatten();
    assert_eq!((known(&old), known(&new)), (None, Some(LeaderEpoch(4))));
    queue.assign(&outcomes, &old, LeaderEpoch(5));
    assert_eq!(known(&old), Some(LeaderEpoch(5)));
}

#[test]
fn nothing_is_sent_while_there_is_no_leader_and_all_of_it_to_the_next_one() {
    let (queue, outcomes) = (queue(), outcomes());
    let lane = Arc::new(PartitionLane::new(BrokerId(1)));
    queue.assign(&outcomes, &lane, LeaderEpoch(3));
    append(&queue, || ());
    queue.lose_leader(LeaderEpoch(3));
    assert!(queue.has_leader(), "there was none before");
    queue.lose_leader(LeaderEpoch(4));
    assert!(!queue.has_leader() && queue.serve(&lane, |_, _| ()).is_none());
    let keyless = queue.append(&RecordRef::default(), 10, &mut None, true).unwrap();
    assert!(keyless.is_none(), "it would wait, though others have leaders");
    assert!(!lane.retain_ready(|queue| queue.stays_on(&lane)));
    queue.assign(&outcomes, &lane, LeaderEpoch(3));
    assert!(!queue.has_leader(), "that was before");
    // A broker may name itself in the epoch of the loss, by a hint.
    queue.assign(&outcomes, &lane, LeaderEpoch(4));
    assert!(queue.has_leader() && lane.pop_ready().is_some() && lane.pop_ready().is_none());
}
