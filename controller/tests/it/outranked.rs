//! After a recovery of the controllers: what is from before it is refused, also where a newcomer passes it on, and nobody is
//! ended by what is not true of it.

use std::{fs, time::Duration};

use futures::FutureExt as _;
use uuid::Uuid;

use holdfast_controller::{
    config::Config,
    exit::Fatal,
    recover::{Recover, recover},
    run,
};
use holdfast_proto::{
    convert::peer_header,
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{ClusterId, ControllerId, IncarnationId, MetadataIndex},
    refusal::{KnownStart, Recovered, Refusal},
    status::from_status,
    v1::{self, RaftEnvelope, RequestVoteRequest, raft_service_client::RaftServiceClient},
};

use crate::{
    copies::{copied, ended, restore, told_of},
    liar::listen,
    support::{Quorum, eventually},
};

fn same(_: &mut Config) {}

/// Three controllers, stopped, and the cluster gone on with from one that lags.
struct Lagging {
    quorum: Quorum,
    /// It was gone on with. Its folder is an older one than others have heard of.
    left: usize,
    /// It took another one's place, and `left` never knew of it.
    unknown: usize,
    /// `left` knew it before.
    known: usize,
    left_id: u64,
}

fn lagging() -> Lagging {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let left = quorum.passive();
    let (unknown, known) = ((left + 1) % 3, (left + 2) % 3);
    let left_id = quorum.node(left).node().id();
    quorum.kill(left);
    let older = copied(&quorum.data_dir(left));
    quorum.start(left);
    // The others hear of more starts than will be in its older folder.
    (0..3).for_each(|_| quorum.restart(left));
    quorum.kill(unknown);
    fs::remove_dir_all(quorum.data_dir(unknown)).expect("remove");
    quorum.start(unknown);
    quorum.votes(&[0, 1, 2]);
    quorum.converge();
    (0..3).for_each(|at| quorum.kill(at));
    restore(&quorum.data_dir(left), &older);
    let data_dir = quorum.data_dir(left);
    let order = Recover { data_dir, accept_loss: true, accept_older_store: true, yes: true, ..Recover::default() };
    recover(&order).expect("it goes on alone");
    Lagging { quorum, left, unknown, known, left_id }
}

impl Lagging {
    #[track_caller]
    fn is_given_up(&self, fatal: &Fatal) {
        assert!(matches!(fatal, Fatal::GivenUp { .. }) && fatal.number() == 16, "{fatal}");
        let text = fatal.to_string();
        assert!(text.contains(&format!("recovered from controller {}", self.left_id)), "{text}");
    }

    /// It goes on alone, and those with empty folders join it.
    fn goes_on(&mut self) {
        let node = self.quorum.node(self.left).node();
        eventually("it leads", || node.is_active().then_some(()));
        assert_eq!(node.members().len(), 1, "{:?}", node.members());
        for at in [self.unknown, self.known] {
            fs::remove_dir_all(self.quorum.data_dir(at)).expect("remove");
            self.quorum.start(at);
        }
        self.quorum.votes(&[0, 1, 2]);
        assert_eq!(self.quorum.node(self.left).failed().now_or_never(), None);
    }
}

/// Asks the survivor for a vote, as one that nobody knows and whose metadata is this; the message itself cannot be read.
fn ask_for_a_vote(it: &Lagging, recovered: Option<v1::Recovered>) -> ErrorDetail {
    let header = Some(peer_header(it.quorum.cluster_id(), it.left_id, 99));
    let envelope = RaftEnvelope { header, format: 1, recovered, ..RaftEnvelope::default() };
    let mut client = RaftServiceClient::new(it.quorum.channel(it.left));
    let answer = it.quorum.block_on(client.request_vote(RequestVoteRequest { envelope: Some(envelope) }));
    from_status(&answer.expect_err("no vote")).expect("it says why")
}

#[test]
fn a_controller_that_the_survivor_never_knew_is_refused_and_ends_for_good() {
    let mut it = lagging();
    it.quorum.start(it.left);
    assert_eq!(it.quorum.active(), it.left);
    // Also one that nobody knows; one that does not say which metadata it has is an earlier program. An empty store takes what it is given.
    let asks = |recovered| ask_for_a_vote(&it, recovered);
    let never = v1::Recovered { has_metadata: true, ..v1::Recovered::default() };
    for recovered in [None, Some(never)] {
        assert_eq!(asks(recovered).code, ErrorCode::GivenUp);
    }
    assert_eq!(asks(Some(v1::Recovered::default())).code, ErrorCode::InvalidRequest, "it is heard, and says nothing");
    it.quorum.start(it.unknown);
    it.is_given_up(&ended(&it.quorum, it.unknown));
    it.quorum.kill(it.unknown);
    it.is_given_up(&run(it.quorum.config(it.unknown)).err().expect("it does not start again"));
    it.goes_on();
}

