//! `holdfast bench consume`.

use std::time::{Duration, Instant};

use clap::Args;

use holdfast_checker::{readback::read_all, text::grouped};
use holdfast_client::consumer::MessageBatch;

use super::stats::Throughput;
use crate::{
    connect::Connect,
    exit::{Failure, Result},
    output::{Output, note, print_json, say},
    progress::Progress,
};

#[derive(Debug, Args)]
pub(super) struct ConsumeArgs {
    /// The topic to read.
    #[arg(short, long, value_name = "TOPIC")]
    topic: String,
    /// How often to read it; the fastest time is told. The first often finds the files cold.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
}

pub(super) async fn run(connect: &Connect, args: ConsumeArgs, output: Output) -> Result {
    let client = connect.client().await?;
    let mut fastest: Option<Throughput> = None;
    for round in 0..args.rounds {
        let (mut records, mut bytes) = (0_u64, 0_u64);
        let progress = Progress::start("reading", u64::from(args.rounds));
        let start = Instant::now();
        let each = |batch: MessageBatch| {
            records += batch.records.len() as u64;
            let size = |part: Option<&bytes::Bytes>| part.map_or(0, bytes::Bytes::len);
            let sizes = batch.records.iter().map(|record| size(record.key.as_ref()) + size(record.value.as_ref()));
            bytes += sizes.sum::<usize>() as u64;
            progress.set(u64::from(round), || format!("round {}, {} read", round + 1, grouped(records)));
        };
        read_all(&client, &args.topic, each, |told| note(told.to_string())).await?;
        let elapsed = start.elapsed().max(Duration::from_micros(1));
        progress.end();
        if records == 0 {
            return Err(Failure::error(format!(
                "{} is empty; fill it with `holdfast bench produce --topic`",
                args.topic
            )));
        }
        let throughput = Throughput { records, bytes, elapsed };
        if fastest.is_none_or(|fastest| elapsed < fastest.elapsed) {
            fastest = Some(throughput);
        }
    }
    let Some(fastest) = fastest else { return Ok(()) };
    match output {
        Output::Json => print_json(&fastest.json()),
        Output::Table => say(fastest.text()),
    }
    Ok(())
}
