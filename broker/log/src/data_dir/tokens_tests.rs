use super::*;
use crate::{data_dir::partitions::tests::open, disk::tests::Fault, test_support::tempdir};

#[test]
fn all_tokens_are_known_until_one_is_confirmed() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    assert_eq!(dir.tokens(), Tokens::default());
    let given: Vec<FolderToken> = (0..3).map(|_| dir.next_token().unwrap()).collect();
    assert_eq!(dir.tokens().known, given);
    drop(dir);
    let dir = open(&folder);
    assert_eq!(dir.tokens().known, given, "a restart forgets none");
    dir.confirm_token(given[1], MetadataIndex(1), true).unwrap();
    assert_eq!(dir.tokens().known, [given[1]]);
    dir.confirm_token(given[0], MetadataIndex(1), true).unwrap();
    dir.confirm_token(given[2], MetadataIndex(1), true).unwrap();
    assert_eq!(dir.tokens().known, [given[1]], "those before it prove nothing any more");
    let next = dir.next_token().unwrap();
    drop(dir);
    assert_eq!(open(&folder).tokens().known, [given[1], next]);
}

#[test]
fn how_far_the_metadata_was_committed_never_goes_back() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    assert_eq!(dir.known_metadata(), MetadataIndex(0));
    dir.note_metadata(MetadataIndex(7)).unwrap();
    dir.note_metadata(MetadataIndex(6)).unwrap();
    dir.confirm_token(dir.next_token().unwrap(), MetadataIndex(9), true).unwrap();
    dir.confirm_token(dir.next_token().unwrap(), MetadataIndex(8), true).unwrap();
    drop(dir);
    assert_eq!(open(&folder).known_metadata(), MetadataIndex(9), "a restart forgets nothing");
}

#[test]
fn at_most_sixteen_tokens_wait() {
    let folder = tempdir().unwrap();
    let dir = open(&folder);
    let given: Vec<FolderToken> = (0..20).map(|_| dir.next_token().unwrap()).collect();
    assert_eq!(dir.tokens().known, given[..16]);
    assert_eq!(given[19], given[15], "the newest is given again");
    dir.confirm_token(given[15], MetadataIndex(1), true).unwrap();
    assert!(!given.contains(&dir.next_token().unwrap()));
}

#[test]
fn a_crash_at_any_step_forgets_no_token_that_was_told() {
    for failed_at in 0.. {
        let folder = tempdir().unwrap();
        let dir = open(&folder);
        let first = dir.next_token().unwrap();
        dir.disk.inject(Fault::After(failed_at));
        let second = dir.next_token();
        let confirmed = second.clone().and_then(|second| dir.confirm_token(second, MetadataIndex(1), true));
        drop(dir);
        let known = open(&folder).tokens().known;
        match (second, confirmed) {
            (Ok(second), Ok(())) => assert_eq!(known, [second]),
            (Ok(second), Err(_)) => assert!(known == [first, second] || known == [second], "step {failed_at}"),
            (Err(_), _) => assert_eq!(known[0], first, "step {failed_at}"),
        }
        if known.len() == 1 && known[0] != first && failed_at > 8 {
            return;
        }
    }
}
