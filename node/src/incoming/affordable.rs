//! How many connections a port may have, as far as the process may have files open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the connections of one port may take of the files that the process may have open, as a part: so two ports leave
/// most to logs and databases, whatever comes to them.
const PART: u64 = 12;

/// Fewest, however few files there may be.
const LEAST: u64 = 8;

/// `wanted`, or as many as can be afforded; says so if these are fewer. Raises the limit of this process first, as far as
/// the system allows.
pub(super) fn affordable(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Refused: it stays as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let files = getrlimit(Resource::Nofile).current;
    let most = most(wanted, files);
    if most < wanted {
        let files = files.unwrap_or(u64::MAX);
        tracing::info!(
            max_connections = wanted,
            connections = most,
            files,
            "few files may be open: fewer connections are accepted than are allowed; raise the limit (`ulimit -n`, LimitNOFILE) \
             to twelve times as many"
        );
    }
    most
}

/// Pure. No limit of files is `None`.
fn most(wanted: usize, files: Option<u64>) -> usize {
    let affordable = files.map_or(u64::MAX, |files| (files / PART).max(LEAST));
    wanted.min(usize::try_from(affordable).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_most_files_to_the_others() {
        let cases = [
            (4_096, None, 4_096),
            (4_096, Some(1 << 20), 4_096),
            (4_096, Some(1_024), 85),
            (4_096, Some(10), 8),
            (2, Some(10), 2),
        ];
        for (wanted, files, expected) in cases {
            assert_eq!(most(wanted, files), expected, "{wanted} with {files:?}");
        }
        assert_eq!(affordable(1), 1);
    }
}
