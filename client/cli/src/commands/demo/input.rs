//! The demo's input: every line of every text file below a folder.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use crate::{
    exit::{Failure, Result},
    folder::variable,
};

/// A file whose beginning holds a zero byte is no text.
const SNIFF_BYTES: usize = 8 << 10;

/// Longer lines are cut into records of this size, so that any file fits into a topic's largest batch.
const RECORD_BYTES_MAX: usize = 512 << 10;

/// A file of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Its path below the input: the records' key.
    pub key: Vec<u8>,
    /// Where the file is read from.
    pub path: PathBuf,
    /// Size when it was found, bytes.
    pub bytes: u64,
}

/// The files of the input, in the order of their paths.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Text files only, sorted by key.
    pub files: Vec<InputFile>,
    /// Size of all files, bytes.
    pub bytes: u64,
}

impl Input {
    /// Finds the text files at or below a path. Links are not followed.
    pub fn find(root: &Path) -> Result<Self> {
        let mut input = Self::default();
        let mut waiting = vec![root.to_path_buf()];
        while let Some(path) = waiting.pop() {
            // The input itself may be a link; what it holds may not.
            let is_root = path == root;
            let metadata = if is_root { path.metadata() } else { path.symlink_metadata() };
            let metadata = metadata.map_err(Failure::file("read", &path))?;
            if metadata.is_dir() {
                for entry in path.read_dir().map_err(Failure::file("read", &path))? {
                    waiting.push(entry.map_err(Failure::file("read", &path))?.path());
                }
            } else if metadata.is_file() && is_text(&path).map_err(Failure::file("read", &path))? {
                let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
                let key = below.unwrap_or_else(|| path.file_name().map_or(&path, Path::new));
                let key = key.as_os_str().as_encoded_bytes().to_vec();
                input.bytes += metadata.len();
                input.files.push(InputFile { key, path, bytes: metadata.len() });
            }
        }
        if input.bytes == 0 {
            return Err(Failure::usage(format!("{} holds no text; name another file or folder", root.display())));
        }
        input.files.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(input)
    }
}

/// Where cargo keeps the sources of crates.
pub fn default_root() -> Option<PathBuf> {
    let home = || variable("HOME").map(|home| home.join(".cargo"));
    variable("CARGO_HOME").or_else(home).map(|cargo| cargo.join("registry/src")).filter(|root| root.is_dir())
}

fn is_text(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(SNIFF_BYTES as u64).read_to_end(&mut start)?;
    Ok(!start.contains(&0))
}

/// The lines of a file, without their ends; the last one may lack one. Longer ones come in pieces.
#[derive(Debug)]
pub struct Lines<R = File> {
    reader: BufReader<R>,
    line: Vec<u8>,
}

impl Lines {
    /// Opens the file for one pass; it may be gone since it was found.
    pub fn open(file: &InputFile) -> Result<Self> {
        Ok(Self::new(File::open(&file.path).map_err(Failure::file("read", &file.path))?))
    }
}

impl<R: Read> Lines<R> {
    fn new(reader: R) -> Self {
        Self { reader: BufReader::with_capacity(64 << 10, reader), line: Vec::new() }
    }

    /// The next line, or piece of one.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let read = (&mut self.reader).take(RECORD_BYTES_MAX as u64).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        Ok(Some(&self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(bytes);
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push(line.to_vec());
        }
        all
    }

    #[test]
    fn lines_come_without_their_ends() {
        assert_eq!(lines(b"a\n\nb\r\nc"), [b"a".to_vec(), b"".to_vec(), b"b\r".to_vec(), b"c".to_vec()]);
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"\n"), [b"".to_vec()]);
    }

    #[test]
    fn a_very_long_line_comes_in_pieces() {
        let long = vec![b'x'; RECORD_BYTES_MAX + 10];
        let pieces = lines(&long);
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [RECORD_BYTES_MAX, 10]);
    }

    #[test]
    fn files_are_found_in_order_and_binaries_left_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        std::fs::write(dir.path().join("b/two"), "two\n").unwrap();
        std::fs::write(dir.path().join("a"), "one\n").unwrap();
        std::fs::write(dir.path().join("binary"), b"\x7fELF\0").unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
        let input = Input::find(dir.path()).unwrap();
        let keys: Vec<_> = input.files.iter().map(|file| file.key.as_slice()).collect();
        assert_eq!((keys, input.bytes), (vec![b"a".as_slice(), b"b/two"], 8));

        let one = Input::find(&dir.path().join("a")).unwrap();
        assert_eq!(one.files[0].key, b"a");
    }

    #[test]
    fn an_input_without_text_is_wrong_usage() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Input::find(dir.path()).unwrap_err().code, crate::exit::Code::Usage);
        assert_eq!(Input::find(&dir.path().join("none")).unwrap_err().code, crate::exit::Code::Error);
    }
}
