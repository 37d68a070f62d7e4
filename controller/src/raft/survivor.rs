//! The store of a controller that is stopped: what it holds, and how it goes on as the only voter.
//!
//! 1. Its whole log counts as committed, also what it did not know to be. An entry that was committed is on a majority, and may
//!    have been acknowledged; this controller cannot tell it from one that was not. To keep one that was never acknowledged
//!    harms nobody who asks again: its proposer was told that the outcome is not known. To drop one that was would lose it. Two
//!    kinds let brokers delete records, which cannot be repeated or undone: where a topic is deleted all of its records
//!    go, and where its retention gets shorter the older ones. So these topics are named ([`Survivor::vanishing`],
//!    [`Survivor::shortened`]), and an operator has to say yes. The others are told ([`Survivor::open`]).
//! 2. What it goes on with is one snapshot, far above the last index, with a membership of itself alone: the log is empty,
//!    the vote is its own in a term far above. All of it is one write to the store: a crash leaves either everything as it was, or
//!    all of it. The mark of what was told follows, and is never ahead.
//! 3. A folder that others refused as a copy ([`crate::lineage`]) can go on too: they are given up, and what is known of its
//!    past, with a lower recovery, counts for nothing. What it knew of others is forgotten as well.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
};

use openraft::{BasicNode, Membership, vote::RaftLeaderId as _};

use holdfast_metadata::{
    Command, Image, Record, TopicConfig,
    recovery::TERM_LEAP,
    retention::{ShortenedTopic, shortened_topics},
    version::SUPPORTED,
};
use holdfast_proto::ids::{BrokerId, MetadataIndex, TopicId};

use super::{
    applying::{self, Members},
    codec::{decode, decode_image_at, encode, encode_image},
    lineages::{GIVEN_UP, KNOWN, REFUSED},
    log_store::{COMMITTED, PURGED, check},
    open_entries::{OpenEntries, OpenEntry},
    types::{Entry, LogId, SnapshotMeta, StoredMembership, Vote},
};
use crate::store::{self, Op, Store, VOTE};

/// Bytes of entries that are read at once (one entry at least).
const READ_BYTES: usize = 4 << 20;

/// A member, by the log that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Raft id of its data folder.
    pub id: u64,
    /// `host:port` at which the others reach it.
    pub address: String,
    /// True for a voter, false for one that only copied the log.
    pub votes: bool,
}

/// What the store of a stopped controller holds. See the module.
#[derive(Debug)]
pub struct Survivor {
    store: Store,
    last: LogId,
    vote: Option<Vote>,
    committed: Option<LogId>,
    members: Members,
    image: Image,
    open: OpenEntries,
    forgotten: BTreeSet<BrokerId>,
    vanishing: Vec<String>,
    shortened: Vec<ShortenedTopic>,
    behind: Option<String>,
    refused: Option<String>,
}

impl Survivor {
    /// Reads all of it. A store that is behind its mark is read all the same, and says so; `unread`: why nothing is known of
    /// the mark, which counts as much. Blocks.
    pub fn read(store: Store, unread: Option<String>) -> io::Result<Self> {
        let vote: Option<Vote> = store.read_state(VOTE)?.map(|bytes| decode("vote", &bytes)).transpose()?;
        let purged: Option<LogId> = store.read_state(PURGED)?.map(|bytes| decode("purge mark", &bytes)).transpose()?;
        let committed: Option<LogId> = match store.read_state(COMMITTED)? {
            Some(bytes) => decode("commit mark", &bytes)?,
            None => None,
        };
        let mut read = Read::from_snapshot(&store)?;
        // How far it is committed comes first: what that covers needs no words. A snapshot holds nothing else.
        let snapshot = read.last;
        let end = end_of_log(&store, snapshot)?;
        let is_believed = |mark: &LogId| end.is_some_and(|end| is_within(*mark, end));
        let committed = committed.filter(is_believed).max(snapshot);
        read.committed = committed.map(|committed| committed.index);
        let mut next = read.last.map_or(0, |last| last.index + 1);
        loop {
            let entries = store.read_log(next, u64::MAX, READ_BYTES)?;
            if entries.is_empty() {
                break;
            }
            for (index, bytes) in entries {
                if index != next {
                    let hole = format!("the log has no entry {next}, and goes on with {index}");
                    return Err(store::Error::Damaged(hole).into());
                }
                read.apply(decode(&format!("log entry {index}"), &bytes)?)?;
                next += 1;
            }
        }
        let last = read.last.max(purged).ok_or_else(|| io::Error::other("the store holds no log"))?;
        if read.last != Some(last) {
            return Err(
                store::Error::Damaged(format!("the log is purged up to {last}, and no snapshot holds that")).into()
            );
        }
        let behind = match store.told() {
            _ if unread.is_some() => unread,
            Some(told) => check(told, last.index + 1, vote.as_ref()).err().map(|error| error.to_string()),
            None => None,
        };
        let refused = match store.read_state(REFUSED)? {
            Some(why) => Some(why),
            None => store.read_state(GIVEN_UP)?,
        };
        let refused = refused.map(|why| String::from_utf8_lossy(&why).into_owned());
        let Read { members, image, open, mut forgotten, vanishing, altered, .. } = read;
        // One that came back since is there.
        forgotten.retain(|broker| image.broker(*broker).is_none());
        let shortened = shortened_topics(altered, &image);
        Ok(Self {
            store,
            last,
            vote,
            committed,
            members,
            image,
            open,
            forgotten,
            vanishing,
            shortened,
            behind,
            refused,
        })
    }

