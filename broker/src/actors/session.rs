//! The actor of the broker's session with the active controller: it owns what the broker knows of the cluster.
//!
//! Place: the connection (`outward/session`) tells it what came; it applies metadata, publishes the image, and lets
//! [`Roster`] decide which replicas to open, tell, close and delete, which `replicas` then does. Invariant: an image is
//! published before partitions are told of it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use actix::{Actor, AsyncContext, Context as ActorContext, Handler};

use holdfast_log::{PartitionLog, Recovered};
use holdfast_metadata::{Image, trust::DistrustReason};
use holdfast_proto::ids::{LeaderEpoch, MetadataIndex, TopicPartition};

use super::{
    events::{SessionAddress, SessionEvent, SessionReply},
    threads::Actors,
    under_way::UnderWay,
};
use crate::{
    exit::Fatal,
    here::{
        context::Context,
        image_follower::{Changes, ImageFollower, NotApplied},
        lease::LeaseNumber,
        state::Phase,
        went_back::WentBack,
    },
    partition::{
        OpenReplica,
        findings::Finding,
        message::Message,
        roster::{Event, Roster},
    },
};

/// How long controllers may tell nothing but what is older than this broker knows, ms: one that has been replaced, and does
/// not know it yet, does so for a moment.
const WENT_BACK_MS: u64 = 15_000;

/// Owns what the broker knows of the cluster. See the module.
pub(super) struct SessionActor {
    pub(super) context: Arc<Context>,
    pub(super) actors: Arc<Actors>,
    metadata: ImageFollower,
    pub(super) roster: Roster,
    /// Logs that were opened at start and are not assigned yet.
    pub(super) recovered: HashMap<TopicPartition, (PartitionLog, Recovered)>,
    /// True once every log is being closed.
    pub(super) is_closing: bool,
    /// The newest lease, for replicas that are opened later.
    pub(super) lease_number: Option<LeaseNumber>,
    /// The replicas that run.
    pub(super) replicas: HashMap<TopicPartition, OpenReplica>,
    /// Since when all that came is older than what is known.
    went_back: WentBack,
    /// Replicas whose logs may lack what they counted as held, until they are in sync, and why.
    pub(super) doubted: HashMap<TopicPartition, String>,
    /// Replicas that are being opened again, of which this start said that they are whole.
    pub(super) reopening: HashSet<TopicPartition>,
    /// What a stop waits for.
    pub(super) under_way: Arc<UnderWay>,
    /// Whether the broker ends so that another start looks at a replica.
    another_start: AnotherStart,
    /// Replicas of which this start said that it could not look at them, until they are in sync.
    pub(super) unread: HashSet<TopicPartition>,
    /// What is wrong with replicas that are about to be closed for it.
    pub(super) found: HashMap<TopicPartition, Finding>,
}

/// Whether the broker ends so that another start looks at a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnotherStart {
    No,
    /// It does once enough time has passed since the last one, if that is still wanted then.
    Later,
    /// It is counted, and the broker ends.
    Begun,
}

impl SessionActor {
    fn new(context: Arc<Context>, actors: Arc<Actors>) -> Self {
        let roster = Roster::new(context.identity.broker_id);
        // Some attempts to open a session, which may be refused for other reasons.
        let went_back = WentBack::new(WENT_BACK_MS / 3 + 2 * context.config.reconnect_max_ms);
        Self {
            context,
            actors,
            metadata: ImageFollower::default(),
            roster,
            recovered: HashMap::new(),
            is_closing: false,
            lease_number: None,
            replicas: HashMap::new(),
            went_back,
            doubted: HashMap::new(),
            reopening: HashSet::new(),
            under_way: Arc::default(),
            another_start: AnotherStart::No,
            unread: HashSet::new(),
            found: HashMap::new(),
        }
    }

