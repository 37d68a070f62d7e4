//! Opens logs on blocking threads, again and again until each is open, or known to be damaged or gone.
//!
//! What keeps a log closed says nothing of its records, unless the disk does not read it: once may be chance, again and again
//! ([`Failing`]) it counts as damage does while the broker runs, if another leads. While nobody else leads what is left stays
//! as it is, and is tried on; once an operator lets the partition go on with it, it is cut before what the disk does not read.
//! A log whose topic is deleted is not tried any more.

use std::{sync::Arc, time::Duration};

use actix::{AsyncContext, Context as ActorContext};

use holdfast_log::{Cause, Distrust, LogConfig, PartitionLog, Recovered, Unreadable};
use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::ids::{Offset, TopicPartition};

use super::{events::SessionEvent, opened::Opened, replicas::close, session::SessionActor};
use crate::{
    exit::Fatal,
    here::context::Context,
    outward::wait_for_leader,
    partition::{
        OpenReplica, consequence,
        failing::Failing,
        roster::{self, Leadership},
    },
};

/// First and longest pause before a log is tried again that could not be opened.
const OPEN_AGAIN: Duration = Duration::from_secs(1);
const OPEN_AGAIN_MAX: Duration = Duration::from_secs(30);

/// What follows where a log could not be opened.
enum Next {
    /// It is tried again.
    Again,
    /// It is not vouched for any more, and copied again.
    GiveUp,
    /// An operator lets the partition go on with it: what can be read of it is opened.
    Salvage,
    /// It is deleted, whatever it holds.
    Delete,
}

/// Failures to open one log.
struct Tries {
    failing: Failing,
    /// What a place means by now that the disk does not read.
    unreadable: Unreadable,
    /// True where what can be read of it is to be opened: all of it is read through.
    is_salvaged: bool,
}

impl Tries {
    fn new(is_salvaged: bool) -> Self {
        Self { failing: Failing::default(), unreadable: Unreadable::MayPass, is_salvaged }
    }

    /// What follows from one more, which says nothing of the records.
    fn after(&mut self, context: &Context, partition: TopicPartition, error: &holdfast_log::Error) -> Next {
        let image = context.metadata.look();
        if image.deleted_topics().contains(&partition.topic_id) {
            return Next::Delete;
        }
        let is_unreadable = error.is_unreadable() && self.failing.failed(Offset(0), context.clock.now());
        self.unreadable = if is_unreadable { Unreadable::IsDamage } else { Unreadable::MayPass };
        if is_unreadable && consequence::gives_up_unopened(&image, context.identity.broker_id, partition) {
            return Next::GiveUp;
        }
        let is_recovered = || roster::is_recovered(&image, context.identity.broker_id, partition);
        if is_unreadable && !self.is_salvaged && is_recovered() {
            self.is_salvaged = true;
            return Next::Salvage;
        }
        Next::Again
    }
}

/// How a log is opened.
type OpenLog =
    fn(&Context, TopicPartition, LogConfig, Unreadable) -> Result<(PartitionLog, Recovered), holdfast_log::Error>;

/// Opens what can be read of a log that was noted as distrusted.
const SALVAGE: OpenLog =
    |context, partition, config, unreadable| context.logs.data_dir.salvage_partition(partition, config, unreadable);

/// Notes of a log that the disk does not let open that it is as damaged, and opens what can be read of it.
const GIVE_UP_AND_SALVAGE: OpenLog = |context, partition, config, unreadable| {
    let data_dir = &context.logs.data_dir;
    let noted = Distrust::new(Cause::Damaged, "the disk does not let it open; an operator goes on with what it reads");
    data_dir.distrust(partition, noted.reaching(data_dir.reach(partition, None)))?;
    SALVAGE(context, partition, config, unreadable)
};

impl SessionActor {
    /// Opens a log on a blocking thread; again and again until it is open, or known to be damaged or gone.
    pub(super) fn open(&self, partition: TopicPartition, actor: &mut ActorContext<Self>) {
        self.open_by(
            partition,
            |context, partition, config, _| context.logs.data_dir.add_partition(partition, config),
            actor,
        );
    }

