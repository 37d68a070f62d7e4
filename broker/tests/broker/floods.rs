//! What one connection, or a thousand, may do by malice: the broker ends what floods it, its memory stays bounded, and
//! those who behave are served all the while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::io::AsyncReadExt;

use holdfast_proto::v1;

use crate::{
    process::{BrokerProcess, Steady},
    rig::{Rig, batch, soon, until},
    wire::{self, END_HEADERS, ENHANCE_YOUR_CALM, Ended, Wire, frame, kind},
};

const ONE: &[(&str, &str)] = &[("min.insync.replicas", "1")];
const PRODUCE: &str = "/holdfast.v1.ProducerService/Produce";
const MIB: u64 = 1 << 20;

/// What a flood may cost the broker beyond what it had.
const FEW: u64 = 48 * MIB;

async fn broker() -> (Rig, BrokerProcess, Steady) {
    let rig = Rig::start().await;
    let broker = BrokerProcess::start(&rig, "").await;
    rig.controller.create_topic("t", 1, 1, ONE);
    rig.controller.create_topic("flooded", 1, 1, ONE);
    let steady = Steady::start(&broker, "t").await;
    steady.flows(100).await;
    (rig, broker, steady)
}

/// The producer flows on, and the broker has taken up little.
async fn unharmed(broker: &BrokerProcess, steady: Steady, before: u64) {
    unharmed_within(broker, steady, before, FEW).await;
}