    fn metadata(
        &mut self,
        registered_at: MetadataIndex,
        snapshot: Option<Changes>,
        deltas: Vec<Changes>,
        actor: &mut ActorContext<Self>,
    ) -> SessionReply {
        let applied = self.metadata.apply(registered_at, snapshot, deltas);
        self.context.metadata.note_resume_point(self.metadata.resume_point(registered_at));
        match applied {
            Ok(changed) => {
                self.went_back.follows();
                if let Some(example) = self.outdated() {
                    self.context.state.fail(Fatal::MetadataWentBack(example));
                    return SessionReply::SnapshotNeeded;
                }
                if self.metadata.image().is_from_before_recovery(self.context.identity.broker_epoch()) {
                    let why = "the controllers were recovered from one of them since this broker registered";
                    self.context.state.fail(Fatal::StartAgain(why.to_owned()));
                    return SessionReply::SnapshotNeeded;
                }
                self.context.metadata.publish(self.metadata.image().clone());
                self.step(&Event::Metadata(&changed), actor);
                self.look_at_unread(actor);
                self.note_phase();
                SessionReply::Applied(self.metadata.image().index())
            }
            Err(error) => {
                self.look_at_age(&error);
                tracing::warn!(%error, "metadata does not follow what was applied: asking for a snapshot");
                SessionReply::SnapshotNeeded
            }
        }
    }

    /// The first log here that has seen a later leader epoch than the metadata has for its partition: an epoch comes from
    /// committed metadata alone, so what was committed then is lost.
    fn outdated(&self) -> Option<String> {
        let mut epochs =
            self.recovered.iter().map(|(partition, (_, recovered))| (*partition, recovered.epochs.latest()));
        epochs.find_map(|(partition, epoch)| self.outdated_by(partition, epoch))
    }

    /// Why the metadata is older than this log, if it is: its latest leader epoch is one that the metadata does not have.
    pub(super) fn outdated_by(&self, partition: TopicPartition, latest: Option<LeaderEpoch>) -> Option<String> {
        let known = self.metadata.image().partition(partition)?.leader_epoch;
        let epoch = latest.filter(|epoch| known < *epoch)?;
        Some(format!("the log of {partition} has records of leader epoch {epoch}, which they do not know"))
    }

    /// Opens a log again that takes nothing any more. No leadership is led twice, for others may have copied in it what was
    /// never written here: where this broker leads only another start gives it another one.
    fn reopen_or_end(&mut self, partition: TopicPartition, finding: &Finding, actor: &mut ActorContext<Self>) {
        if self.image().partition(partition).and_then(|state| state.leader) == Some(self.context.identity.broker_id) {
            let detail = &finding.detail;
            let why = format!("it leads {partition}, nobody else could, and the log takes nothing any more ({detail})");
            return self.start_again(why);
        }
        self.step(&Event::Reopen(partition), actor);
    }

    /// Ends the broker if a replica that this start could not look at is open by now, and its partition waits for it: only a
    /// start says what it holds. Where another leads it copies what it lacks, and is in sync again by that. One that can be read
    /// now and then does not end it each time at once: what it waits is no more than others would.
    pub(super) fn look_at_unread(&mut self, actor: &mut ActorContext<Self>) {
        if self.unread.is_empty() || self.another_start != AnotherStart::No {
            return;
        }
        let (image, own) = (self.metadata.image(), self.context.identity.broker_id);
        let claim = |partition: &TopicPartition| image.partition(*partition)?.claim(own).copied();
        self.unread.retain(|partition| image.partition(*partition).is_none_or(|state| !state.isr.contains(&own)));
        let waited_for = self
            .unread
            .iter()
            .find(|partition| {
                self.replicas.contains_key(*partition)
                    && claim(partition).is_some_and(|claim| claim.unread)
                    && image.partition(**partition).is_some_and(|state| state.leader.is_none())
            })
            .copied();
        if let Some(partition) = waited_for {
            let wait = self.context.clock.until(self.context.may_end_at);
            if wait.is_zero() {
                let why = format!(
                    "its replica of {partition}, which it could not read when it started, can be read, and nobody leads"
                );
                return self.start_again(why);
            }
            let wait_ms = wait.as_millis() as u64;
            tracing::warn!(
                %partition,
                wait_ms,
                "a replica that could not be read can be, and nobody leads: only another start of the broker says what it \
                 holds. That comes later, for there were others lately, and each takes all replicas along"
            );
            self.another_start = AnotherStart::Later;
            actor.run_later(wait, |this, actor| {
                if this.another_start == AnotherStart::Later {
                    this.another_start = AnotherStart::No;
                    this.look_at_unread(actor);
                }
            });
        }
    }

