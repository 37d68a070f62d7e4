//! Controllers that were given up when the others were recovered, and come back: nobody hears them, and they end.

use std::{fs, time::Duration};

use holdfast_controller::{
    config::Config,
    exit::Fatal,
    recover::{Recover, recover},
    run,
};

use crate::support::{Quorum, eventually};

fn same(_: &mut Config) {}

#[track_caller]
fn is_refused(fatal: &Fatal, survivor: u64) {
    assert!(matches!(fatal, Fatal::GivenUp { .. }) && fatal.number() == 16, "{fatal}");
    let text = fatal.to_string();
    assert!(text.contains(&format!("recovered from controller {survivor}")), "{text}");
    assert!(text.contains("the whole data folder away, never a part of it"), "{text}");
}

#[test]
fn controllers_that_were_given_up_end_for_good_and_join_with_empty_folders() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let survivor = quorum.passive();
    let given_up: Vec<usize> = (0..3).filter(|at| *at != survivor).collect();
    let ids: Vec<u64> = (0..3).map(|at| quorum.node(at).node().id()).collect();
    for at in 0..3 {
        quorum.kill(at);
    }
    let args = Recover { data_dir: quorum.data_dir(survivor), accept_loss: true, yes: true, ..Recover::default() };
    recover(&args).expect("it goes on alone");
    quorum.start(survivor);
    assert_eq!(quorum.active(), survivor);
    let recovered = eventually("the recovery is known", || {
        let image = quorum.node(survivor).node().view().image();
        image.controller_recoveries().last().map(|recovery| recovery.given_up.len())
    });
    assert_eq!(recovered, 2);

    // They are a majority of what they know, and find each other: one of them may lead for a moment.
    for at in &given_up {
        quorum.start(*at);
    }
    // The one that leads ends first, and its process with it; the other one then asks for votes.
    let mut running = given_up.clone();
    while !running.is_empty() {
        let ended = {
            let failed = running.iter().map(|at| Box::pin(async { (*at, quorum.node(*at).failed().await) }));
            let first = futures::future::select_all(failed.collect::<Vec<_>>());
            quorum.block_on(async { tokio::time::timeout(Duration::from_secs(30), first).await })
        };
        let (at, fatal) = ended.expect("one of them ends").0;
        is_refused(&fatal, ids[survivor]);
        quorum.kill(at);
        running.retain(|other| *other != at);
    }
    let node = quorum.node(survivor).node();
    assert!(node.is_active() && node.members().len() == 1, "it goes on alone: {:?}", node.members());

    for at in given_up {
        match run(quorum.config(at)) {
            Ok(_) => panic!("controller {at} started"),
            Err(fatal) => is_refused(&fatal, ids[survivor]),
        }
        fs::remove_dir_all(quorum.data_dir(at)).expect("remove");
        quorum.start(at);
        assert_ne!(quorum.node(at).node().id(), ids[at]);
    }
    quorum.votes(&[0, 1, 2]);
}
