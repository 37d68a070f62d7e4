//! Clusters of many shapes, each written, started again and read back, with the account at its end. `make test` runs
//! shapes that differ in everything at reduced size; with `SHAPES=all` the whole matrix is run, and
//! with a part of what a shape says of itself, as `SHAPES='3 brokers, 1 x 900'`, those alone.

use holdfast_client::Compression;
use holdfast_tests::process::shape::Shape;

const SMALL: Shape =
    Shape { brokers: 3, topics: 1, partitions: 7, records: 200, value_bytes: 100, compression: Compression::None };

/// One record in one partition of one broker, many partitions, few large records, many topics, five brokers.
fn some() -> Vec<Shape> {
    vec![
        Shape { brokers: 1, partitions: 1, records: 1, ..SMALL },
        Shape { brokers: 1, partitions: 300, records: 20, ..SMALL },
        Shape { partitions: 60, records: 50, value_bytes: 2_000, compression: Compression::Lz4, ..SMALL },
        Shape { partitions: 2, records: 40, value_bytes: 900_000, ..SMALL },
        Shape { brokers: 5, topics: 12, partitions: 3, compression: Compression::Zstd, ..SMALL },
    ]
}

/// Partitions a broker, brokers, sizes and codecs, each with each.
fn all() -> Vec<Shape> {
    let mut shapes = some();
    for brokers in [1, 3, 5] {
        for partitions in [1, 2, 7, 50, 300] {
            for (value_bytes, records) in [(10, 500), (1_000, 200), (500_000, 4)] {
                for compression in [Compression::None, Compression::Zstd] {
                    shapes.push(Shape {
                        brokers,
                        topics: 1,
                        partitions: partitions * brokers,
                        records,
                        value_bytes,
                        compression,
                    });
                }
            }
        }
    }
    shapes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shape_keeps_what_it_acknowledged() {
    let shapes = match std::env::var("SHAPES").as_deref() {
        Err(_) => some(),
        Ok("all") => all(),
        Ok(part) => all().into_iter().filter(|shape| shape.to_string().contains(part)).collect(),
    };
    assert!(!shapes.is_empty(), "SHAPES names none: it is part of what a shape says of itself, or all");
    for shape in shapes {
        Box::pin(shape.prove()).await;
    }
}
