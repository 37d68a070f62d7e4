//! Parts of a controller's folder are gone, or of another time: what it told the others is not forgotten in silence.

use std::{
    fs,
    path::{Path, PathBuf},
};

use holdfast_controller::{config::Config, exit::Fatal, run};

use crate::support::{Quorum, copy, eventually};

/// What is done to the folder of a store.
type Harm = fn(&Path);

fn same(_: &mut Config) {}

/// Why a controller does not start.
fn refused(quorum: &Quorum, at: usize) -> Fatal {
    match run(quorum.config(at)) {
        Ok(_) => panic!("controller {at} started"),
        Err(fatal) => fatal,
    }
}

#[track_caller]
fn whole_folder(fatal: &Fatal) {
    assert_eq!(fatal.number(), 13, "{fatal}");
    assert!(fatal.to_string().contains("the whole data folder away, never a part of it"), "{fatal}");
}

#[test]
fn a_store_that_vanished_in_whole_or_in_part_is_not_made_again() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let harmed = quorum.passive();
    quorum.kill(harmed);
    let kept = tempfile::tempdir().expect("a folder");
    let folder = quorum.data_dir(harmed);
    copy(&folder, kept.path());
    let store = folder.join("raft");
    let harms: [(&str, Harm); 3] = [
        ("the store", |store| fs::remove_dir_all(store).expect("remove")),
        ("its content", |store| {
            fs::remove_dir_all(store).expect("remove");
            fs::create_dir(store).expect("mkdir");
        }),
        ("CURRENT", |store| fs::remove_file(store.join("CURRENT")).expect("remove")),
    ];
    for (what, harm) in harms {
        harm(&store);
        eprintln!("without {what}");
        whole_folder(&refused(&quorum, harmed));
        // It stays so, however often it is started.
        whole_folder(&refused(&quorum, harmed));
        fs::remove_dir_all(&folder).expect("remove");
        copy(kept.path(), &folder);
    }
    // What was there before is as good as ever, and one that does what the message says joins as a new node.
    quorum.start(harmed);
    let old = quorum.node(harmed).node().id();
    quorum.kill(harmed);
    fs::remove_dir_all(&folder).expect("remove");
    quorum.start(harmed);
    assert_ne!(quorum.node(harmed).node().id(), old);
    quorum.votes(&[0, 1, 2]);
}

#[test]
fn a_store_that_is_behind_what_was_told_is_refused() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let harmed = quorum.passive();
    let folder = quorum.data_dir(harmed);
    let older = tempfile::tempdir().expect("a folder");
    quorum.kill(harmed);
    copy(&folder.join("raft"), older.path());
    quorum.start(harmed);
    // A vote and an entry that the copy lacks.
    let active = quorum.active();
    quorum.kill(active);
    quorum.active();
    quorum.start(active);
    quorum.converge();
    quorum.kill(harmed);
    let kept = tempfile::tempdir().expect("a folder");
    copy(&folder, kept.path());

    let restore = || {
        fs::remove_dir_all(&folder).expect("remove");
        copy(kept.path(), &folder);
    };
    fs::remove_dir_all(folder.join("raft")).expect("remove");
    copy(older.path(), &folder.join("raft"));
    let fatal = refused(&quorum, harmed);
    whole_folder(&fatal);
    assert!(fatal.to_string().contains("behind what this controller told others"), "{fatal}");

    restore();
    let wal = write_ahead_log(&folder.join("raft"));
    let bytes = fs::metadata(&wal).expect("its size").len();
    assert!(bytes > 200, "nothing to cut: {bytes} bytes");
    fs::File::options().write(true).open(&wal).and_then(|file| file.set_len(100)).expect("cut");
    whole_folder(&refused(&quorum, harmed));

    restore();
    fs::remove_file(&wal).expect("remove");
    whole_folder(&refused(&quorum, harmed));

    restore();
    fs::remove_file(folder.join("told")).expect("remove");
    whole_folder(&refused(&quorum, harmed));

    restore();
    quorum.start(harmed);
    quorum.votes(&[0, 1, 2]);
}

