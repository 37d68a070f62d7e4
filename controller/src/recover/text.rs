//! What is printed.

use std::fmt::Write as _;

use holdfast_metadata::{Image, retention::ShortenedTopic};
use holdfast_proto::{
    ids::{BrokerId, ClusterId, MetadataVersion},
    refusal::Recovered,
};

use crate::{
    listing::{list, some},
    raft::{Survivor, Voice},
};

/// Brokers that are named of those that do not know a version.
const MAX_BROKERS_NAMED: usize = 20;

/// What a store means that is behind its mark, or was refused by others.
pub(super) const OLDER_STORE: &str = "
Its store was cut, or is an older copy: it lacks entries that it acknowledged,
and which may have been committed with it. Any other controller whose store is
whole knows more: go on with that one. If there is none, this goes on from what
is left, and gives up the rest:
  --accept-older-store";

/// Why the store cannot be believed to hold what this controller told others; `None` if it can.
pub(super) fn older(survivor: &Survivor) -> Option<&'static str> {
    match (survivor.behind(), survivor.refused()) {
        (Some(_), _) => {
            Some("the store is behind what this controller told others, or its mark of that cannot be read")
        }
        (None, Some(_)) => Some("another controller refused this folder as a copy, or goes on since it was given up"),
        (None, None) => None,
    }
}

/// Which topics are deleted by what may never have been committed.
pub(super) fn vanishing(topics: &[String]) -> String {
    format!(
        "\nDELETED by entries that are not known to be committed, and count as committed\nfrom now on:\n  {}\n\
         Every broker deletes the records of these topics then, which nothing brings\nback. Copy the data folders of all \
         brokers first; then:\n  --accept-deletions",
        topics.join("\n  ")
    )
}

/// Which topics keep less by what may never have been committed.
pub(super) fn shortened(topics: &[ShortenedTopic]) -> String {
    format!(
        "\nKEPT FOR LESS by entries that are not known to be committed, and count as\ncommitted from now on:\n  {}\n\
         Every broker deletes records by these settings then, which nothing brings\nback. Copy the data folders of all \
         brokers first; then:\n  --accept-deletions",
        list(topics, "\n  ")
    )
}

/// Why nothing goes on while topics would be deleted, or would keep less.
pub(super) fn deletions_refused(vanishing: &[String], shortened: &[ShortenedTopic]) -> String {
    let mut what = Vec::new();
    if !vanishing.is_empty() {
        what.push(format!("these topics are deleted: {}", vanishing.join(", ")));
    }
    if !shortened.is_empty() {
        what.push(format!("these topics keep their records for less: {}", list(shortened, ", ")));
    }
    format!(
        "nothing was changed. By entries that are not known to be committed {}. Every broker deletes records by them \
         then, which nothing brings back. Copy the data folders of all brokers first; then say --accept-deletions",
        what.join("; and ")
    )
}

