//! Every order of what a node, a copy of its folder and two listeners do, to a small depth.

use uuid::Uuid;

use holdfast_proto::{
    ids::{ControllerId, IncarnationId, MetadataIndex},
    refusal::Recovered,
};

use super::*;

/// What is durable in a folder, and what the process on it has.
#[derive(Clone, Default)]
struct Folder {
    boots: Vec<Boot>,
    counter: u64,
    /// What was told, in order; its length is the generation.
    told: Vec<u32>,
    runs: bool,
    /// Refused once: it does not start again.
    ended: bool,
}

/// What a listener keeps: the lineage, and what it was told by whom it believed.
#[derive(Clone, Default)]
struct Listener {
    known: Option<Known>,
    told: Vec<u32>,
}

#[derive(Clone, Default)]
struct World {
    /// The node, and the copy once it is made.
    folders: [Folder; 2],
    copied: bool,
    listeners: [Listener; 2],
    /// Numbers what happens, so that no two are alike.
    last: u32,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A start; the last one ends, however far it came.
    Start(usize),
    /// A start that is killed before its history is durable: the counter grew, and nothing was said.
    CutStart(usize),
    /// It votes, or acknowledges.
    Work(usize),
    /// It speaks to a listener.
    Say(usize, usize),
    /// A listener tells the other what it knows.
    Tell(usize),
    Copy,
}

const STEPS: [Step; 13] = [
    Step::Start(0),
    Step::Start(1),
    Step::CutStart(0),
    Step::CutStart(1),
    Step::Work(0),
    Step::Work(1),
    Step::Say(0, 0),
    Step::Say(0, 1),
    Step::Say(1, 0),
    Step::Say(1, 1),
    Step::Tell(0),
    Step::Tell(1),
    Step::Copy,
];

impl World {
    /// Takes a step if it can be taken. `Err` if a folder was refused, with which.
    fn take(&mut self, step: Step) -> Option<Result<(), usize>> {
        self.last += 1;
        match step {
            Step::Start(at) | Step::CutStart(at) => {
                let folder = &mut self.folders[at];
                if folder.ended || (at == 1 && !self.copied) {
                    return None;
                }
                folder.counter += 1;
                folder.runs = matches!(step, Step::Start(_));
                if folder.runs {
                    let incarnation_id = IncarnationId(Uuid::from_u128(self.last.into()));
                    let since = folder.told.len() as u64;
                    folder.boots.push(Boot { boot_counter: folder.counter, incarnation_id, since });
                }
            }
            Step::Work(at) => {
                let folder = &mut self.folders[at];
                if !folder.runs {
                    return None;
                }
                folder.told.push(self.last);
            }
            Step::Say(at, to) => {
                let (folder, listener) = (&mut self.folders[at], &mut self.listeners[to]);
                if !folder.runs {
                    return None;
                }
                let shown =
                    Shown { boots: folder.boots.clone(), generation: folder.told.len() as u64, recovered: None };
                let Ok(known) = judge(listener.known.as_ref(), &shown) else {
                    (folder.runs, folder.ended) = (false, true);
                    return Some(Err(at));
                };
                assert!(folder.told.starts_with(&listener.told), "one that forgot is believed");
                (listener.known, listener.told) = (known, folder.told.clone());
            }
            Step::Tell(from) => {
                let Listener { known: Some(told), told: events } = self.listeners[from].clone() else { return None };
                let to = &mut self.listeners[1 - from];
                if to.known.as_ref().is_none_or(|known| told.is_newer(known)) {
                    (to.known, to.told) = (Some(told), events);
                }
            }
            Step::Copy => {
                if self.copied || !self.folders[0].runs {
                    return None;
                }
                self.copied = true;
                self.folders[1] = Folder { runs: false, ..self.folders[0].clone() };
            }
        }
        Some(Ok(()))
    }

    fn walk(&self, depth: u32, count: &mut [u64; 2]) {
        if depth == 0 {
            return;
        }
        for step in STEPS {
            let mut next = self.clone();
            match next.take(step) {
                None => continue,
                Some(Ok(())) => count[0] += 1,
                Some(Err(at)) => {
                    count[1] += 1;
                    assert!(self.copied, "{at} is refused, and there is no copy");
                }
            }
            next.walk(depth - 1, count);
        }
    }
}

