//! Readers that begin and then stand still, as a client does whose output nobody takes: they must hold up nobody.

use tokio::task::JoinSet;

use holdfast_client::{
    Client,
    consumer::{Consumer, StartAt},
};

use crate::output::note;

/// Bytes that such a reader takes in advance: little, so that it soon asks for nothing any more.
const AHEAD_BYTES: usize = 1 << 10;

/// A reader for each client. They stand until the set is dropped.
pub(super) fn start(clients: Vec<Client>, topic: &str) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    for client in clients {
        let topic = topic.to_owned();
        readers.spawn(async move {
            let builder = Consumer::builder(client).partition_max_bytes(AHEAD_BYTES);
            let builder = builder.fetch_max_bytes(AHEAD_BYTES).prefetch_bytes(AHEAD_BYTES);
            match builder.assign_topic(topic, StartAt::Earliest).build().await {
                Ok(mut reader) => {
                    // Whatever comes: from now on nothing is taken.
                    let _first = reader.next_batch().await;
                    std::future::pending::<()>().await;
                }
                Err(error) => note(format!("a reader that is to stand still could not begin: {error}")),
            }
        });
    }
    readers
}
