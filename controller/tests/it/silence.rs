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