/// As [`unharmed`], where the flood may take up so many bytes.
async fn unharmed_within(broker: &BrokerProcess, steady: Steady, before: u64, few: u64) {
    steady.flows(100).await;
    let grown = broker.peak_memory().saturating_sub(before);
    println!("grown by {} MiB", grown / MIB);
    assert!(grown < few, "the broker has grown by {} MiB", grown / MIB);
    steady.stop(broker, "t").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_opened_and_reset_end_their_connection() {
    const STREAMS: u32 = 10_000;
    let (_rig, broker, steady) = broker().await;
    let before = broker.peak_memory();
    let mut resets = 0;
    for address in [&broker.client_address, &broker.peer_address] {
        let mut wire = Wire::connect(address, &[]).await;
        let one = |number: u32| {
            let stream = 2 * number + 1;
            let headers = frame(kind::HEADERS, END_HEADERS, stream, &wire::call(PRODUCE));
            [headers, frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        };
        let flood: Vec<u8> = (0..STREAMS).flat_map(one).collect();
        // Refused in the middle, or read to its end: the connection's end says which.
        let _ = wire.send(&flood).await;
        assert_eq!(wire.ended().await, Ended(Some(ENHANCE_YOUR_CALM)));
        resets += 1;
    }
    assert_eq!(resets, 2);
    unharmed(&broker, steady, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_an_end_end_their_connection() {
    let (_rig, broker, steady) = broker().await;
    let before = broker.peak_memory();
    for address in [&broker.client_address, &broker.peer_address] {
        let mut wire = Wire::connect(address, &[]).await;
        wire.send(&frame(kind::HEADERS, 0, 1, &wire::call(PRODUCE))).await.unwrap();
        let more = frame(kind::CONTINUATION, 0, 1, &wire::filler(100).repeat(150));
        let sent = wire.send_until_closed(&more, 10_000).await;
        let ended = wire.ended().await;
        assert!(sent < 10_000, "150 MB of headers were taken: {ended:?}");
        // Frames of nothing cost as much to read.
        let mut wire = Wire::connect(address, &[]).await;
        wire.send(&frame(kind::HEADERS, 0, 1, &wire::call(PRODUCE))).await.unwrap();
        let nothing = frame(kind::CONTINUATION, 0, 1, &[]).repeat(1_000);
        let sent = wire.send_until_closed(&nothing, 100_000).await;
        let ended = wire.ended().await;
        assert!(sent < 100_000, "100,000,000 empty frames were taken: {ended:?}");
    }
    unharmed(&broker, steady, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_and_settings_whose_answers_are_not_read_end_their_connection() {
    let (_rig, broker, steady) = broker().await;
    let before = broker.peak_memory();
    let floods = [frame(kind::PING, 0, 0, &[7; 8]), frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])];
    let ports = [&broker.client_address, &broker.peer_address];
    let all = floods.iter().flat_map(|flood| ports.map(|address| (flood, address))).map(async |(flood, address)| {
        let mut wire = Wire::connect(address, &[]).await;
        // More than all buffers between the two hold: the broker stops reading, and ends what takes nothing of its
        // answers.
        let many = flood.repeat(10_000);
        let sent = wire.send_until_closed(&many, 1_000_000).await;
        assert!(sent < 1_000_000, "10,000,000,000 frames were taken");
        wire.ended().await;
    });
    soon("the floods end", futures::future::join_all(all)).await;
    unharmed(&broker, steady, before).await;
}

/// As many as `HOLDFAST_FLOOD_CONNECTIONS` says; the default suits the file handles of any machine.
fn silent_connections() -> usize {
    std::env::var("HOLDFAST_FLOOD_CONNECTIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_keep_nobody_out() {
    let (_rig, broker, steady) = broker().await;
    let before = broker.peak_memory();
    let mut silent = Vec::new();
    for _ in 0..silent_connections() {
        for address in [&broker.client_address, &broker.peer_address] {
            silent.push(wire::silent(address).await.expect("the system takes it"));
        }
    }
    for address in [&broker.client_address, &broker.peer_address] {
        until("a probe is answered meanwhile", async || BrokerProcess::is_ready(address).await).await;
    }
    steady.flows(100).await;
    let mut ends: FuturesUnordered<_> = silent
        .into_iter()
        .map(|mut socket| async move { socket.read_to_end(&mut Vec::new()).await.map(drop) })
        .collect();
    // Closed or reset, each of them.
    let all = async { while ends.next().await.is_some() {} };
    soon("the silent ones are closed", all).await;
    unharmed(&broker, steady, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_never_read_fill_no_memory() {
    const STREAMS: u64 = 2;
    const EACH: u64 = 75_000;
    let (_rig, broker, steady) = broker().await;
    let before = broker.peak_memory();
    let client = broker.client_with(|endpoint| endpoint.initial_stream_window_size(65_535)).await;
    let (sent, value) = (Arc::new(AtomicU64::new(0)), "x".repeat(1_000));
    let one = batch(&[&value]);
    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        let (counted, batch) = (Arc::clone(&sent), one.clone());
        let requests = futures::stream::iter(1..=EACH).map(move |correlation_id| {
            counted.fetch_add(1, Ordering::Relaxed);
            v1::ProduceRequest {
                correlation_id,
                topic: "flooded".to_owned(),
                batch: batch.clone(),
                ..Default::default()
            }
        });
        unread.push(soon("a stream", client.producer().produce(requests)).await.unwrap());
    }
    // It is over when nothing moves any more while the other producer goes on: the streams are not read from.
    until("the flood is over", async || {
        let seen = sent.load(Ordering::Relaxed);
        steady.flows(500).await;
        seen > 10_000 && sent.load(Ordering::Relaxed) == seen
    })
    .await;
    let taken = sent.load(Ordering::Relaxed);
    println!("{taken} requests were taken");
    assert!(taken < STREAMS * EACH, "all of {taken} requests were taken");
    // The budgets of the broker: what streams may have in work, and the recent batches.
    let grown = broker.peak_memory().saturating_sub(before);
    assert!(grown < 200 * MIB, "the broker has grown by {} MiB", grown / MIB);
    drop(unread);
    steady.stop(&broker, "t").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_absurd_sizes_are_refused_and_take_nothing() {
    let (_rig, broker, steady) = broker().await;
    let before = broker.peak_memory();
    let client = broker.client().await;
    let entry =
        |index: usize| v1::ConfigEntry { key: format!("k{index}"), value: Some("v".repeat(1_000)), is_default: false };
    let requests = [
        v1::CreateTopicRequest { name: "many".to_owned(), partition_count: u32::MAX, ..Default::default() },
        v1::CreateTopicRequest { name: "n".repeat(3 << 20), ..Default::default() },
        v1::CreateTopicRequest {
            name: "set".to_owned(),
            configs: (0..3_000).map(entry).collect(),
            ..Default::default()
        },
    ];
    let calls = (0..200).map(|number| {
        let (mut admin, mut request) = (client.admin(), tonic::Request::new(requests[number % 3].clone()));
        request.set_timeout(Duration::from_secs(50));
        async move { admin.create_topic(request).await.is_err() }
    });
    let calls = futures::stream::iter(calls).buffer_unordered(16).collect::<Vec<_>>();
    let refused = soon("all are answered", calls).await;
    assert_eq!(refused.iter().filter(|refused| **refused).count(), 200);
    // Sixteen requests of 3 MiB, as they come and as they are read.
    unharmed_within(&broker, steady, before, 160 * MIB).await;
}