/// What the folder holds.
pub(super) fn found(folder: &str, node_id: u64, cluster_id: ClusterId, survivor: &Survivor) -> String {
    let image = survivor.image();
    let (index, committed) = (image.index().0, survivor.committed().0);
    let uncertain = match index.saturating_sub(committed) {
        0 => "",
        _ => "; what is after it may have been,\n                        and counts as committed from now on",
    };
    let brokers = list(image.brokers().keys(), ", ");
    let mut text = format!(
        "controller {node_id} of cluster {cluster_id}\n\
         in {folder}\n\
         last entry of its log:  term {}, index {index}\n\
         known to be committed:  up to index {committed}{uncertain}\n\
         last vote:              term {}\n\
         metadata:               {}, {}; brokers {}\n\
         controllers:            {}",
        survivor.last_term(),
        survivor.vote_term(),
        counted(image.topic_count(), "topic"),
        counted(image.partition_count(), "partition"),
        if brokers.is_empty() { "none" } else { &brokers },
        voices(&survivor.members(), "\n                        "),
    );
    if let Some(behind) = survivor.behind() {
        let _ = write!(text, "\nNOT WHOLE: {behind}");
    }
    if let Some(refused) = survivor.refused() {
        let _ = write!(text, "\nREFUSED: {refused}");
    }
    text
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The members, one a line.
fn voices(members: &[Voice], separator: &str) -> String {
    let one = |member: &Voice| {
        let learner = if member.votes { "" } else { ", which does not vote" };
        format!("{} ({}{learner})", member.id, member.address)
    };
    if members.is_empty() { "none".to_owned() } else { members.iter().map(one).collect::<Vec<_>>().join(separator) }
}

/// Who answers still, and is given up.
pub(super) fn still_there(answer: &[String]) -> String {
    format!(
        "\nthese answer still: stop them, and never start them again with the folders that\nthey have:\n  {}",
        answer.join("\n  ")
    )
}

/// Why nothing has to be given up where a majority answers. `counts`: this one belongs to it.
pub(super) fn majority(answer: &[String], counts: bool) -> String {
    let with = if counts { "this one, started as it is, and those" } else { "those" };
    format!(
        "nothing has to be given up, and nothing was changed: {with} that answer are a majority and hold the log ({}). \
         {}One of them becomes active within seconds. If none does, and that stays so: --against-majority, once they are \
         stopped",
        answer.join(", "),
        if counts { "Start this one. " } else { "" },
    )
}

/// Why nothing is given up where somebody is active. `beside`: the last recovery there, if this folder does not know it.
pub(super) fn active(address: &str, id: u64, beside: Option<Recovered>) -> String {
    match beside {
        None => format!(
            "nothing has to be given up, and nothing was changed: controller {id} is active (says the one at {address}). \
             Start this one as it is, or with an empty folder: it joins"
        ),
        Some(recovered) => format!(
            "controller {id} is active by a recovery that this folder does not know (says the one at {address}): \
             {recovered}. Nothing was changed: a second recovery beside it would give up what is decided there. Start this \
             one with an empty folder: it joins. If it is to go on instead, stop those first"
        ),
    }
}

/// What would be given up. `address`: where the controller that goes on serves then.
pub(super) fn given_up(survivor: &Survivor, others: &[Voice], address: &str, after: &Image) -> String {
    let last = after.controller_recoveries().last();
    let (without, expected) = last.map_or((&[][..], &[][..]), |last| (&last.without[..], &last.expected[..]));
    let expected = match expected {
        [] => String::new(),
        expected => format!(" Waited for too, though not\nknown here: {}.", list(expected, ", ")),
    };
    let others = match others {
        [] => String::new(),
        others => format!(
            "  these controllers, which must never be started again with the folders that\n  they have:\n    {}\n",
            voices(others, "\n    ")
        ),
    };
    format!(
        "\nto be given up, for good:\n{others}  \
         every change of the metadata after term {}, index {}:\n  topics, settings, moves, brokers\n\
         {}\
         Every broker has to start again; a partition gets its leader once all brokers\nhave said what they hold.{expected}",
        survivor.last_term(),
        survivor.image().index(),
        records(without, address),
    )
}

/// What becomes of records. `without`: the brokers that are given up.
fn records(without: &[BrokerId], address: &str) -> String {
    let brokers = match without {
        [] => "No broker is given up by this.".to_owned(),
        without => format!(
            "  brokers {}: what they hold counts for nothing, also if they come\n  back; records that they alone hold are \
             lost",
            list(without, ", ")
        ),
    };
    format!(
        "{brokers}\nTopics that were made later are gone, and their records stay on the disks,\nwhere nobody can read them. \
         Settings are as they were then, retention too: as\nsoon as a partition has a leader, records go by it that were \
         to be kept for\nlonger since.\nSo, as this controller serves and before a broker does:\n  {}\n",
        settings(address, "\n  ")
    )
}

/// The step by which no record goes that was to be kept: what is set is older than what was agreed to.
fn settings(address: &str, separator: &str) -> String {
    format!(
        "with all brokers stopped, look at the settings of each topic by which{separator}\
         records go: retention.ms, retention.bytes, segment.ms and segment.bytes;{separator}\
         set again what was raised lately:{separator}  \
         holdfast topic describe TOPIC --bootstrap {address}{separator}  \
         holdfast topic alter TOPIC -c SETTING=VALUE --bootstrap {address}"
    )
}

/// That the metadata version grows by it, and which brokers do not know the new one. `before`: the version until then.
pub(super) fn version(before: MetadataVersion, after: &Image) -> Option<String> {
    let version = after.version();
    let without = after.brokers_without(version).map(|broker| format!("{} ({})", broker.broker_id, broker.versions));
    let without = some(without, MAX_BROKERS_NAMED);
    let brokers = match &without[..] {
        "" => String::new(),
        without => format!(
            "\nThese brokers registered with such a program, and are refused until they are\nupgraded; with the versions that \
             it knows: {without}"
        ),
    };
    let grows = "programs that do not know it cannot be used any more";
    (version > before).then(|| format!("\nmetadata version {before} -> {version}: {grows}{brokers}"))
}

/// What was done, and what comes next.
pub(super) fn done(address: &str, after: &Image) -> String {
    let name = |broker: BrokerId| match after.broker(broker) {
        Some(_) => broker.to_string(),
        None => format!("{broker} (not known here)"),
    };
    let unheard: Vec<String> = after.unheard_brokers().map(name).collect();
    format!(
        "\nit is the only controller from now on, and the metadata goes on with index\n\
         {}. This is kept in the cluster for ever.\nnext:\n  \
         1. start this controller, at {address}; it serves alone\n  \
         2. {}\n  \
         3. start the other controllers with empty folders: they join by themselves\n  \
         4. start every broker again: {}.\n     \
         One that never comes: holdfast broker disk-lost ID\n  \
         5. holdfast cluster status: which brokers are waited for, and which\n     \
         partitions have no leader",
        after.index(),
        settings(address, "\n     "),
        if unheard.is_empty() { "there is none".to_owned() } else { unheard.join(", ") },
    )
}

#[cfg(test)]
mod tests {
    use holdfast_metadata::{
        BrokerRegistration, Record, VersionRange,
        retention::{Bound, Shortening},
    };
    use holdfast_proto::ids::{BrokerEpoch, ControllerId, MetadataIndex};

    use super::*;
    use crate::{
        recover::{
            naming::{Known, how_to_choose},
            width::{WIDTH, fit, is_command},
        },
        test_support::registration,
    };

    fn less(name: &str) -> ShortenedTopic {
        let (before, after) = (Bound::Unlimited, Bound::At(3_600_000));
        ShortenedTopic { name: name.to_owned(), settings: vec![Shortening { key: "retention.ms", before, after }] }
    }

    #[test]
    fn what_would_delete_records_is_refused_by_name() {
        let (goes, less) = (["goes".to_owned(), "too".to_owned()], [less("a"), less("b")]);
        let deleted = "committed these topics are deleted: goes, too";
        let kept = "these topics keep their records for less: a (retention.ms no limit -> 1 hour), b (retention.ms no \
                    limit -> 1 hour)";
        let check = |vanishing: &[String], shortened: &[ShortenedTopic], what: &str| {
            let why = deletions_refused(vanishing, shortened);
            assert!(why.contains(&format!("{what}. Every broker")) && why.ends_with("--accept-deletions"), "{why}");
        };
        check(&goes, &[], deleted);
        check(&[], &less, &format!("committed {kept}"));
        check(&goes, &less, &format!("{deleted}; and {kept}"));
    }

    /// Metadata of this version, with a broker that knows versions up to `max`.
    fn with_broker(version: u32, max: u32) -> Image {
        let versions = VersionRange::from_numbers(1, max);
        let registration = BrokerRegistration { versions, ..registration(BrokerId(4), BrokerEpoch(7)) };
        let mut image = Image::default();
        for record in [Record::Version { version: MetadataVersion(version) }, Record::Broker(registration)] {
            image.apply(&record).expect("it fits");
        }
        image
    }

    #[test]
    fn a_version_that_grows_is_told_with_the_brokers_that_do_not_know_it() {
        let told = |before, max| version(MetadataVersion(before), &with_broker(3, max));
        let grows = "\nmetadata version 2 -> 3: programs that do not know it cannot be used any more";
        assert_eq!(told(2, 3).as_deref(), Some(grows));
        let old = told(2, 2).expect("it grows");
        assert!(old.starts_with(grows) && old.ends_with("knows: 4 (1 to 2)"), "{old}");
        assert_eq!((told(3, 3), told(3, 2)), (None, None), "it was so before");
    }

    #[test]
    fn that_settings_are_older_is_told_before_brokers_start_also_where_one_is_given_up() {
        let step = "with all brokers stopped, look at the settings of each topic";
        let command = "holdfast topic alter TOPIC -c SETTING=VALUE --bootstrap c1:7072";
        for without in [&[][..], &[BrokerId(3)][..]] {
            let told = records(without, "c1:7072");
            assert!(told.contains(step) && told.contains(command), "{told}");
            for setting in ["retention.ms", "retention.bytes", "segment.ms", "segment.bytes"] {
                assert!(told.contains(setting), "{setting}: {told}");
            }
        }
        let told = done("c1:7072", &Image::default());
        let place = |part: &str| told.find(part).unwrap_or_else(|| panic!("{part}: {told}"));
        assert!(place("1. start this controller") < place(step) && place(step) < place(command), "{told}");
        assert!(place(command) < place("4. start every broker again"), "{told}");
    }

    #[test]
    fn a_topic_that_keeps_less_has_a_line_of_its_own() {
        let told = shortened(&[less("a"), less("b")]);
        let lines = "from now on:\n  a (retention.ms no limit -> 1 hour)\n  b (retention.ms no limit -> 1 hour)\nEvery";
        assert!(told.contains(lines) && told.ends_with("\n  --accept-deletions"), "{told}");
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let (address, command) = ("c1:7072", "holdfast-controller recover --data-dir /data --accept-loss");
        let image = with_broker(3, 2);
        let grows = version(MetadataVersion(2), &image).expect("it grows");
        let one = Known { registered: vec![1], removed: Vec::new() };
        let fixed = [
            OLDER_STORE.to_owned(),
            vanishing(&["goes".to_owned()]),
            shortened(&[less("a")]),
            still_there(&["c2:7072".to_owned()]),
            records(&[], address),
            records(&[BrokerId(3)], address),
            done(address, &image),
            grows,
            how_to_choose(command, &one, true),
        ];
        for text in fixed {
            assert_eq!(fit(&text), text, "nothing has to be broken");
        }
        let ids: Vec<u32> = (1..=300).collect();
        let brokers: Vec<BrokerId> = ids.iter().copied().map(BrokerId).collect();
        let names: Vec<String> = ids.iter().map(|id| format!("topic-{id}")).collect();
        let beside = Recovered { recoveries: 2, index: MetadataIndex(1), controller_id: ControllerId(u64::MAX) };
        let long = [
            majority(&names, true),
            majority(&names, false),
            active(address, u64::MAX, None),
            active(address, u64::MAX, Some(beside)),
            records(&brokers, address),
            how_to_choose(command, &Known { registered: ids.clone(), removed: ids }, true),
        ];
        let fits = |line: &str| line.chars().count() <= WIDTH || is_command(line);
        for text in long {
            assert!(fit(&text).lines().all(fits), "{text}");
        }
    }

    #[test]
    fn of_many_brokers_that_do_not_know_a_version_some_are_named() {
        let mut image = with_broker(3, 2);
        let known = image.broker(BrokerId(4)).expect("it is there").clone();
        for id in 5..30 {
            let broker =
                BrokerRegistration { broker_id: BrokerId(id), broker_epoch: BrokerEpoch(id.into()), ..known.clone() };
            image.apply(&Record::Broker(broker)).expect("it fits");
        }
        let told = version(MetadataVersion(2), &image).expect("it grows");
        assert!(told.ends_with("23 (1 to 2), and 6 more"), "{told}");
    }
}
