use super::*;
use crate::store::mark::LOOSE;

fn mark(end: u64, vote: &[u8]) -> Mark {
    Mark { end, vote: vote.to_vec() }
}

fn harm(path: &Path, slot: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("open");
    file.write_all_at(b"x", slot * SLOT_DISTANCE_BYTES + 20).expect("write");
}

#[test]
fn a_mark_survives_a_restart_and_goes_down_only_where_it_is_set() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("told");
    let mut told = Told::open(&path, false).expect("open");
    assert_eq!(told.found(), None);
    told.set(mark(0, b"")).expect("set");
    for end in 1..700 {
        told.raise(mark(end, b"a")).expect("raise");
    }
    drop(told);
    let mut told = Told::open(&path, true).expect("open");
    assert_eq!(told.found(), Some(&mark(699, b"a")));
    told.set(mark(5, b"a")).expect("set");
    drop(told);
    assert_eq!(Told::open(&path, true).expect("open").found(), Some(&mark(5, b"a")));
    assert_eq!(Told::open(&path, false).expect("open").found(), None, "it is not known whose mark it is");
}

#[test]
fn a_torn_write_leaves_what_was_synced_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("told");
    let mut told = Told::open(&path, false).expect("open");
    told.set(mark(1, b"a")).expect("set");
    told.raise(mark(2, b"a")).expect("raise");
    assert_eq!(Told::open(&path, true).expect("open").found(), Some(&mark(2, b"a")));
    harm(&path, LOOSE);
    assert_eq!(Told::open(&path, true).expect("open").found(), Some(&mark(1, b"a")));
    told.raise(mark(3, b"b")).expect("raise");
    let synced = 1 - told.slots.set(mark(3, b"b")).slot;
    harm(&path, synced);
    assert_eq!(Told::open(&path, true).expect("open").found(), Some(&mark(1, b"a")));
    harm(&path, 1 - synced);
    assert!(matches!(Told::open(&path, true), Err(Error::Damaged(_))));
    std::fs::remove_file(&path).expect("remove");
    assert!(matches!(Told::open(&path, true), Err(Error::Damaged(_))));
}

/// Every order of what a controller does, with a kill after each step: the mark is never ahead of the store.
#[test]
fn the_mark_of_an_honest_folder_is_never_ahead() {
    let dir = tempfile::tempdir().expect("a folder");
    for plan in 0..3_u32.pow(5) {
        let path = dir.path().join(plan.to_string());
        let mut told = Told::open(&path, false).expect("open");
        told.set(mark(0, b"")).expect("set");
        let (mut end, mut vote) = (0_u64, 0_u8);
        for step in 0..5 {
            match plan / 3_u32.pow(step) % 3 {
                0 => end += 1,
                1 => vote += 1,
                _ => {
                    end = end.saturating_sub(1);
                    told.set(mark(end, &[vote])).expect("set");
                }
            }
            // Killed here: the store has it and the mark does not.
            let found = Told::open(&path, true).expect("open").found().cloned().expect("a mark");
            assert!(found.end <= end && found.vote.first().is_none_or(|told| *told <= vote), "plan {plan}");
            told.raise(mark(end, &[vote])).expect("raise");
        }
    }
}
