//! One broker: how it starts and how it stops.
//!
//! Start: bind the ports (so that one in use is found at once) · open the data folder · recover the logs · serve
//! (health first; the rest answers "not yet") · join the controllers' cluster. It is ready once the controller has
//! committed so.
//!
//! Stop: hand over ([`leaving`]) · end the streams · flush and close the logs · say how far was acknowledged where nobody
//! takes over ([`last_words`]) · say that it has stopped.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use holdfast_log::{DataDir, LogWriter, WriterConfig};
use holdfast_node::{
    settings::{Address, Settings as _},
    watchdog::Watchdog,
};
use holdfast_proto::ids::{BrokerId, IncarnationId};

use super::{findings, last_words, leaving, maintenance, probes, recovery, scrub, time_trust, token};
use crate::{
    actors::{Actors, SessionAddress, SessionEvent},
    config::Config,
    exit::Fatal,
    grpc::{Listeners, Servers},
    here::{
        clock::Clock,
        context::{Context, Logs, Nodes, Outboxes},
        identity::{Addresses, Identity},
        known_producers::KnownProducers,
        lease::Lease,
        metadata::Metadata,
        parked::Parked,
        partitions::Partitions,
        patience,
        scrubbed::Scrubbed,
        state::BrokerState,
        streams::Streams,
        token::TokenRenewal,
    },
    metrics,
    outbox::{Distrusts, Positions, Proposals, SourcePositions, streams::FollowerStreams},
    outward::{self, Controllers, Peers, Relays},
    partition::{
        answer_memory::AnswerMemory,
        read::{BlockingReads, ReadShare},
        scrub_budget::ScrubBudget,
        tail::TailCache,
        unopened::Unopened,
    },
    services::all::Services,
};

/// How long streams may take to end by themselves when the broker stops.
const STREAM_GRACE: Duration = Duration::from_secs(2);

/// What a stop keeps of its time for the end of streams, the flush and the last message to the controller; at most
/// half.
const STOP_RESERVE: Duration = Duration::from_secs(5);

/// How long the controllers are told how far was acknowledged, at the most.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running broker. Dropped without [`Broker::stop`] it ends as if it had been killed.
pub struct Broker {
    context: Arc<Context>,
    services: Arc<Services>,
    actors: Arc<Actors>,
    session: SessionAddress,
    servers: Servers,
    tasks: Vec<JoinHandle<()>>,
    // Answers the probe `live` until the end.
    _watchdog: Watchdog,
}

impl Broker {
    /// Starts a broker on the current tokio runtime. Returns once its ports are served and its logs are recovered; it
    /// joins the cluster by itself.
    pub async fn start(config: Config) -> Result<Self, Fatal> {
        if let Some((_, message)) = config.missing().into_iter().chain(config.validate()).next() {
            return Err(Fatal::Failure(message));
        }
        let broker_id = BrokerId(config.broker_id.unwrap_or_default());
        let listeners = Listeners::bind(&config).await?;
        let metrics_port = metrics::bind(&config).await?;
        let addresses = advertised(&config, &listeners)?;
        let (context, created) = {
            let config = config.clone();
            let runtime = tokio::runtime::Handle::current();
            let opening = move || open(config, broker_id, addresses, runtime);
            blocking(opening).await??
        };
        let context = Arc::new(context);
        tracing::info!(
            broker = %broker_id,
            client = context.identity.addresses.client,
            peer = context.identity.addresses.peer,
            directory = %context.logs.data_dir.directory_id(),
            boot = context.identity.boot_counter,
            "starting"
        );
        let watchdog = Watchdog::start(&context.state.probes, context.logs.data_dir.path())
            .map_err(|error| Fatal::Failure(format!("the watchdog's threads: {error}")))?;
        let services = Arc::new(Services::new(&context, outward::other_nodes(&context)));
        let servers = Servers::start(&context, &services, listeners)?;
        let mut tasks =
            vec![tokio::spawn(probes::run(Arc::clone(&context))), tokio::spawn(watchdog.watch("the runtime").keep())];
        tasks.extend(metrics_port.map(|port| metrics::serve(port, &context)));
        let recovered = {
            let context = Arc::clone(&context);
            blocking(move || recovery::recover(&context)).await.and_then(|recovered| recovered)
        };
        let recovered = match recovered {
            Ok(recovered) => recovered,
            Err(fatal) => {
                servers.stop(Duration::ZERO).await;
                tasks.iter().for_each(JoinHandle::abort);
                return Err(fatal);
            }
        };
        let actors = Actors::start(partition_threads(&config), &watchdog)
            .map_err(|error| Fatal::Failure(format!("the actors' threads: {error}")))?;
        let actors = Arc::new(actors);
        let session = actors.start_session(&context);
        if session.tell(SessionEvent::Recovered(recovered)).await.is_none() {
            return Err(Fatal::Failure("the session actor ended at its start".to_owned()));
        }
        context.state.set_recovered();
        tasks.extend([
            tokio::spawn(outward::run_fetchers(Arc::clone(&context), created)),
            tokio::spawn(outward::run_proposer(Arc::clone(&context))),
            tokio::spawn(outward::run_distrusts(Arc::clone(&context))),
            tokio::spawn(findings::run(Arc::clone(&context), session.clone())),
            tokio::spawn(outward::run_session(Arc::clone(&context), session.clone())),
            tokio::spawn(maintenance::run(Arc::clone(&context))),
            tokio::spawn(scrub::run(Arc::clone(&context))),
            tokio::spawn(token::run(Arc::clone(&context))),
        ]);
        Ok(Self { context, services, actors, session, servers, tasks, _watchdog: watchdog })
    }

