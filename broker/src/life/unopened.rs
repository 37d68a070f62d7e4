//! What it means that a log cannot be opened when the broker starts.
//!
//! Only damage says anything against the records: such a replica is noted as distrusted, durably, and copied again. Whatever
//! else keeps a log closed says that it could not be looked at: a wrong owner or mode of its files, an older program than the
//! one that wrote them, too few handles. Were that noted as well, it would stay so when the cause is gone, on all brokers at once
//! where the cause is one for all, and nobody would be left to lead. Where it goes for some the broker starts with the others,
//! be it that these are damaged or gone, and are copied again. Where it goes for all there is nothing that it could serve, and
//! it ends; but not where the disk does not read them: then each is tried again, and copied again where another leads.

use holdfast_log::Error;
use holdfast_proto::ids::TopicPartition;

use crate::exit::Fatal;

/// A log that cannot be opened.
pub(super) type Unopened = (TopicPartition, Error);

/// Replicas that are named in a message, at most.
const NAMED: usize = 3;

/// Says of some logs that they could not be read, and what comes of it.
pub(super) fn tell(unread: &[Unopened]) {
    for (partition, error) in unread.iter().take(NAMED) {
        tracing::error!(
            %partition,
            %error,
            "this replica cannot be read: it is not in sync, and is not given up; it is tried again"
        );
    }
    if unread.len() > NAMED {
        tracing::error!(more = unread.len() - NAMED, "so it is with more replicas");
    }
}

/// True if what keeps these logs closed may be one cause for all that this broker could ever open: rights, a newer program,
/// want of handles. A place that the disk does not read is that of one log.
pub(super) fn is_one_for_all(unread: &[Unopened]) -> bool {
    unread.iter().any(|(_, error)| !error.is_unreadable())
}

/// Why the broker ends where no log could be read: nothing was said against them, to nobody.
pub(super) fn fatal(unread: &[Unopened]) -> Fatal {
    let named: Vec<String> =
        unread.iter().take(NAMED).map(|(partition, error)| format!("{partition}: {error}")).collect();
    let more = match unread.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let what = format!("{} of its logs cannot be read: {}{more}", unread.len(), named.join("; "));
    if unread.iter().any(|(_, error)| error.is_shortage()) {
        let cure = "the broker needs two open files for each log, and some for connections: raise the limit (`ulimit -n`, \
                    LimitNOFILE), or give it more memory";
        return Fatal::StorageFailed(format!("{what}. No replica was given up for it: {cure}"));
    }
    let cure = "the next start reads them again. Look whose files these are and which mode \
                they have (user and group of the process, security labels), use the newer program again if they are of a newer \
                version, and replace the disk if it cannot be read";
    Fatal::DataFolder(format!("{what}. No replica was given up for it: {cure}"))
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf, sync::Arc};

    use uuid::Uuid;

    use holdfast_proto::ids::{PartitionIndex, TopicId};

    use super::*;

    // As Linux numbers them.
    const EACCES: i32 = 13;
    const EMFILE: i32 = 24;

    fn failed(errno: i32) -> Error {
        let source = Arc::new(io::Error::from_raw_os_error(errno));
        Error::Io { doing: "cannot read", path: PathBuf::from("a file"), source }
    }

    #[test]
    fn the_end_names_some_logs_and_the_way_out() {
        let unread = |errno| {
            let partition =
                |index| TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(index) };
            fatal(&(0..5).map(|index| (partition(index), failed(errno))).collect::<Vec<_>>())
        };
        let refused = unread(EACCES);
        assert_eq!(refused.number(), 11);
        let text = refused.to_string();
        assert!(text.contains("5 of its logs") && text.contains("-2: ") && !text.contains("-3: "), "{text}");
        assert!(text.contains("and 2 more") && text.contains("user and group"), "{text}");
        let short = unread(EMFILE);
        assert!(short.number() == 14 && short.to_string().contains("ulimit -n"), "{short}");
    }
}