    /// The metadata as of the last entry of the log.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Term of the last entry of the log.
    pub fn last_term(&self) -> u64 {
        self.last.leader_id.term
    }

    /// The last vote's term; 0 if there was none.
    pub fn vote_term(&self) -> u64 {
        self.vote.map_or(0, |vote| vote.leader_id().term)
    }

    /// How far it knew that its log is committed; a little later than it knew is possible.
    pub fn committed(&self) -> MetadataIndex {
        MetadataIndex(self.committed.map_or(0, |committed| committed.index))
    }

    /// What is not known to be committed and changes the metadata, in words; deletions too.
    pub fn open(&self) -> &OpenEntries {
        &self.open
    }

    /// The brokers that are removed by what is not known to be committed: they may be registered, and there.
    pub fn forgotten(&self) -> &BTreeSet<BrokerId> {
        &self.forgotten
    }

    /// The topics, by name, that are deleted by what is not known to be committed, in the order in which they are. What an
    /// older commit mark does not cover is among them, even if it was carried out before.
    pub fn vanishing(&self) -> &[String] {
        &self.vanishing
    }

    /// The topics that stay, by name, of which brokers delete records sooner by what is not known to be committed, with
    /// what changes. Compared with every state of the topic from the last that is known to be committed on, for each of
    /// them may be that of the cluster.
    pub fn shortened(&self) -> &[ShortenedTopic] {
        &self.shortened
    }

    /// What the store lacks of what this controller told others, or why nobody can say; `None` if it is whole.
    pub fn behind(&self) -> Option<&str> {
        self.behind.as_deref()
    }

    /// Which controller refused this folder for good, as a copy, one that is used twice or one that was given up, and why;
    /// `None` if none did.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// The members by its log, in the order of their ids.
    pub fn members(&self) -> Vec<Voice> {
        let voters: Vec<u64> = self.members.voter_ids().collect();
        self.members
            .nodes()
            .map(|(id, node)| Voice { id: *id, address: node.addr.clone(), votes: voters.contains(id) })
            .collect()
    }

    /// The ids of the voters: one half, or the old and the new one while their change is half done by its log. Of each
    /// a majority decides.
    pub fn halves(&self) -> &[BTreeSet<u64>] {
        self.members.get_joint_config()
    }

    /// Makes the controller `own` at `address` the only member, and the metadata `image`. Durable when it returns. Blocks.
    pub fn go_on(self, own: u64, address: &str, image: &Image) -> io::Result<()> {
        let told = match self.store.told() {
            Some(told) if !told.vote.is_empty() => decode::<Vote>("vote in the mark", &told.vote)?.leader_id().term,
            _ => 0,
        };
        let term = self.vote_term().max(self.last_term()).max(told) + TERM_LEAP;
        let vote = Vote::new_committed(term, own);
        let at = LogId::new(vote.leader_id().to_committed(), image.index().0);
        let nodes = [(own, BasicNode::new(address))].into_iter().collect::<BTreeMap<_, _>>();
        let members = Membership::new(vec![[own].into()], nodes).map_err(io::Error::other)?;
        let meta = SnapshotMeta { last_log_id: Some(at), last_membership: StoredMembership::new(Some(at), members) };
        let (meta, data) = (encode(&meta)?, encode_image(image)?);
        let (vote, value) = (encode(&vote)?, encode(&at)?);
        let begin = |done| Op::BeginAt {
            meta,
            data,
            vote,
            up_to: at.index,
            key: PURGED,
            value,
            forget: &[REFUSED, GIVEN_UP, KNOWN],
            done,
        };
        Ok(self.store.write_blocking(begin)?)
    }
}

/// What was read so far.
struct Read {
    last: Option<LogId>,
    members: Members,
    image: Image,
    hashes: HashMap<MetadataIndex, holdfast_metadata::HistoryHash>,
    /// How far the log is known to be committed; what follows is of entries behind that.
    committed: Option<u64>,
    /// What they do, in words.
    open: OpenEntries,
    /// The brokers that they remove.
    forgotten: BTreeSet<BrokerId>,
    /// The topics that they delete, by name.
    vanishing: Vec<String>,
    /// The settings that topics had before they were altered.
    altered: Vec<(TopicId, TopicConfig)>,
}

