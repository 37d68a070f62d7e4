//! Reads records from files or standard input, on a thread of its own: a read of a terminal or pipe blocks.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    sync::Arc,
};

use holdfast_client::producer::BATCH_BYTES_MAX;

use super::{
    command::Delimiter,
    intake::{Chunk, Intake},
};
use crate::exit::{Failure, Result};

/// Records and bytes at which a chunk is handed on.
const CHUNK_RECORDS: usize = 512;
const CHUNK_BYTES: usize = 256 << 10;

/// Where records come from, each with the name that people know it by.
#[derive(Clone, Debug)]
pub(super) struct Sources(Vec<PathBuf>);

impl Sources {
    /// These files, or standard input if there is none.
    pub(super) fn new(files: &[PathBuf]) -> Self {
        Self(files.to_vec())
    }

    /// Name of the source with this index.
    pub(super) fn name(&self, index: u32) -> String {
        self.0.get(index as usize).map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
    }
}

/// Begins to read; the records come out of the intake.
pub(super) fn start(sources: Sources, Delimiter(delimiter): Delimiter) -> Result<Arc<Intake>> {
    let intake = Arc::new(Intake::default());
    let reader = Arc::clone(&intake);
    let read = move || {
        let result = read_all(&sources, &delimiter, &reader);
        reader.end(result);
    };
    std::thread::Builder::new().name("input".to_owned()).spawn(read)?;
    Ok(intake)
}

fn read_all(sources: &Sources, delimiter: &[u8], intake: &Intake) -> Result {
    let failed = |index: u32| {
        move |error| match error {
            ReadError::Io(error) => Failure::error(format!("cannot read {}: {error}", sources.name(index))),
            ReadError::TooLong(number) => Failure::error(format!(
                "{}, record {number}: it is longer than {BATCH_BYTES_MAX} bytes, the most that any topic takes",
                sources.name(index)
            )),
        }
    };
    if sources.0.is_empty() {
        return read_records(BufReader::with_capacity(64 << 10, io::stdin()), delimiter, 0, intake).map_err(failed(0));
    }
    for (index, path) in (0..).zip(&sources.0) {
        let read = File::open(path)
            .map_err(ReadError::Io)
            .and_then(|file| read_records(BufReader::with_capacity(64 << 10, file), delimiter, index, intake));
        read.map_err(failed(index))?;
    }
    Ok(())
}

#[derive(Debug)]
enum ReadError {
    Io(io::Error),
    /// The record with this number is longer than any may be.
    TooLong(u64),
}