/// The newest write-ahead log of a store that holds anything.
fn write_ahead_log(store: &Path) -> PathBuf {
    let files = fs::read_dir(store).expect("list").map(|entry| entry.expect("an entry").path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.max_by_key(|path| path.metadata().map_or(0, |meta| meta.len())).expect("a write-ahead log")
}

#[test]
fn all_that_are_killed_at_once_again_and_again_are_believed() {
    let mut quorum = Quorum::formed(3, same);
    let cluster = quorum.cluster_id();
    for round in 0..6 {
        for at in 0..3 {
            quorum.kill(at);
        }
        for at in 0..3 {
            quorum.start((at + round) % 3);
        }
        assert_eq!(quorum.cluster_id(), cluster);
    }
    quorum.votes(&[0, 1, 2]);
}

#[test]
fn a_first_start_that_was_cut_short_goes_on_by_itself() {
    let identity = "version=1\nnode.id=5\ndirectory.id=00000000-0000-0000-0000-000000000009\nboot.counter=1\n";
    // In the order in which a first start makes them; a kill may come between any two.
    let steps: [fn(&Path); 5] = [
        |_| {},
        |folder| fs::write(folder.join("meta.properties.new"), "version=1\nnode").expect("write"),
        |folder| fs::create_dir(folder.join("raft")).expect("mkdir"),
        |folder| fs::write(folder.join("raft/LOCK"), "").expect("write"),
        |folder| {
            fs::write(folder.join("raft/IDENTITY"), "a").expect("write");
            fs::write(folder.join("raft/000001.dbtmp"), "MANIFEST").expect("write");
        },
    ];
    for (last, _) in steps.iter().enumerate() {
        let mut quorum = Quorum::new(1, same);
        let folder = quorum.data_dir(0);
        fs::create_dir_all(&folder).expect("mkdir");
        fs::write(folder.join("meta.properties"), identity).expect("write");
        for step in &steps[..=last] {
            step(&folder);
        }
        quorum.start(0);
        quorum.active();
        assert_eq!(quorum.node(0).node().id(), 5);
    }
    // One that waits for others has told nothing yet; it is killed and comes back as who it was.
    let mut quorum = Quorum::new(3, same);
    quorum.start(1);
    let id = quorum.node(1).node().id();
    for _ in 0..2 {
        quorum.kill(1);
        quorum.start(1);
        assert_eq!(quorum.node(1).node().id(), id);
    }
    // A store without identity is no such state: the identity is made first.
    let quorum = Quorum::new(1, same);
    fs::create_dir_all(quorum.data_dir(0).join("raft")).expect("mkdir");
    let fatal = refused(&quorum, 0);
    assert!(matches!(fatal, Fatal::DataFolder(_)) && fatal.to_string().contains("never a part"), "{fatal}");
}

#[test]
fn a_folder_of_an_earlier_version_is_taken_as_it_is() {
    let mut quorum = Quorum::formed(1, same);
    let cluster = quorum.cluster_id();
    quorum.kill(0);
    let file = quorum.data_dir(0).join("meta.properties");
    let text = fs::read_to_string(&file).expect("read");
    // What earlier versions wrote, and no more: the store's place in it is what makes it a whole folder.
    let fields = ["version", "node.id", "directory.id", "boot.counter", "cluster.id", "promised.to"];
    let old = |line: &&str| fields.iter().any(|field| line.starts_with(&format!("{field}=")));
    let text = text.lines().filter(old).collect::<Vec<_>>().join("\n") + "\n";
    fs::write(&file, text).expect("write");
    // An earlier version that ran in between did not keep the mark: it counts for nothing, and is made again.
    fs::write(quorum.data_dir(0).join("told"), "of another time").expect("write");
    quorum.start(0);
    assert_eq!(quorum.cluster_id(), cluster);
    eventually("it to be ready", || quorum.probe(0, "ready").then_some(()));
}
