//! Writes to standard output on a thread of its own: a reader that has stopped holds up nothing but the output.
//!
//! Invariants:
//! 1. At most [`QUEUE`] buffers wait to be written; who has more waits.
//! 2. Who stops waiting loses nothing: what is printed stays in the buffer until the thread has it.

use std::io::{self, Write};

use tokio::sync::{mpsc, oneshot};

use super::command::ConsumeArgs;
use crate::{
    format::{View, write_json},
    output::{self, Output},
};

/// Buffers that wait to be written.
const QUEUE: usize = 4;
/// Size at which a buffer is handed to the thread, bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Standard output takes nothing any more; [`output::ended`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// What is printed and not yet written.
#[derive(Debug)]
pub(super) struct Printer {
    buffer: Vec<u8>,
    full: mpsc::Sender<Vec<u8>>,
    /// Told when the thread has written all that it was given, or cannot write any more.
    ended: oneshot::Receiver<()>,
}

impl Printer {
    /// Nothing is printed so far.
    pub(super) fn start() -> io::Result<Self> {
        Self::to(io::stdout())
    }

    fn to(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (full, buffers) = mpsc::channel(QUEUE);
        let (told, ended) = oneshot::channel();
        std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            write_all(buffers, &mut out).unwrap_or_else(output::keep);
            // Nobody waits for it once the command was interrupted.
            let _gone = told.send(());
        })?;
        Ok(Self { buffer: Vec::with_capacity(BUFFER_BYTES), full, ended })
    }

    /// Prints one record; written when the buffer is full, or by [`Self::flush`]. Cancel safe: the record is printed.
    pub(super) async fn print(&mut self, view: &View<'_>, args: &ConsumeArgs, output: Output) -> Result<(), Closed> {
        let printed = match output {
            Output::Json => write_json(&mut self.buffer, view),
            Output::Table => args.format.write(&mut self.buffer, view),
        };
        if let Err(error) = printed {
            output::keep(error);
            return Err(Closed);
        }
        if self.buffer.len() >= BUFFER_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Hands all that is printed to the thread. Cancel safe.
    pub(super) async fn flush(&mut self) -> Result<(), Closed> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        // The room first: a buffer on its way to a full queue would go with the one who stops waiting.
        let room = self.full.reserve().await.map_err(|_ended| Closed)?;
        room.send(std::mem::replace(&mut self.buffer, Vec::with_capacity(BUFFER_BYTES)));
        Ok(())
    }

    /// Waits until all is written, or cannot be.
    pub(super) async fn end(mut self) {
        let _closed = self.flush().await;
        let Self { full, ended, .. } = self;
        drop(full);
        // The thread tells before it ends.
        let _told = ended.await;
    }
}

fn write_all(mut buffers: mpsc::Receiver<Vec<u8>>, out: &mut impl Write) -> io::Result<()> {
    while let Some(buffer) = buffers.blocking_recv() {
        out.write_all(&buffer)?;
        out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc::Receiver};

    use futures::FutureExt;

    use super::*;

    /// Takes a buffer for each word that comes.
    struct Stuck(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _let_go = self.0.recv();
            self.1.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn who_stops_waiting_for_a_stuck_output_loses_nothing_that_is_printed() {
        let (let_go, stuck) = std::sync::mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut printer = Printer::to(Stuck(stuck, Arc::clone(&written))).unwrap();
        let mut sent = Vec::new();
        for number in 0_u8.. {
            printer.buffer.push(number);
            sent.push(number);
            // The future is dropped where it would wait.
            if printer.flush().now_or_never().is_none() {
                break;
            }
        }
        drop(let_go);
        printer.end().await;
        assert_eq!(*written.lock().unwrap(), sent);
    }
}
