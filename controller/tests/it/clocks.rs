//! What the active controller says of brokers' wall clocks, and tells of them: with most clocks, and for earlier brokers.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use holdfast_controller::config::Config;
use holdfast_proto::{
    convert::peer_header,
    v1::{
        BrokerSessionRequest, BrokerSessionResponse, ClockDistrust, ClockDistrustReason, ClockVerdict,
        DescribeClusterRequest,
    },
};

use crate::{
    broker::{Disk, registration},
    support::{Quorum, eventually},
};

const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1_000;

fn same(_: &mut Config) {}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis() as u64
}

/// A broker whose heartbeats say what the test wants.
struct Speaker<'a> {
    quorum: &'a Quorum,
    beat: BrokerSessionRequest,
    heartbeats: mpsc::Sender<BrokerSessionRequest>,
    answers: Streaming<BrokerSessionResponse>,
}

impl<'a> Speaker<'a> {
    fn start(quorum: &'a Quorum, id: u32) -> Self {
        let (cluster, active) = (quorum.cluster_id(), quorum.active());
        let mut client = quorum.controller(active).max_decoding_message_size(64 << 20);
        let registered = quorum.block_on(client.register_broker(registration(cluster, Disk::new(id))));
        let registered = registered.expect("it is registered").into_inner();
        let beat = BrokerSessionRequest {
            broker_id: id,
            broker_epoch: registered.broker_epoch,
            applied_index: registered.index,
            ready: true,
            ..BrokerSessionRequest::default()
        };
        let (heartbeats, outgoing) = mpsc::channel(4);
        let header = Some(peer_header(cluster, 0, id.into()));
        let first = BrokerSessionRequest { header, ..beat.clone() };
        heartbeats.try_send(first).expect("there is place");
        let answers = quorum.block_on(client.broker_session(ReceiverStream::new(outgoing))).expect("a session");
        let mut speaker = Self { quorum, beat, heartbeats, answers: answers.into_inner() };
        speaker.answer();
        speaker
    }

    fn answer(&mut self) -> BrokerSessionResponse {
        loop {
            let message = self.quorum.block_on(self.answers.message()).expect("a message").expect("before the end");
            if message.wall_ms > 0 {
                return message;
            }
        }
    }

    /// Says in a heartbeat what time it is, and whether it believes that; what the answer says.
    fn say(&mut self, wall_ms: u64, clock_distrust: Option<ClockDistrust>) -> (ClockVerdict, i64, u64) {
        let beat = BrokerSessionRequest { wall_ms, clock_distrust, ..self.beat.clone() };
        self.quorum.block_on(self.heartbeats.send(beat)).expect("the session goes on");
        let answer = self.answer();
        (answer.clock_verdict(), answer.clock_ahead_ms, answer.wall_ms)
    }
}

#[test]
fn a_broker_is_told_how_its_clock_is_to_those_of_most() {
    let quorum = Quorum::formed(3, same);
    let mut broker = Speaker::start(&quorum, 1);
    let mut until = |wrong_ms: u64, expected: ClockVerdict| {
        eventually("the verdict", || {
            let (verdict, ahead_ms, _) = broker.say(now_ms() + wrong_ms, None);
            (verdict == expected).then_some(ahead_ms)
        })
    };
    assert!(until(0, ClockVerdict::Agrees).abs() < 60_000);
    let ahead_ms = until(YEAR_MS, ClockVerdict::Differs);
    assert!(ahead_ms.abs_diff(YEAR_MS as i64) < 60_000, "{ahead_ms}");
    until(0, ClockVerdict::Agrees);

    // Four more that tell no time: of eight clocks four are heard.
    let others: Vec<_> = (2..=5).map(|id| Speaker::start(&quorum, id)).collect();
    assert_eq!(until(0, ClockVerdict::Unheard), 0);
    drop(others);
    // One of an earlier build compares what time it is with its own.
    let (verdict, ahead_ms, wall_ms) = broker.say(0, None);
    assert_eq!((verdict, ahead_ms), (ClockVerdict::Unspecified, 0));
    assert!(wall_ms.abs_diff(now_ms()) < 60_000);
}

#[test]
fn one_node_of_each_kind_are_two_clocks_that_have_to_agree() {
    let quorum = Quorum::formed(1, same);
    let mut broker = Speaker::start(&quorum, 1);
    let (verdict, ..) = broker.say(now_ms(), None);
    assert_eq!(verdict, ClockVerdict::Agrees);
    // At once it is no more than another clock than those of most were a moment ago.
    let (verdict, ..) = broker.say(now_ms() + YEAR_MS, None);
    assert_ne!(verdict, ClockVerdict::Agrees);
    eventually("all clocks are looked at again", || {
        let (verdict, ..) = broker.say(now_ms() + YEAR_MS, None);
        (verdict == ClockVerdict::Split).then_some(())
    });
}

#[test]
fn the_state_of_the_cluster_says_which_broker_does_not_trust_its_clock_and_why() {
    let quorum = Quorum::formed(1, same);
    let mut broker = Speaker::start(&quorum, 1);
    let told = |quorum: &Quorum| {
        let described = quorum.block_on(quorum.admin(0).describe_cluster(DescribeClusterRequest {}));
        described.expect("an answer").into_inner().brokers[0].clock_distrust
    };
    let distrust = ClockDistrust { reason: ClockDistrustReason::Jumped.into(), by_ms: -7, left_ms: 9 };
    eventually("it is told once the broker is not fenced", || {
        broker.say(now_ms(), Some(distrust));
        told(&quorum).filter(|told| *told == distrust)
    });
    broker.say(now_ms(), None);
    assert_eq!(told(&quorum), None);
}