/// Hands records on in chunks, and those that there are before it waits for more. Stops when no more is wanted.
fn read_records<R: Read>(
    mut input: BufReader<R>,
    delimiter: &[u8],
    source: u32,
    intake: &Intake,
) -> std::result::Result<(), ReadError> {
    let mut next = 1;
    while intake.wait_for_room() {
        let mut chunk = Chunk { source, first: next, records: Vec::new() };
        let mut bytes = 0;
        let end = loop {
            // A file is one record, also an empty one.
            let is_file = delimiter.is_empty() && next == 1;
            // From its first byte on a record is counted, however long its rest takes to come.
            match input.fill_buf() {
                Ok([]) if !is_file => break Some(Ok(())),
                Ok(_) => intake.take_in_hand(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Some(Err(ReadError::Io(error))),
            }
            let record = match read_record(&mut input, delimiter) {
                Ok(record) if record.len() <= BATCH_BYTES_MAX => record,
                Ok(_too_long) => break Some(Err(ReadError::TooLong(next))),
                Err(error) => break Some(Err(ReadError::Io(error))),
            };
            next += 1;
            bytes += record.len();
            chunk.records.push(record);
            // A record of which only a part has come holds up none that is whole.
            let is_full = chunk.records.len() >= CHUNK_RECORDS || bytes >= CHUNK_BYTES;
            if is_full || !holds_whole_record(input.buffer(), delimiter) {
                break None;
            }
        };
        if !chunk.records.is_empty() {
            intake.push(chunk);
        }
        if let Some(end) = end {
            return end;
        }
    }
    Ok(())
}

/// True if a record can be read from these bytes alone.
fn holds_whole_record(buffer: &[u8], delimiter: &[u8]) -> bool {
    match delimiter {
        [] => false,
        [byte] => buffer.contains(byte),
        _ => buffer.windows(delimiter.len()).any(|part| part == delimiter),
    }
}

/// The next record without its delimiter, which the end stands for; one that is too long is cut behind the limit.
fn read_record<R: Read>(input: &mut BufReader<R>, delimiter: &[u8]) -> io::Result<Vec<u8>> {
    let mut record = Vec::new();
    let most = BATCH_BYTES_MAX + delimiter.len() + 1;
    loop {
        let mut rest = input.take((most - record.len()) as u64);
        let read = match delimiter.last() {
            Some(byte) => rest.read_until(*byte, &mut record)?,
            None => rest.read_to_end(&mut record)?,
        };
        if !delimiter.is_empty() && record.ends_with(delimiter) {
            record.truncate(record.len() - delimiter.len());
            return Ok(record);
        }
        if read == 0 || record.len() >= most {
            return Ok(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_eventually::until;

    use super::*;
    use crate::format::unescape;

    async fn records(input: &[u8], delimiter: &str) -> std::result::Result<Vec<Vec<u8>>, ReadError> {
        let intake = Arc::new(Intake::default());
        let reader = BufReader::with_capacity(4, io::Cursor::new(input.to_vec()));
        let (delimiter, reading) = (unescape(delimiter).unwrap(), Arc::clone(&intake));
        let reading = tokio::task::spawn_blocking(move || {
            let result = read_records(reader, &delimiter, 0, &reading);
            reading.end(Ok(()));
            result
        });
        let mut all = Vec::new();
        while let Some(chunk) = intake.next().await {
            let chunk = chunk.unwrap();
            assert_eq!(chunk.first, all.len() as u64 + 1);
            all.extend(chunk.records);
        }
        reading.await.unwrap().map(|()| all)
    }

    #[tokio::test]
    async fn records_end_at_their_delimiter() {
        let check = async |input: &str, delimiter: &str, expected: &[&str]| {
            let found = records(input.as_bytes(), delimiter).await.unwrap();
            let found: Vec<_> = found.into_iter().map(|record| String::from_utf8(record).unwrap()).collect();
            assert_eq!(found, expected, "{input:?} {delimiter:?}");
        };
        check("one\ntwo\n\nthree", "\\n", &["one", "two", "", "three"]).await;
        check("one\n", "\\n", &["one"]).await;
        check("", "\\n", &[]).await;
        check("a;;b;c;;", ";;", &["a", "b;c"]).await;
        check("all\nof it\n", "", &["all\nof it\n"]).await;
        check("", "", &[""]).await;
    }

    /// Gives its parts one by one, and then nothing more before it is let go.
    struct Slow(Vec<&'static [u8]>, std::sync::mpsc::Receiver<()>);

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                let _let_go = self.1.recv();
                return Ok(0);
            }
            let part = self.0.remove(0);
            into[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }

    #[tokio::test]
    async fn whole_records_do_not_wait_for_one_of_which_a_part_has_come() {
        for (parts, delimiter) in [(vec![&b"a\nb"[..]], "\\n"), (vec![b"a\n", b"b"], "\\n"), (vec![b"a;;b;"], ";;")] {
            let (let_go, held) = std::sync::mpsc::channel();
            let intake = Arc::new(Intake::default());
            let (delimiter, reading) = (unescape(delimiter).unwrap(), Arc::clone(&intake));
            let thread = std::thread::spawn(move || {
                read_records(BufReader::new(Slow(parts, held)), &delimiter, 0, &reading).unwrap();
            });
            let chunk = intake.next().await.unwrap().unwrap();
            assert_eq!(chunk.records, [b"a"]);
            until("the part is in hand", async || intake.in_hand() == 1).await;
            assert_eq!(intake.close(), 1, "what was read and not sent");
            drop(let_go);
            thread.join().unwrap();
            assert_eq!(intake.close(), 1, "counted once");
        }
    }

    #[tokio::test]
    async fn a_record_of_any_length_is_read_up_to_the_limit_alone() {
        let mut input = b"short\n".to_vec();
        input.resize(input.len() + BATCH_BYTES_MAX, b'x');
        assert_eq!(records(&input, "\\n").await.unwrap().len(), 2, "as long as any may be");
        input.push(b'x');
        assert!(matches!(records(&input, "\\n").await, Err(ReadError::TooLong(2))));
        assert!(matches!(records(&input, "").await, Err(ReadError::TooLong(1))));
    }
}
