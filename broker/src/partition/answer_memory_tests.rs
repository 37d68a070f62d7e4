//! Who gets how much of the memory for answers, and who waits for whom.

use std::time::Duration;

use futures::FutureExt;

use super::*;

const MIB: usize = 1024 * 1024;

#[test]
fn answers_become_smaller_as_the_memory_fills_and_never_pass_it() {
    let memory = AnswerMemory::new(40 * MIB);
    let mut held = Vec::new();
    while let Some(room) = memory.try_room(None, 8 * MIB) {
        held.push(room);
    }
    assert_eq!(held[0].bytes(), 5 * MIB);
    assert_eq!(held[1].bytes(), 15 * MIB / 4);
    assert!(held.len() > 15, "{} readers that stand still leave nothing to the others", held.len());
    assert!(held.iter().map(AnswerRoom::bytes).sum::<usize>() <= 20 * MIB);
    held.clear();
    assert_eq!(memory.try_room(None, 8 * MIB).map(|room| room.bytes()), Some(5 * MIB));
}

#[tokio::test]
async fn one_reader_gets_a_quarter_however_much_it_asks_for() {
    let memory = AnswerMemory::new(64 * MIB);
    let reader = memory.stream(Closer::default());
    let mut held = Vec::new();
    while let Some(room) = memory.try_room(Some(&reader), 8 * MIB) {
        held.push(room);
    }
    let total = held.iter().map(AnswerRoom::bytes).sum::<usize>();
    assert!((9 * MIB..=10 * MIB).contains(&total), "{total}");
    assert!(memory.try_room(Some(&memory.stream(Closer::default())), MIB).is_some());
    assert!(memory.room(Some(&reader), 1).now_or_never().is_none(), "it waits for itself");
    held.pop();
    assert!(memory.room(Some(&reader), 1).now_or_never().is_some());
}

#[test]
fn room_follows_what_was_read() {
    let memory = AnswerMemory::new(2 * MIB);
    let reader = memory.stream(Closer::default());
    let mut room = memory.try_room(Some(&reader), 200 * 1024).unwrap();
    assert!(room.fit(10));
    assert_eq!(room.bytes(), 1024);
    assert!(room.fit(MIB / 2), "a first batch may be larger than its room as long as there is more");
    assert!(!room.fit(2 * MIB));
    drop(room);
    assert_eq!(memory.free.available_permits(), 1024);
    assert_eq!(reader.share().available_permits(), 256);
}

#[tokio::test]
async fn a_large_batch_waits_for_other_large_ones_alone() {
    let memory = AnswerMemory::new(2 * MIB);
    let small = memory.try_room(None, LEAST_BYTES).unwrap();
    let first = memory.exactly(50 * MIB).now_or_never().expect("room of its own").unwrap();
    assert_eq!(first.bytes(), MIB, "never more than there is");
    let mut second = Box::pin(memory.exactly(MIB));
    assert!((&mut second).now_or_never().is_none());
    assert!(memory.room(None, LEAST_BYTES).now_or_never().is_some(), "nobody waits behind it");
    drop(first);
    assert!(second.now_or_never().is_some());
    drop(small);
    let all = memory.exactly(MIB).now_or_never().unwrap().unwrap();
    assert!(memory.try_room(None, 1).is_none(), "what is free serves as well");
    drop(all);
}

#[tokio::test]
async fn who_finds_no_room_for_long_is_refused() {
    let ms = Duration::from_millis;
    let patience = Patience { stalled_after: ms(1), look_every: ms(10), wait: ms(50) };
    let memory = AnswerMemory { patience, ..AnswerMemory::new(2 * MIB) };
    let _all = memory.exactly(MIB).await.unwrap();
    assert_eq!(memory.room(None, 1).await.unwrap_err(), ErrorCode::Overloaded);
}

#[test]
fn first_batches_that_pass_a_readers_share_end_it() {
    let memory = AnswerMemory::new(64 * MIB);
    let reader = memory.stream(Closer::default());
    let mut held = Vec::new();
    while let Some(mut room) = memory.try_room(Some(&reader), 1) {
        assert!(room.fit(2 * MIB));
        held.push(room);
    }
    assert_eq!(held.len(), 5, "10 MiB, in batches of 2 MiB");
}

#[tokio::test]
async fn a_large_batch_that_waits_takes_what_becomes_free() {
    let memory = AnswerMemory::new(2 * MIB);
    let all = memory.exactly(MIB).await.unwrap();
    let large = memory.exactly(MIB).await.unwrap();
    assert!(large.large_units.is_some());
    let waiting = tokio::spawn({
        let memory = memory.clone();
        async move { memory.exactly(MIB).await }
    });
    tokio::task::yield_now().await;
    drop(all);
    let room = waiting.await.unwrap().unwrap();
    assert_eq!(room.large_units, None);
}

#[test]
fn readers_that_stop_leave_room_to_who_comes_after_them() {
    let memory = AnswerMemory::new(64 * MIB);
    let mut held = Vec::new();
    for _ in 0..5 {
        let reader = memory.stream(Closer::default());
        while let Some(room) = memory.try_room(Some(&reader), 8 * MIB) {
            held.push((Arc::clone(&reader), room));
        }
    }
    let reader = memory.stream(Closer::default());
    let room = memory.try_room(Some(&reader), 8 * MIB).expect("a quarter of the limit each would leave nothing");
    assert!(room.bytes() >= MIB / 2, "{} bytes", room.bytes());
}

#[tokio::test]
async fn a_reader_whose_answers_have_all_left_gets_a_large_one_again() {
    let memory = AnswerMemory::new(64 * MIB);
    let reader = memory.stream(Closer::default());
    let first: Vec<_> = std::iter::from_fn(|| memory.try_room(Some(&reader), 8 * MIB)).collect();
    let mut next = Box::pin(memory.room(Some(&reader), 8 * MIB));
    assert!((&mut next).now_or_never().is_none());
    drop(first);
    assert_eq!(next.now_or_never().map(|room| room.unwrap().bytes()), Some(8 * MIB));
}

#[test]
fn all_calls_of_one_connection_have_one_share() {
    let memory = AnswerMemory::new(64 * MIB);
    let connection = Closer::default();
    let one = || memory.call(connection.clone());
    let held: Vec<_> = std::iter::from_fn(|| memory.try_room(Some(&one()), 8 * MIB)).collect();
    let total = held.iter().map(AnswerRoom::bytes).sum::<usize>();
    assert!((9 * MIB..=10 * MIB).contains(&total), "{total}");
    drop(held);
    assert!(memory.try_room(Some(&one()), 8 * MIB).is_some_and(|room| room.bytes() == 8 * MIB));
}