    /// What its parts share: for status and tests.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What clients may ask of it, whatever protocol they speak.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Returns once the broker cannot go on.
    pub async fn failed(&self) -> Fatal {
        self.context.state.failed().await
    }

    /// Hands over, flushes and ends. Tells why in the end, if something broke meanwhile.
    pub async fn stop(self) -> Option<Fatal> {
        let context = Arc::clone(&self.context);
        let started = Instant::now();
        let elapsed_ms = || started.elapsed().as_millis() as u64;
        let grace = Duration::from_millis(context.config.shutdown_timeout_ms);
        let deadline = started + grace;
        context.state.set_stopping();
        let registered = context.identity.broker_epoch().0 != 0;
        if registered {
            leaving::hand_over(&context, deadline - STOP_RESERVE.min(grace / 2)).await;
        }
        context.state.end_streams();
        self.servers.stop(STREAM_GRACE).await;
        tracing::info!(elapsed_ms = elapsed_ms(), "connections are closed");
        let replicas = context.partitions.all();
        let logs = replicas.len();
        let (closed, all_closed) = oneshot::channel();
        if self.session.tell(SessionEvent::CloseAll(closed)).await.is_some() {
            let grace = deadline.max(Instant::now() + STREAM_GRACE);
            if tokio::time::timeout_at(grace, all_closed).await.is_err() {
                tracing::warn!("not every log was closed in time: the next start recovers them");
            }
        }
        tracing::info!(logs, elapsed_ms = elapsed_ms(), "logs are flushed and closed");
        if registered {
            last_words::tell(&context, &replicas, Instant::now() + LAST_WORDS).await;
            let left = deadline.saturating_duration_since(Instant::now()).clamp(STREAM_GRACE / 4, STREAM_GRACE);
            if let Err(error) = context.nodes.controllers.controlled_shutdown(&context.identity, true, left).await {
                tracing::warn!(%error, "the controller was not told of the stop: it will notice");
            }
        }
        for task in &self.tasks {
            task.abort();
        }
        end_threads(self.actors, context.logs.writer.clone()).await;
        tracing::info!(elapsed_ms = elapsed_ms(), "stopped");
        context.state.reason()
    }

    /// Ends at once, without handing over or closing anything: what kill -9 does, as far as a process can do it to
    /// itself. For tests.
    pub async fn kill(self) {
        for task in &self.tasks {
            task.abort();
        }
        self.context.state.end_streams();
        self.servers.stop(Duration::ZERO).await;
        end_threads(self.actors, self.context.logs.writer.clone()).await;
    }
}

async fn end_threads(actors: Arc<Actors>, log_writer: LogWriter) {
    let work = move || {
        actors.stop();
        log_writer.shutdown();
    };
    if let Err(fatal) = blocking(work).await {
        tracing::warn!(%fatal, "threads did not end cleanly");
    }
}

/// Logs that are read through at the same time before the last resort goes on with them.
const SALVAGE_THREADS: usize = 2;

/// Logs that are opened or closed at the same time: enough for a disk to sync them together.
const FOLDER_THREADS: usize = 8;
/// Logs that are deleted at the same time.
const DELETION_THREADS: usize = 2;