    /// Ends the broker, so that another start says what a replica holds, and counts that; once, for however many replicas.
    pub(super) fn start_again(&mut self, why: String) {
        if self.another_start == AnotherStart::Begun {
            return;
        }
        self.another_start = AnotherStart::Begun;
        let context = Arc::clone(&self.context);
        self.context.logs.runtime.spawn_blocking(move || {
            if let Err(error) = context.logs.data_dir.note_start_again() {
                tracing::warn!(%error, "that the broker ends for one replica is not counted");
            }
            context.state.fail(Fatal::StartAgain(why));
        });
    }

    /// Ends the broker if all that controllers have to say is older than what it knows, for long.
    fn look_at_age(&mut self, not_applied: &NotApplied) {
        if !matches!(not_applied, NotApplied::WentBack { .. }) {
            return;
        }
        if self.went_back.again(self.context.clock.now()) >= WENT_BACK_MS {
            self.context.state.fail(Fatal::MetadataWentBack(not_applied.to_string()));
        }
    }

    /// The metadata as it was applied.
    pub(super) fn image(&self) -> &Image {
        self.metadata.image()
    }

    /// Whether this broker serves is what the controller committed, nothing less.
    fn note_phase(&self) {
        let identity = &self.context.identity;
        let own = self.image().broker(identity.broker_id);
        let own = own.filter(|own| own.broker_epoch == identity.broker_epoch());
        let serving = own.is_some_and(|own| !own.fenced);
        self.context.state.set_phase(if serving { Phase::Serving } else { Phase::Joining });
    }
}

impl Actors {
    /// Starts the actor of the session.
    pub fn start_session(self: &Arc<Self>, context: &Arc<Context>) -> SessionAddress {
        let (context, actors) = (Arc::clone(context), Arc::clone(self));
        let thread = self.session_thread();
        SessionAddress(SessionActor::start_in_arbiter(thread, move |_| SessionActor::new(context, actors)).recipient())
    }
}

impl Actor for SessionActor {
    type Context = ActorContext<Self>;
}

impl Handler<SessionEvent> for SessionActor {
    type Result = actix::MessageResult<SessionEvent>;

    fn handle(&mut self, event: SessionEvent, actor: &mut ActorContext<Self>) -> Self::Result {
        match event {
            SessionEvent::Metadata { registered_at, snapshot, deltas } => {
                return actix::MessageResult(self.metadata(registered_at, snapshot, deltas, actor));
            }
            SessionEvent::Recovered(logs) => self.recovered(logs),
            SessionEvent::LeaseBegan(number) => self.lease_began(number, actor),
            SessionEvent::LeaseEnded => self.tell_all(|| Message::LeaseEnded, actor),
            SessionEvent::CloseAll(closed) => self.close_all(closed, actor),
            SessionEvent::Opened(partition, opened) => self.opened(partition, opened, actor),
            SessionEvent::NotOpened(partition) => self.step(&Event::NotOpened(partition), actor),
            SessionEvent::LeaderAnswered(partition, by) => self.step(&Event::LeaderAnswered(partition, by), actor),
            SessionEvent::Deleted(partition) => self.step(&Event::Deleted(partition), actor),
            SessionEvent::Distrust(partition, finding) => {
                // A reader may be late: what it read is closed, and the replica perhaps made again.
                if self.replicas.get(&partition).is_some_and(|replica| finding.is_about(&replica.reader)) {
                    self.found.insert(partition, finding);
                    self.step(&Event::Distrusted(partition), actor);
                    // What nobody took is no reason for a later one.
                    self.found.remove(&partition);
                } else if self.is_closing && finding.reason == DistrustReason::Halted {
                    self.note_halted(partition, &finding);
                }
            }
            SessionEvent::Reopen(partition, finding) => {
                if self.replicas.get(&partition).is_some_and(|replica| finding.is_about(&replica.reader)) {
                    self.reopen_or_end(partition, &finding, actor);
                }
            }
            SessionEvent::Closed(partition) => self.step(&Event::Closed(partition), actor),
        }
        actix::MessageResult(SessionReply::Applied(self.image().index()))
    }
}
