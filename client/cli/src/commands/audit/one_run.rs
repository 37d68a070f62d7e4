//! A run from its start to its account.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval, sleep},
};

use holdfast_checker::readback;
use holdfast_client::{Client, admin::NewTopic};
use holdfast_local::Setting;
use holdfast_proto::{error::ErrorCode, v1::ConfigEntry};

use super::{
    flags::LoadFlags,
    kept::Limits,
    live::Live,
    load::{Gauges, How, Load, key_prefix, random_run_id},
    report::{Report, progress_line},
    room, starts, stopped,
};
use crate::{
    commands::load_thread::LoadThread,
    connect::Connect,
    exit::{Code, Failure, Result},
    output::Output,
    progress::Progress,
    signals::Signals,
    units::plain_value,
    width::note_long,
};

/// How often the progress is told.
const PROGRESS: Duration = Duration::from_secs(1);
/// How often a cluster that is not there yet is tried.
const RETRY: Duration = Duration::from_millis(500);

/// A client, once the cluster answers.
pub(super) async fn connect_within(connect: &Connect, patience: Duration) -> Result<Client> {
    let deadline = Instant::now() + patience;
    loop {
        match connect.client().await {
            Err(failure) if failure.code != Code::Usage && Instant::now() < deadline => sleep(RETRY).await,
            result => return result,
        }
    }
}

pub(super) async fn run(connect: &Connect, topic: &str, flags: &LoadFlags, output: Output) -> Result {
    let mut signals = Signals::listen()?;
    let run_id = random_run_id();
    let prefix = key_prefix(&run_id);
    let gauges = Arc::new(Gauges::default());
    let opening = async {
        let client = connect_within(connect, flags.timeout).await?;
        if flags.create {
            create(&client, topic, flags).await?;
        }
        let partitions = client.admin().describe_topic(topic).await?.partitions.len() as u64;
        room::check(topic, starts::limits(&client.admin().topic_config(topic).await?), partitions, flags)?;
        let mut clients = Vec::new();
        for _ in 0..flags.producers {
            clients.push(connect.client().await?);
        }
        let how = How { delivery_timeout: flags.delivery_timeout, compression: flags.compression };
        let load = Load::open(clients, topic, &run_id, how, &gauges).await?;
        let live = Live::open(connect.client().await?, topic, &prefix).await?;
        let mut readers = Vec::new();
        for _ in 0..flags.stopped_readers {
            readers.push(connect.client().await?);
        }
        Ok::<_, Failure>((client, load, live, stopped::start(readers, topic)))
    };
    let (client, load, live, _stopped) = tokio::select! {
        opened = opening => opened?,
        code = signals.wait() => return Err(Failure::new(code, "interrupted before anything was produced")),
    };
    let (ended, told) = oneshot::channel();
    let live = tokio::spawn(live.follow(told));

    let start = Instant::now();
    let mut interrupted = Interrupted::NotYet;
    let (load, result) = produce(load, flags, &gauges, &mut signals, start, &mut interrupted).await?;
    let producing = start.elapsed();
    let closing = async {
        let summary = load.close().await;
        // The consumer may have failed before; its result says so.
        let _gone = ended.send(());
        let live = live.await.map_err(|_| Failure::error("the consumer ended unexpectedly"))?;
        let longest_partition_pause = summary.longest_pause;
        let (refused, first_problem) = (summary.refused, summary.first_problem.map(|error| error.to_string()));
        let progress = Progress::start("reading", summary.account.acked());
        let is_ours = |key: &[u8]| key.starts_with(prefix.as_bytes());
        let verdict =
            readback::audit_keys(&client, topic, summary.account.audit(), is_ours, |told| progress.reading(&told))
                .await?;
        progress.end();
        Ok::<_, Failure>(Report {
            topic: topic.to_owned(),
            run_id,
            verdict,
            live: live?,
            refused,
            first_problem,
            longest_pause: gauges.totals.longest(),
            longest_partition_pause,
            producing,
        })
    };
    let report = tokio::select! {
        report = closing => report?,
        code = signals.wait() => return Err(interrupted.cut_off(code)),
    };
    report.tell(output)?;
    result
}

/// Whether a signal has ended the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interrupted {
    NotYet,
    Before,
}

impl Interrupted {
    /// What a signal means while the account is made: nobody learns what became of the records.
    fn cut_off(self, code: Code) -> Failure {
        let how = if self == Self::Before { "interrupted again" } else { "interrupted" };
        Failure::new(Code::InDoubt, format!("{how} ({}), before the account was done", code as u8))
    }
}

/// Produces until the time is over, a signal comes, or nothing more can be sent. Tells progress every second.
async fn produce(
    mut load: Load,
    flags: &LoadFlags,
    gauges: &Gauges,
    signals: &mut Signals,
    start: Instant,
    interrupted: &mut Interrupted,
) -> Result<(Load, Result)> {
    let (rate, size) = (flags.rate, flags.size.0);
    let mut thread = LoadThread::start(move |sender| {
        let result = load.send(rate, size, sender);
        (load, result)
    })?;
    let mut is_over = false;
    let mut ticks = interval(PROGRESS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut over = std::pin::pin!(sleep(flags.duration.unwrap_or(Duration::MAX)));
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let now = Instant::now();
                note_long(&progress_line(gauges, start.elapsed(), now), " ");
            }
            () = &mut over, if !is_over => {
                is_over = true;
                thread.stop();
            }
            code = signals.wait() => {
                is_over = true;
                if !thread.stop() {
                    return Err(interrupted.cut_off(code));
                }
                *interrupted = Interrupted::Before;
            }
            ended = thread.ended() => return ended,
        }
    }
}

async fn create(client: &Client, name: &str, flags: &LoadFlags) -> Result {
    // Before it is made: a topic that is of no use is not to be left behind. Where the cluster says how many partitions it
    // gets, their sizes are looked at later.
    room::check(name, configured(flags), flags.partitions.map_or(u64::MAX, u64::from), flags)?;
    let mut topic = NewTopic::new(name)
        .partitions(flags.partitions.unwrap_or(0))
        .replication_factor(flags.replication_factor.unwrap_or(0));
    for Setting { key, value } in &flags.configs {
        topic = topic.config(key, plain_value(key, value.clone()));
    }
    match client.admin().create_topic(topic).await {
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

/// The limits of a topic that is made with these flags, as far as they say any.
fn configured(flags: &LoadFlags) -> Limits {
    let configs = flags.configs.iter().map(|Setting { key, value }| ConfigEntry {
        key: key.clone(),
        value: Some(plain_value(key, value.clone())),
        ..ConfigEntry::default()
    });
    starts::limits(&configs.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_is_not_told_as_the_second_one() {
        let first = Interrupted::NotYet.cut_off(Code::Interrupted).message;
        assert_eq!(first, "interrupted (130), before the account was done");
        let second = Interrupted::Before.cut_off(Code::Interrupted).message;
        assert_eq!(second, "interrupted again (130), before the account was done");
    }
}
