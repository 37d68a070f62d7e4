//! The broker's session with the active controller: registration, heartbeats up, metadata down.
//!
//! ```text
//!   find the cluster ──▶ register ──▶ session ──┬─ connection broke, or controller changed ──▶ session again
//!                           ▲                   ├─ stale epoch ──▶ replaced, or long not known? ─┬─ yes ──▶ ends
//!                                               ├─ not registered ──▶ ends                      └─ no ───▶ again
//! ```
//!
//! When heartbeats are sent, what they say and how long the lease holds, [`Heartbeats`] decides. Invariant: a start of a
//! broker registers once. A newer epoch under its id can only be another process's, for its own never changes:
//! it then ends for good rather than displace that one, so that two processes with one id never take turns.
//!
//! A session goes on from what the one before had applied, if the controller has the same hash there: after a fail-over it
//! sends what is new, not the whole state.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{Instant, Interval},
};
use tokio_stream::wrappers::ReceiverStream;

use holdfast_metadata::HistoryHash;
use holdfast_metadata_wire::stream::{self, Told};
use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{
    error::ErrorCode,
    ids::{FolderToken, MetadataIndex},
    limits::MAX_MESSAGE_BYTES,
    status::classify,
    v1::{self, controller_service_client::ControllerServiceClient},
};

use super::{
    header::header,
    heartbeats::{Content, Effect, Event, Heartbeats, Local},
    older::Older,
    registered::end_of_stale,
    registering::register,
};
use crate::{
    actors::{SessionAddress, SessionEvent, SessionReply},
    exit::Fatal,
    here::{context::Context, image_follower::Changes, lease::LeaseNumber, state::Phase},
    messages::{clock, damaged, unopened},
};

/// Heartbeats that may wait for the connection. More say nothing new.
const HEARTBEAT_QUEUE: usize = 4;

/// How long a controller may leave heartbeats unanswered before another is asked: so many of them, and at least this
/// long. Less than the lease, so that it need not run out because the active controller's node was unplugged.
const SILENT_HEARTBEATS: u32 = 4;
const SHORTEST_SILENCE: Duration = Duration::from_secs(2);

/// First pause before another attempt; doubles up to `reconnect_max_ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Why a session ended.
enum End {
    /// The controllers know no registration.
    Unregistered,
    /// The controller knows another registration under this id.
    Stale,
    /// Try again, with the next controller.
    Broken,
    /// The active controller is another, and was named.
    Moved,
}

/// A session that ends within this ended at once.
const SHORT: Duration = Duration::from_secs(1);

/// Keeps the session until the broker ends.
pub(crate) async fn run(context: Arc<Context>, actor: SessionAddress) {
    if let Err(fatal) = find_cluster(&context).await {
        return context.state.fail(fatal);
    }
    let watch = watch_lease(Arc::clone(&context), actor.clone());
    let sessions = keep(&context, &actor);
    tokio::join!(watch, sessions);
}

async fn keep(context: &Arc<Context>, actor: &SessionAddress) {
    let mut registered: Option<MetadataIndex> = None;
    // Sessions in a row that ended at once, and not by a broken connection.
    let mut short = 0;
    let mut older = Older::default();
    let mut backoff = Backoff::new(FIRST_PAUSE, Duration::from_millis(context.config.reconnect_max_ms));
    loop {
        let index = match registered {
            Some(index) => index,
            None => match register(context).await {
                Ok(index) => *registered.insert(index),
                Err(Some(fatal)) => return context.state.fail(fatal),
                Err(None) => {
                    rest(&mut backoff).await;
                    continue;
                }
            },
        };
        let started = Instant::now();
        let ended = session(context, actor, index).await;
        backoff.reset_after(started.elapsed());
        let is_answer = matches!(ended, End::Moved);
        short = if is_answer && started.elapsed() < SHORT { short + 1 } else { 0 };
        if short > context.nodes.controllers.count() {
            // Two that name each other, or of which one does not know what the other registers, lead nowhere.
            rest(&mut backoff).await;
        }
        match ended {
            End::Unregistered => {
                let why = "this registration of the broker counts no more: the controllers were recovered, or an operator \
                           unregistered it or gave up its disk";
                return end(context, actor, Fatal::StartAgain(why.to_owned())).await;
            }
            End::Stale => match end_of_stale(context, &mut older).await {
                Some(fatal) => return end(context, actor, fatal).await,
                // A controller that is behind.
                None => rest(&mut backoff).await,
            },
            End::Moved => {}
            End::Broken => rest(&mut backoff).await,
        }
    }
}

/// Ends the broker: nothing is acknowledged from here on, whatever still runs.
async fn end(context: &Context, actor: &SessionAddress, fatal: Fatal) {
    context.lease.end();
    actor.tell(SessionEvent::LeaseEnded).await;
    context.state.fail(fatal);
}

