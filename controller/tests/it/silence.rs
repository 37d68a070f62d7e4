//! A controller whose network vanishes: its connections stay open, and nothing comes over them.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use holdfast_controller::config::Config;
use holdfast_proto::{
    error::ErrorCode,
    status::from_status,
    v1::{CreateTopicRequest, DescribeQuorumRequest},
};

use crate::{
    broker::{Broker, Disk},
    load::Load,
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

/// Passes on what comes, until it is told to swallow everything: connections stay open, and nothing is answered.
async fn proxy(listener: TcpListener, to: String, silent: watch::Receiver<bool>) {
    while let Ok((from, _)) = listener.accept().await {
        let (to, mut quiet) = (to.clone(), silent.clone());
        tokio::spawn(async move {
            if quiet.wait_for(|silent| !silent).await.is_err() {
                return;
            }
            let Ok(to) = TcpStream::connect(to).await else { return };
            let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
            tokio::select! {
                () = pass(from_read, to_write, quiet.clone()) => {}
                () = pass(to_read, from_write, quiet) => {}
            }
        });
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut silent: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        if silent.wait_for(|silent| !silent).await.is_err() || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[test]
fn a_hand_over_whose_caller_goes_away_ends_one_way_or_the_other() {
    let mut quorum = Quorum::new(3, same);
    let behind = 2;
    let (silence, silent) = watch::channel(false);
    let listen = quorum.listen_elsewhere(behind);
    let listener = quorum.block_on(TcpListener::bind(&quorum.addresses[behind])).expect("its address");
    quorum.runtime().spawn(proxy(listener, listen, silent));
    (0..3).for_each(|at| quorum.start(at));
    let broker = Broker::start(&quorum, Disk::new(1));
    quorum.converge();
    while quorum.active() == behind {
        quorum.restart(behind);
        quorum.converge();
    }
    let is_fenced = |quorum: &Quorum| {
        let image = quorum.node(quorum.active()).node().view().image();
        image.brokers().values().any(|one| one.broker_id.0 == broker.id && one.fenced)
    };
    eventually("the broker to serve", || (!is_fenced(&quorum)).then_some(()));
    let active = quorum.active();
    quorum.kill((0..behind).find(|at| *at != active).expect("a third one"));
    eventually("the change without the third", || quorum.block_on(change(&quorum, active, "t")).then_some(()));
    // The one that could take it lacks an entry, and does not get it for a while.
    silence.send_replace(true);
    let node = quorum.node(active).node();
    let lacks = |quorum: &Quorum| {
        let asked = quorum.block_on(quorum.admin(active).describe_quorum(DescribeQuorumRequest {})).ok()?.into_inner();
        let id = quorum.node(behind).node().id();
        asked.members.iter().any(|one| one.node_id == id && one.lag_entries > Some(0)).then_some(())
    };
    let written = quorum.runtime().spawn(change(&quorum, active, "u"));
    let is_behind = eventually("it to lack an entry, or the lease to be lost", || {
        lacks(&quorum).map(|()| true).or_else(|| (!node.is_active()).then_some(false))
    });
    let leaves = quorum.runtime().spawn({
        let node = node.clone();
        async move { node.step_down(Duration::from_millis(400)).await }
    });
    eventually("the hand-over to begin", || (!node.is_active()).then_some(()));
    leaves.abort();
    silence.send_replace(false);
    // One or the other leads then, and writes.
    quorum.active();
    written.abort();
    eventually("a change", || quorum.block_on(change(&quorum, quorum.active(), "v")).then_some(()));
    println!("it lacked an entry: {is_behind}; the same led on: {}", quorum.active() == active);
    assert!(!is_fenced(&quorum), "nobody could be heard for a while, and the broker was fenced for it");
}

/// Makes a topic through this controller; true once it is there.
fn change(quorum: &Quorum, at: usize, name: &str) -> impl Future<Output = bool> + use<> {
    let mut admin = quorum.admin(at);
    let request = CreateTopicRequest {
        name: name.to_owned(),
        partition_count: 1,
        replication_factor: 1,
        ..CreateTopicRequest::default()
    };
    let is_there = |status| from_status(&status).is_some_and(|detail| detail.code == ErrorCode::TopicAlreadyExists);
    async move { admin.create_topic(request).await.map_or_else(is_there, |_| true) }
}

#[test]
fn a_silent_controller_delays_neither_changes_nor_an_election() {
    let mut quorum = Quorum::new(5, same);
    let behind = 4;
    let (silence, silent) = watch::channel(false);
    let listen = quorum.listen_elsewhere(behind);
    let listener = quorum.block_on(TcpListener::bind(&quorum.addresses[behind])).expect("its address");
    quorum.runtime().spawn(proxy(listener, listen, silent));
    for at in 0..5 {
        quorum.start(at);
    }
    let broker = Broker::start(&quorum, Disk::new(1));
    quorum.converge();
    while quorum.active() == behind {
        quorum.kill(behind);
        quorum.active();
        quorum.start(behind);
    }
    let first = quorum.active();
    let load = Load::start(&quorum, &broker, behind);
    load.goes_on();
    let term = quorum.node(first).node().role().borrow().term;
    silence.send_replace(true);
    let (since, before) = (Instant::now(), load.done());
    eventually("changes for longer than any of its time limits", || {
        (since.elapsed() > Duration::from_secs(4) && load.done() > before + 100).then_some(())
    });
    assert_eq!(
        quorum.node(first).node().role().borrow().term,
        term,
        "a controller that hears nobody deposed the leader"
    );
    let longest = load.stop(&quorum).1;
    println!("beside a silent controller: longest pause {} ms", longest.as_millis());
    assert!(longest < Duration::from_secs(1), "{longest:?}");

    let load = Load::start(&quorum, &broker, behind);
    load.goes_on();
    let at = Instant::now();
    quorum.kill(first);
    let second = quorum.active();
    let elected = at.elapsed();
    println!("another controller was active {} ms after the kill, one being silent", elected.as_millis());
    assert_ne!(second, first);
    assert!(elected < Duration::from_secs(5), "{elected:?}");
    load.goes_on();
    load.stop(&quorum);
    // It comes back and catches up.
    silence.send_replace(false);
    quorum.start(first);
    quorum.converge();
}
