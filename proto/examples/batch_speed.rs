//! How fast one core builds and reads record batches: `cargo run --release -p holdfast-proto --example batch_speed`.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;

use holdfast_proto::{
    batch::{BatchBuilder, Compression, DecodeLimits, RecordRef, decode, validate_produce},
    ids::TimestampMs,
};

/// Size of a batch before compression, bytes.
const BATCH_SIZE: usize = 64 * 1024;
/// How long each measurement runs.
const RUN_FOR: Duration = Duration::from_millis(500);

fn main() {
    println!("{:>6} {:>12} {:>14} {:>14} {:>14} {:>7}", "codec", "record bytes", "build", "check", "decode", "size");
    for compression in Compression::ALL {
        for value_size in [100, 1024] {
            measure(compression, value_size);
        }
    }
}

fn measure(compression: Compression, value_size: usize) {
    let value: Vec<u8> =
        (0..value_size).map(|index| b"the quick brown fox jumps over a lazy dog 0123456789"[index * 7 % 52]).collect();
    let batch = build(compression, &value);
    let records = decode(batch.clone(), &DecodeLimits::default()).expect("the batch was just built").len();
    let building = rate(records, || drop(black_box(build(compression, black_box(&value)))));
    let checking = rate(records, || drop(black_box(validate_produce(black_box(&batch), usize::MAX))));
    let decoding = rate(records, || drop(black_box(decode(batch.clone(), &DecodeLimits::default()))));
    println!(
        "{compression:>6} {value_size:>12} {building:>10.2} M/s {checking:>10.2} M/s {decoding:>10.2} M/s {:>6}%",
        batch.len() * 100 / BATCH_SIZE
    );
}

fn build(compression: Compression, value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::with_capacity(compression, BATCH_SIZE);
    let mut key = 0_u64;
    loop {
        key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let key = key.to_le_bytes();
        let timestamp = TimestampMs(1_700_000_000_000);
        let record = RecordRef { timestamp, key: Some(&key), value: Some(value), headers: &[] };
        if !builder.would_fit(&record, BATCH_SIZE) {
            return builder.build(None).expect("it holds records");
        }
        builder.append(&record).expect("it fits");
    }
}

/// Millions of records a second, if each run handles `records` of them.
fn rate(records: usize, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut runs = 0_usize;
    while start.elapsed() < RUN_FOR {
        run();
        runs += 1;
    }
    (runs * records) as f64 / start.elapsed().as_secs_f64() / 1e6
}