async fn rest(backoff: &mut Backoff) {
    tokio::time::sleep(jittered(backoff.next_pause())).await;
}

/// Learns which cluster the controllers form, and refuses another than before.
async fn find_cluster(context: &Context) -> Result<(), Fatal> {
    let mut backoff = Backoff::new(FIRST_PAUSE, Duration::from_millis(context.config.reconnect_max_ms));
    loop {
        match context.nodes.controllers.cluster_id().await {
            Ok(theirs) => {
                if let Some(ours) = context.identity.cluster_id().filter(|ours| *ours != theirs) {
                    return Err(Fatal::OtherCluster { ours: ours.to_string(), theirs: theirs.to_string() });
                }
                let data_dir = Arc::clone(&context.logs.data_dir);
                let stored = tokio::task::spawn_blocking(move || data_dir.set_cluster_id(theirs)).await;
                if let Ok(Err(error)) = stored {
                    return Err(Fatal::DataFolder(error.to_string()));
                }
                context.identity.learn_cluster_id(theirs);
                return Ok(());
            }
            Err(error) => tracing::warn!(%error, "no controller that belongs to a cluster answers: waiting"),
        }
        rest(&mut backoff).await;
    }
}

/// One session on one connection.
async fn session(context: &Context, actor: &SessionAddress, registered_at: MetadataIndex) -> End {
    let address = context.nodes.controllers.candidate();
    let fail = |status: &tonic::Status| {
        let (origin, detail) = classify(status);
        let named = context.nodes.controllers.failed(&address, origin, &detail);
        tracing::info!(controller = %address, error = %detail, "the session with the controller ended");
        match detail.code {
            ErrorCode::StaleBrokerEpoch => End::Stale,
            ErrorCode::BrokerIdNotRegistered => End::Unregistered,
            _ if named => End::Moved,
            _ => End::Broken,
        }
    };
    let Ok(channel) = context.nodes.controllers.channel(&address) else { return End::Broken };
    let interval = Duration::from_millis(context.config.heartbeat_interval_ms);
    let timeout = Duration::from_millis(context.config.peer_rpc_timeout_ms);
    let silence = (interval * SILENT_HEARTBEATS).max(SHORTEST_SILENCE).min(timeout);
    let (queue, outgoing) = mpsc::channel(HEARTBEAT_QUEUE);
    // What is older than the registration is not gone on from: it may name this broker as the leader of its time before.
    let resume = context.metadata.resume_point().filter(|(index, _)| *index >= registered_at);
    let from = resume.map_or(MetadataIndex(0), |(index, _)| index);
    let mut heartbeats = SessionHeartbeats {
        context,
        queue,
        is_first: true,
        resume,
        began: None,
        rule: Heartbeats::new(context.clock.now(), silence.as_millis() as u64, registered_at, from),
    };
    // The first opens the session.
    heartbeats.step(Event::Tick);
    let mut client = ControllerServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let opened = tokio::time::timeout(timeout, client.broker_session(ReceiverStream::new(outgoing))).await;
    let mut incoming = match opened {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return fail(&status),
        Err(_) => return fail(&tonic::Status::from_error("no session in time".into())),
    };
    heartbeats.step(Event::Accepted);
    let mut interval = tokio::time::interval(interval);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // What has come is heard before anybody is called silent: metadata may have taken long to apply.
            biased;
            message = incoming.message() => {
                let message = match message {
                    Ok(Some(message)) => message,
                    Ok(None) => return fail(&tonic::Status::from_error("the controller ended the session".into())),
                    Err(status) => return fail(&status),
                };
                let content = Content::of(!message.snapshot.is_empty(), !message.deltas.is_empty());
                if let Some(said) = clock::said(&message) {
                    context.time_trust.lock().heard(holdfast_log::look(), said);
                }
                heartbeats.step(Event::Heard { lease_ms: message.lease_ms.into(), content });
                if content != Content::Nothing {
                    let event = match metadata(registered_at, message) {
                        Ok(event) => event,
                        Err(error) => {
                            tracing::error!(%error, "the controller sent metadata that cannot be understood");
                            return End::Broken;
                        }
                    };
                    match heartbeats.beat_until(actor.tell(event), &mut interval).await {
                        Some(SessionReply::Applied(index)) => heartbeats.step(Event::Applied(index)),
                        Some(SessionReply::SnapshotNeeded) | None => return End::Broken,
                    };
                }
                // After the metadata that came before it.
                if let Some(number) = heartbeats.began.take() {
                    let told = actor.tell(SessionEvent::LeaseBegan(number));
                    if heartbeats.beat_until(told, &mut interval).await.is_none() {
                        return End::Broken;
                    }
                }
            }
            _ = interval.tick() => {
                if heartbeats.step(Event::Tick) == SessionVerdict::Leave {
                    return fail(&tonic::Status::from_error("the controller is silent".into()));
                }
            }
        }
    }
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionVerdict {
    Stay,
    Leave,
}