/// Opens the folder and makes what the parts share. Blocks.
fn open(
    config: Config,
    broker_id: BrokerId,
    addresses: Addresses,
    runtime: tokio::runtime::Handle,
) -> Result<(Context, mpsc::Receiver<Arc<SourcePositions>>), Fatal> {
    let folder = |error: holdfast_log::Error| {
        let cure = match &error {
            holdfast_log::Error::Locked { .. } => "; end that process first, or give this one a data_dir of its own",
            _ => "",
        };
        Fatal::DataFolder(format!("{error}{cure}"))
    };
    let data_dir = Arc::new(DataDir::open(&config.data_dir, broker_id, None).map_err(folder)?);
    let writer = WriterConfig {
        threads: config.log_writer_threads as usize,
        max_in_flight_bytes: config.log_writer_queue_bytes as usize,
        max_fetched_bytes: config.log_writer_fetched_bytes as usize,
        ..WriterConfig::default()
    };
    let log_writer = LogWriter::start(data_dir.disk(), writer).map_err(folder)?;
    let may_end_at = patience::may_end_at(data_dir.starts_again());
    let time_trust = time_trust::begin(&data_dir, config.clock_skew_max_ms, config.clock_thaw_ms);
    let (positions, created) = Positions::new();
    let share = |answer_bytes: u64| ReadShare {
        disk: BlockingReads::new(config.log_read_threads as usize, runtime.clone()),
        memory: AnswerMemory::new(answer_bytes as usize),
    };
    let context = Context {
        clock: Clock::start(),
        identity: Identity::new(broker_id, IncarnationId(uuid::Uuid::new_v4()), addresses, &data_dir),
        lease: Lease::default(),
        metadata: Metadata::default(),
        partitions: Partitions::default(),
        state: BrokerState::default(),
        known_producers: KnownProducers::default(),
        logs: Logs {
            data_dir,
            writer: log_writer,
            tail: TailCache::new(config.tail_cache_bytes as usize),
            consumers: share(config.fetch_memory_bytes),
            followers: share(config.replica_fetch_memory_bytes),
            read_again: BlockingReads::new(1, runtime.clone()),
            single_records: BlockingReads::new(1, runtime.clone()),
            time_lookups: BlockingReads::new(1, runtime.clone()),
            folders: BlockingReads::new(FOLDER_THREADS, runtime.clone()),
            salvages: BlockingReads::new(SALVAGE_THREADS, runtime.clone()),
            deletions: BlockingReads::new(DELETION_THREADS, runtime.clone()),
            runtime,
        },
        outboxes: Outboxes {
            positions,
            proposals: Proposals::default(),
            follower_streams: FollowerStreams::default(),
            distrusts: Distrusts::default(),
        },
        findings: Arc::default(),
        unopened: Unopened::default(),
        reports: OnceLock::new(),
        may_end_at,
        time_trust: Mutex::new(time_trust),
        token: TokenRenewal::default(),
        metadata_answers: AnswerMemory::new(config.metadata_memory_bytes as usize),
        fetching: Parked::new(config.fetch_memory_bytes as usize / 4, "fetch_memory_bytes"),
        asking: Parked::new(config.metadata_memory_bytes as usize / 4, "metadata_memory_bytes"),
        streams: Streams::new(config.max_connections),
        scrubbed: Scrubbed::default(),
        scrub_budget: Arc::new(ScrubBudget::new(config.scrub_bytes_per_second)),
        move_budget: Mutex::default(),
        nodes: Nodes {
            controllers: Arc::new(Controllers::new(&config)),
            brokers: Arc::new(Peers::new(&config)),
            relays: Relays::new(&config),
        },
        config,
    };
    Ok((context, created))
}

/// The addresses that others are told. A port that the system chose is filled in.
fn advertised(config: &Config, listeners: &Listeners) -> Result<Addresses, Fatal> {
    let (client, peer) =
        listeners.ports().map_err(|error| Fatal::Failure(format!("the bound ports cannot be read: {error}")))?;
    let told = |advertised: &Option<Address>, listen: &Address, port| match advertised {
        Some(advertised) => advertised.to_string(),
        None => Address { host: listen.host.clone(), port }.to_string(),
    };
    Ok(Addresses {
        client: told(&config.client_advertised_address, &config.client_listen, client),
        peer: told(&config.peer_advertised_address, &config.peer_listen, peer),
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn partition_threads(config: &Config) -> usize {
    match config.partition_threads {
        0 => cores().div_ceil(2).min(4),
        threads => threads as usize,
    }
}

/// Threads for connections, as the configuration or the machine says.
pub fn edge_threads(config: &Config) -> usize {
    match config.edge_threads {
        0 => cores().min(4),
        threads => threads as usize,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fatal> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fatal::Failure(format!("a part of the start broke: {error}")))
}