impl Read {
    fn from_snapshot(store: &Store) -> io::Result<Self> {
        let Some(stored) = store.read_snapshot()? else {
            return Ok(Self::at(None, Members::default(), Image::default()));
        };
        let meta: SnapshotMeta = decode("snapshot's meta data", &stored.meta)?;
        let at = MetadataIndex(meta.last_log_id.map_or(0, |id| id.index));
        let image = decode_image_at(at, &stored.data)?;
        unless_unknown(&image)?;
        let members = meta.last_membership.membership().clone();
        Ok(Self::at(meta.last_log_id, members, image))
    }

    fn at(last: Option<LogId>, members: Members, image: Image) -> Self {
        Self {
            last,
            members,
            image,
            hashes: HashMap::new(),
            committed: None,
            open: OpenEntries::default(),
            forgotten: BTreeSet::new(),
            vanishing: Vec::new(),
            altered: Vec::new(),
        }
    }

    /// Carries one entry out, as a controller does that applies it.
    fn apply(&mut self, entry: Entry) -> io::Result<()> {
        let (log_id, command, members) = applying::parts(entry);
        self.members = members.unwrap_or_else(|| std::mem::take(&mut self.members));
        if let Some((index, ..)) = applying::differs(command.as_ref(), |index| self.hashes.get(&index).copied()) {
            let message = format!(
                "the metadata of this controller differs from that of most others since index {index} or before: go on \
                 with another one"
            );
            return Err(io::Error::other(message));
        }
        let index = MetadataIndex(log_id.index);
        let is_open = self.committed.is_none_or(|committed| log_id.index > committed);
        let before = (is_open && command.is_some()).then(|| self.image.clone());
        let (_, records) = applying::apply(&mut self.image, index, command.as_ref())?;
        if let (Some(command), Some(before)) = (&command, &before) {
            self.note(log_id.index, command, before, &records);
        }
        self.hashes.extend(self.image.history().map(|hash| (index, hash)));
        unless_unknown(&self.image)?;
        self.last = Some(log_id);
        Ok(())
    }

    /// Notes what an entry did that is not known to be committed. What was refused, and what was so before, is not
    /// told.
    fn note(&mut self, index: u64, command: &Command, before: &Image, records: &[Record]) {
        if records.is_empty() {
            return;
        }
        match command {
            Command::UnregisterBroker { broker_id } => {
                self.forgotten.insert(*broker_id);
            }
            Command::DeleteTopic { topic_id } => {
                let deleted = before.topic(*topic_id).filter(|_| self.image.topic(*topic_id).is_none());
                self.vanishing.extend(deleted.map(|topic| topic.name().to_owned()));
            }
            Command::AlterTopic(alter) => {
                let altered = before.topic(alter.topic_id);
                self.altered.extend(altered.map(|topic| (topic.topic_id(), topic.config().clone())));
            }
            _ => {}
        }
        if let Some(entry) = OpenEntry::of(index, command, before, records) {
            self.open.add(entry);
        }
    }
}

/// The last entry of the log, or that of the snapshot where the log has none behind it.
fn end_of_log(store: &Store, snapshot: Option<LogId>) -> io::Result<Option<LogId>> {
    let Some((index, bytes)) = store.last_log()? else { return Ok(snapshot) };
    if snapshot.is_some_and(|snapshot| snapshot.index >= index) {
        return Ok(snapshot);
    }
    Ok(Some(applying::parts(decode(&format!("log entry {index}"), &bytes)?).0))
}

/// Refuses metadata of a version that this build does not know.
fn unless_unknown(image: &Image) -> io::Result<()> {
    let Some(finalised) = applying::unknown_version(image) else { return Ok(()) };
    let message =
        format!("the cluster's metadata version is {finalised}, and this build supports {SUPPORTED}: upgrade it");
    Err(io::Error::other(message))
}

/// True if a mark says no more than that the log which ends so is committed. One of a lower term that lies behind its
/// end is of another log: it says nothing of this one.
fn is_within(mark: LogId, last: LogId) -> bool {
    mark <= last && mark.index <= last.index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(term: u64, index: u64) -> LogId {
        LogId::new(Vote::new_committed(term, 1).leader_id().to_committed(), index)
    }

    #[test]
    fn a_mark_counts_only_within_the_log_by_its_term_and_by_its_index() {
        let last = at(5, 40);
        for mark in [at(5, 40), at(5, 39), at(3, 40), at(0, 0)] {
            assert!(is_within(mark, last), "{mark}");
        }
        for mark in [at(5, 41), at(6, 1), at(4, 41)] {
            assert!(!is_within(mark, last), "{mark}");
        }
    }
}