#[test]
fn a_majority_of_the_old_voters_does_not_take_the_cluster_back() {
    let mut it = lagging();
    // Something was decided under it: at its very first start it would not begin beside them.
    it.quorum.start(it.left);
    assert_eq!(it.quorum.active(), it.left);
    it.quorum.kill(it.left);
    it.quorum.start(it.unknown);
    it.quorum.start(it.known);
    let active = it.quorum.active();
    assert_ne!(active, it.left, "they go on with each other while nobody tells them");
    it.quorum.start(it.left);
    // The one that ends first leaves the other without a majority.
    let mut running = vec![it.unknown, it.known];
    while !running.is_empty() {
        let (at, fatal) = {
            let failed = running.iter().map(|at| Box::pin(async { (*at, it.quorum.node(*at).failed().await) }));
            let first = futures::future::select_all(failed.collect::<Vec<_>>());
            let waited = it.quorum.block_on(async { tokio::time::timeout(Duration::from_secs(30), first).await });
            waited.expect("one of them ends").0
        };
        it.is_given_up(&fatal);
        it.quorum.kill(at);
        running.retain(|other| *other != at);
    }
    it.goes_on();
}

/// A newcomer with an empty folder heard of the survivor's later starts, which its older folder does not have.
#[test]
fn what_a_newcomer_heard_before_the_recovery_ends_nobody() {
    let mut it = lagging();
    let newcomer = it.unknown;
    fs::remove_dir_all(it.quorum.data_dir(newcomer)).expect("remove");
    it.quorum.start(it.known);
    it.quorum.start(newcomer);
    let told = eventually("the newcomer hears of it", || told_of(&it.quorum, newcomer, it.left_id));
    it.quorum.kill(it.known);
    it.quorum.start(it.left);
    let own = told_of(&it.quorum, it.left, it.left_id).expect("it shows its own history");
    assert!(own.0 < told.0, "its folder has start {}, and the newcomer heard of start {}", own.0, told.0);
    it.quorum.votes(&[it.left, newcomer]);
    assert_eq!(it.quorum.node(it.left).failed().now_or_never(), None);
    it.quorum.kill(newcomer);
    it.quorum.kill(it.left);
    it.quorum.start(it.left);
    it.quorum.start(newcomer);
    it.quorum.votes(&[it.left, newcomer]);
}

fn a_later_start(cluster_id: ClusterId, controller_id: ControllerId) -> Refusal {
    let known = KnownStart {
        boot_counter: 1_000,
        incarnation_id: IncarnationId(Uuid::from_u128(1)),
        generation: 1_000,
        recovered: Recovered::default(),
    };
    Refusal { cluster_id: Some(cluster_id), controller_id, recovered: Recovered::default(), known: Some(known) }
}

/// What is said to a controller of this cluster, by one that may know of another.
type Lie = fn(ClusterId, ClusterId, ControllerId) -> (ErrorCode, Option<Refusal>);

#[test]
fn a_refusal_that_is_not_true_of_a_controller_does_not_end_it() {
    let mut quorum = Quorum::formed(3, same);
    quorum.converge();
    let cluster_id = quorum.cluster_id();
    let away = quorum.passive();
    quorum.kill(away);
    let rest: Vec<usize> = (0..3).filter(|at| *at != away).collect();
    let elsewhere = ClusterId(Uuid::from_u128(7));
    let refused = |code, refusal: Refusal| ErrorDetail::new(code, "you are refused").with_refusal(refusal);
    let lies: [Lie; 4] = [
        |_, _, _| (ErrorCode::StaleFolder, None),
        |_, elsewhere, to| (ErrorCode::StaleFolder, Some(a_later_start(elsewhere, to))),
        |ours, _, _| (ErrorCode::StaleFolder, Some(a_later_start(ours, ControllerId(1)))),
        // Nobody was ever given up here.
        |ours, _, to| (ErrorCode::GivenUp, Some(Refusal { known: None, ..a_later_start(ours, to) })),
    ];
    let liar = listen(&quorum, away, Box::new(|_| ErrorDetail::from(ErrorCode::StaleFolder)));
    for lie in lies {
        liar.say(Box::new(move |to| match lie(cluster_id, elsewhere, to) {
            (code, Some(refusal)) => refused(code, refusal),
            (code, None) => ErrorDetail::from(code),
        }));
        eventually("one of them hears it several times", || (liar.most_heard() > 3).then_some(()));
        for at in &rest {
            assert_eq!(quorum.node(*at).failed().now_or_never(), None);
        }
    }
    // What is true of them they believe.
    let later = Recovered { recoveries: 1, index: MetadataIndex(5), controller_id: ControllerId(1) };
    liar.say(Box::new(move |to| {
        let refusal = Refusal { known: None, recovered: later, ..a_later_start(cluster_id, to) };
        refused(ErrorCode::GivenUp, refusal)
    }));
    let fatal = eventually("one of them ends", || rest.iter().find_map(|at| quorum.node(*at).failed().now_or_never()));
    assert!(matches!(fatal, Fatal::GivenUp { .. }), "{fatal}");
}