/// Carries out what [`Heartbeats`] decides, for one session.
struct SessionHeartbeats<'a> {
    context: &'a Context,
    queue: mpsc::Sender<v1::BrokerSessionRequest>,
    /// True until the first was sent: it says who calls.
    is_first: bool,
    /// What is applied, and the proof of which history it is: said in the first.
    resume: Option<(MetadataIndex, HistoryHash)>,
    /// A lease that began, and that the partitions are not told of yet.
    began: Option<LeaseNumber>,
    rule: Heartbeats,
}

impl SessionHeartbeats<'_> {
    fn step(&mut self, event: Event) -> SessionVerdict {
        let now = self.context.clock.now();
        let state = &self.context.state;
        let local = Local { is_recovered: state.is_recovered(), is_joining: *state.phase().borrow() == Phase::Joining };
        let mut effects = Vec::new();
        self.rule.step(now, local, event, &mut effects);
        for effect in effects {
            match effect {
                Effect::Send { applied, is_ready } => {
                    // A full queue: the connection takes nothing, and its silence will be noticed.
                    if self.queue.try_send(self.message(applied, is_ready)).is_ok() {
                        self.is_first = false;
                        self.rule.step(now, local, Event::Sent, &mut Vec::new());
                    }
                }
                Effect::RenewLease { sent, lease_ms } => {
                    self.began = self.context.lease.renew(now, sent, lease_ms).or(self.began);
                }
                Effect::Leave => return SessionVerdict::Leave,
            }
        }
        SessionVerdict::Stay
    }

    /// Goes on with heartbeats while something else is done. Whether the controller answers them is heard after it.
    async fn beat_until<T>(&mut self, done: impl Future<Output = T>, interval: &mut Interval) -> T {
        let mut done = pin!(done);
        loop {
            tokio::select! {
                biased;
                result = &mut done => return result,
                _ = interval.tick() => {
                    self.step(Event::TickAtWork);
                }
            }
        }
    }

    fn message(&self, applied: MetadataIndex, is_ready: bool) -> v1::BrokerSessionRequest {
        let identity = &self.context.identity;
        let look = holdfast_log::look();
        let distrust = self.context.time_trust.lock().look(look).err();
        v1::BrokerSessionRequest {
            header: if self.is_first { header(identity).ok() } else { None },
            broker_id: identity.broker_id.0,
            broker_epoch: identity.broker_epoch().0,
            applied_index: applied.0,
            ready: is_ready,
            history_hash: self
                .resume
                .filter(|_| self.is_first)
                .map(|(_, hash)| Bytes::copy_from_slice(&hash.to_bytes()))
                .unwrap_or_default(),
            next_token: self.context.token.to_say().map(FolderToken::to_bytes).unwrap_or_default(),
            wall_ms: look.wall_ms.unsigned_abs(),
            clock_distrust: distrust.map(clock::distrust_message),
            damaged: self.context.findings.kept().map(damaged::message),
            unopened: self.context.unopened.told().map(unopened::message),
        }
    }
}

fn metadata(registered_at: MetadataIndex, message: v1::BrokerSessionResponse) -> Result<SessionEvent, stream::Error> {
    let changes = |Told { index, records, history }| Changes { index, records, history };
    let snapshot = Some(message.snapshot).filter(|bytes| !bytes.is_empty());
    let snapshot = snapshot.map(|bytes| stream::read_snapshot(bytes).map(changes)).transpose()?;
    let deltas = message.deltas.into_iter().map(|bytes| stream::read_delta(bytes).map(changes));
    Ok(SessionEvent::Metadata { registered_at, snapshot, deltas: deltas.collect::<Result<_, _>>()? })
}

/// Tells the partitions when the lease runs out, for those in which nothing happens by itself.
async fn watch_lease(context: Arc<Context>, actor: SessionAddress) {
    let mut held = false;
    loop {
        let now = context.clock.now();
        let holds = context.lease.holds(now);
        if held && !holds {
            tracing::warn!("the lease ended: the controller may have fenced this broker");
            if actor.tell(SessionEvent::LeaseEnded).await.is_none() {
                return;
            }
        }
        held = holds;
        let rest = Duration::from_millis(context.config.heartbeat_interval_ms);
        let until = if holds { context.clock.until(context.lease.until()) } else { rest };
        tokio::time::sleep(until.max(Duration::from_millis(1))).await;
    }
}