    /// Closes a replica that does not lead and opens its log again. If that finds a doubt, the broker has to start again: a
    /// start alone says so before the replica can be elected, as one that holds everything.
    pub(super) fn reopen(&mut self, partition: TopicPartition, actor: &mut ActorContext<Self>) {
        self.context.partitions.remove(partition);
        let Some(replica) = self.replicas.remove(&partition) else { return };
        if !self.doubted.contains_key(&partition) {
            self.reopening.insert(partition);
        }
        let open: OpenLog = |context, partition, config, _| context.logs.data_dir.open_partition(partition, config);
        self.open_after(partition, Some(replica), open, Tries::new(false), actor);
    }

    /// Asks the leader of a replica that is not vouched for whether it is there, until it answers or leads no more.
    pub(super) fn ask_leader(&self, partition: TopicPartition, by: Leadership, actor: &mut ActorContext<Self>) {
        let (context, address) = (Arc::clone(&self.context), actor.address());
        self.context.logs.runtime.spawn(async move {
            if wait_for_leader(&context, partition, by).await {
                let _gone_with_the_broker = address.send(SessionEvent::LeaderAnswered(partition, by)).await;
            }
        });
    }

    /// Sets aside what is left of a replica that is not vouched for, and opens an empty log in its place.
    pub(super) fn renew(&self, partition: TopicPartition, actor: &mut ActorContext<Self>) {
        tracing::info!(%partition, "a replica that is not vouched for begins again, empty");
        self.open_by(
            partition,
            |context, partition, config, _| context.logs.data_dir.recreate_partition(partition, config),
            actor,
        );
    }

    /// Opens what can be read of a replica that is not vouched for, as an operator decided.
    pub(super) fn salvage(&self, partition: TopicPartition, actor: &mut ActorContext<Self>) {
        tracing::warn!(%partition, "an operator lets the partition go on with this replica: what can be read of it is kept");
        self.open_after(partition, None, SALVAGE, Tries::new(true), actor);
    }

    fn open_by(&self, partition: TopicPartition, open: OpenLog, actor: &mut ActorContext<Self>) {
        self.open_after(partition, None, open, Tries::new(false), actor);
    }

    /// As [`Self::open_by`], once a replica that has the log is closed.
    fn open_after(
        &self,
        partition: TopicPartition,
        before: Option<OpenReplica>,
        mut open: OpenLog,
        mut tries: Tries,
        actor: &mut ActorContext<Self>,
    ) {
        let (context, address) = (Arc::clone(&self.context), actor.address());
        let config = self.log_config(partition);
        self.context.logs.runtime.spawn(async move {
            if let Some(before) = before {
                close(&before).await;
            }
            let mut backoff = Backoff::new(OPEN_AGAIN, OPEN_AGAIN_MAX);
            loop {
                let (working, unreadable) = (Arc::clone(&context), tries.unreadable);
                let work = move || {
                    let (log, recovered) = open(&working, partition, config, unreadable)?;
                    Opened::new(&working, partition, log, recovered, config)
                };
                let places = if tries.is_salvaged { &context.logs.salvages } else { &context.logs.folders };
                let event = match places.in_turn(work).await {
                    Ok(Err(error)) if !error.is_loss() && context.logs.writer.failure().is_none() => {
                        match tries.after(&context, partition, &error) {
                            Next::Again => {
                                context.unopened.note(partition, &error);
                                tracing::error!(%partition, %error, "this replica is not opened, and is tried again");
                                tokio::time::sleep(jittered(backoff.next_pause())).await;
                                continue;
                            }
                            Next::Salvage => {
                                tracing::error!(%partition, %error, "what the disk reads of this replica is opened");
                                open = GIVE_UP_AND_SALVAGE;
                                continue;
                            }
                            Next::GiveUp => SessionEvent::Opened(partition, Err(error)),
                            Next::Delete => SessionEvent::NotOpened(partition),
                        }
                    }
                    Ok(opened) => SessionEvent::Opened(partition, opened),
                    Err(error) => {
                        return context.state.fail(Fatal::Failure(format!("{partition}: opening the log: {error}")));
                    }
                };
                context.unopened.settle(partition);
                // The actor is gone only when the broker stops.
                let _gone_with_the_broker = address.send(event).await;
                return;
            }
        });
    }
}
