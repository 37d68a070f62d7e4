//! Writes to standard output on a thread of its own: a reader that has stopped holds up nothing but the output.
//!
//! Invariant: at most [`QUEUE`] buffers wait to be written; who has more waits.

use std::io::{self, Write};

use tokio::sync::{mpsc, oneshot};

use super::command::ConsumeArgs;
use crate::{
    format::{View, write_json},
    output::Output,
};

/// Buffers that wait to be written.
const QUEUE: usize = 4;
/// Size at which a buffer is handed to the thread, bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// What is printed and not yet written.
#[derive(Debug)]
pub(super) struct Printer {
    buffer: Vec<u8>,
    full: mpsc::Sender<Vec<u8>>,
    /// How the thread ended; `None` once that was told.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl Printer {
    /// Nothing is printed so far.
    pub(super) fn start() -> io::Result<Self> {
        let (full, buffers) = mpsc::channel(QUEUE);
        let (told, ended) = oneshot::channel();
        std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            // Nobody waits for it once the command was interrupted.
            let _gone = told.send(write_all(buffers));
        })?;
        Ok(Self { buffer: Vec::with_capacity(BUFFER_BYTES), full, ended: Some(ended) })
    }

    /// Prints one record; written when the buffer is full, or by [`Self::flush`].
    pub(super) async fn print(&mut self, view: &View<'_>, args: &ConsumeArgs, output: Output) -> io::Result<()> {
        match output {
            Output::Json => write_json(&mut self.buffer, view)?,
            Output::Table => args.format.write(&mut self.buffer, view)?,
        }
        if self.buffer.len() >= BUFFER_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Hands all that is printed to the thread.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let buffer = std::mem::replace(&mut self.buffer, Vec::with_capacity(BUFFER_BYTES));
        match self.full.send(buffer).await {
            Ok(()) => Ok(()),
            Err(_ended) => Err(self.failure().await),
        }
    }

    /// Waits until all is written. Fails only with what no other call has told.
    pub(super) async fn end(mut self) -> io::Result<()> {
        self.flush().await?;
        let Self { full, ended, .. } = self;
        drop(full);
        match ended {
            Some(ended) => ended.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    /// Why the thread has ended before its time.
    async fn failure(&mut self) -> io::Error {
        match self.ended.take() {
            Some(ended) => match ended.await {
                Ok(Err(error)) => error,
                Ok(Ok(())) | Err(_) => io::ErrorKind::BrokenPipe.into(),
            },
            None => io::ErrorKind::BrokenPipe.into(),
        }
    }
}

fn write_all(mut buffers: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    while let Some(buffer) = buffers.blocking_recv() {
        out.write_all(&buffer)?;
        out.flush()?;
    }
    Ok(())
}