#[test]
fn a_copy_that_forgot_is_refused_and_an_honest_folder_never() {
    let mut started = World::default();
    for step in [Step::Start(0), Step::Work(0), Step::Say(0, 0)] {
        assert_eq!(started.take(step), Some(Ok(())));
    }
    let mut count = [0; 2];
    started.walk(6, &mut count);
    assert!(count[0] > 100_000 && count[1] > 1_000, "{count:?}");
}

fn boot(boot_counter: u64, id: u128, since: u64) -> Boot {
    Boot { boot_counter, incarnation_id: IncarnationId(Uuid::from_u128(id)), since }
}

#[test]
fn the_reason_says_what_happened() {
    let known = Known {
        boot_counter: 8,
        incarnation_id: IncarnationId(Uuid::from_u128(8)),
        generation: 90,
        recovered: Recovered::default(),
    };
    let shown =
        |boots: &[Boot], generation| judge(Some(&known), &Shown { boots: boots.to_vec(), generation, recovered: None });
    let kept = |generation| Ok(Some(Known { generation, ..known }));
    assert_eq!(shown(&[boot(8, 8, 0)], 95), kept(95));
    assert_eq!(shown(&[boot(8, 8, 0)], 80), kept(90), "its messages overtake each other");
    assert_eq!(shown(&[], 0), kept(90), "an earlier program says nothing");
    let later = Known { boot_counter: 10, incarnation_id: IncarnationId(Uuid::from_u128(10)), generation: 91, ..known };
    assert_eq!(shown(&[boot(8, 8, 0), boot(10, 10, 90)], 91), Ok(Some(later)));
    assert_eq!(shown(&[boot(10, 10, 90)], 91), Ok(Some(later)), "its history does not go back so far");
    assert_eq!(shown(&[boot(8, 8, 0), boot(9, 9, 89)], 99), Err(Refusal::Forgot { known: 8 }));
    assert_eq!(shown(&[boot(7, 7, 0), boot(9, 9, 90)], 99), Err(Refusal::Other { known: 8 }));
    assert_eq!(shown(&[boot(7, 7, 0), boot(8, 9, 90)], 99), Err(Refusal::Other { known: 8 }));
    assert_eq!(shown(&[boot(7, 7, 0)], 99), Err(Refusal::Superseded { known: 8, shown: 7 }));
}

#[test]
fn a_recovery_begins_a_new_history() {
    let recovered = |recoveries| Recovered { recoveries, index: MetadataIndex(70), controller_id: ControllerId(4) };
    let id = IncarnationId(Uuid::from_u128(8));
    let known =
        |recoveries| Known { boot_counter: 8, incarnation_id: id, generation: 90, recovered: recovered(recoveries) };
    // An older folder: it knows nothing of the start that is known.
    let older = |recoveries: Option<u64>| Shown {
        boots: vec![boot(6, 6, 0), boot(7, 7, 5)],
        generation: 9,
        recovered: recoveries.map(recovered),
    };
    let went_on = judge(Some(&known(1)), &older(Some(2))).expect("it was recovered").expect("it speaks");
    assert_eq!((went_on.boot_counter, went_on.recovered), (7, recovered(2)));
    assert!(went_on.is_newer(&known(1)) && !known(1).is_newer(&went_on), "whatever the starts are");
    assert_eq!(judge(Some(&known(1)), &older(Some(1))), Err(Refusal::Superseded { known: 8, shown: 7 }));
    assert_eq!(judge(Some(&known(2)), &older(Some(1))), Err(Refusal::Recovered { known: recovered(2) }));
    assert_eq!(
        judge(Some(&known(2)), &older(None)),
        Err(Refusal::Superseded { known: 8, shown: 7 }),
        "its store is empty"
    );
    let empty = Shown { boots: vec![boot(8, 8, 0)], generation: 90, recovered: None };
    assert_eq!(judge(Some(&known(2)), &empty), Ok(Some(known(2))), "it takes what it is given");
}
