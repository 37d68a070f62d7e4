//! Which brokers there are: what the folder knows of them, and what is asked. Pure.

use std::fmt::Write as _;

use crate::listing::list;

/// The brokers of which it has to be said whether they are there, or gone for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Those that are registered.
    pub(super) registered: Vec<u32>,
    /// Those that are removed by an entry that is not known to be committed. Most often one that was removed is gone:
    /// it is not offered with those that are there, for all would wait for it.
    pub(super) removed: Vec<u32>,
}

impl Known {
    /// The first that is neither among those that are there, `brokers`, nor among those that are gone, `without`; and
    /// true if it is one that was removed.
    pub(super) fn unnamed(&self, brokers: &[u32], without: &[u32]) -> Option<(u32, bool)> {
        let registered = self.registered.iter().copied().map(|broker| (broker, false));
        let removed = self.removed.iter().copied().map(|broker| (broker, true));
        registered.chain(removed).find(|(broker, _)| is_in_neither(*broker, brokers, without))
    }

    /// What is left to be said after these: all that are registered, if none was named as there, and who was removed
    /// and is in neither list.
    pub(super) fn unsaid(&self, brokers: &[u32], without: &[u32]) -> Self {
        Self {
            registered: if brokers.is_empty() { self.registered.clone() } else { Vec::new() },
            removed: self.removed.iter().copied().filter(|broker| is_in_neither(*broker, brokers, without)).collect(),
        }
    }
}

/// True if nothing was said of the broker.
fn is_in_neither(broker: u32, brokers: &[u32], without: &[u32]) -> bool {
    !brokers.contains(&broker) && !without.contains(&broker)
}

/// Who was removed, and where to name it; nothing if nobody was.
fn removed(ids: &[u32]) -> String {
    let all = list(ids, ",");
    match ids {
        [] => String::new(),
        [_] => format!(
            "Removed by an entry that is not known to be committed: {all}. If it is there, name it in --brokers too; if it \
             is gone: --without-brokers {all}"
        ),
        _ => format!(
            "Removed by entries that are not known to be committed: {all}. Name those that are there in --brokers too; if all \
             are gone: --without-brokers {all}"
        ),
    }
}

/// Why the brokers have to be named, and how.
pub(super) fn brokers_needed(known: &Known) -> String {
    let mut text =
        "nothing was changed. Say which brokers there are, also those that this controller does not know: a \
                    partition may have moved to them since, and then they alone hold its records. "
            .to_owned();
    // Writing into a string does not fail.
    let _ = match &known.registered[..] {
        [] => write!(text, "None is registered here; those that there are: --brokers IDS"),
        ids => write!(
            text,
            "Registered here are {}; with all others that there are: --brokers {}",
            list(ids, ", "),
            list(ids, ",")
        ),
    };
    text.push_str(". Those that are gone for good: --without-brokers IDS instead");
    if !known.removed.is_empty() {
        let _ = write!(text, ". {}", removed(&known.removed));
    }
    text
}

/// A broker of which nothing was said: registered, or removed by what is not known to be committed.
pub(super) fn broker_unnamed(broker: u32, is_removed: bool) -> String {
    let state =
        if is_removed { "is removed here by an entry that is not known to be committed" } else { "is registered here" };
    format!(
        "nothing was changed. Broker {broker} {state}, and neither among --brokers nor among --without-brokers: say \
         whether it is there, or gone for good"
    )
}

/// What to do where nothing was chosen yet, and the command for it. `unsaid`: the brokers of which it was not said
/// whether they are there. `asks`: no broker was named that is there.
pub(super) fn how_to_choose(command: &str, unsaid: &Known, asks: bool) -> String {
    let mut text = format!(
        "\nnothing was changed. First try everything to start a majority of the\n\
         controllers as they are. If that cannot be: run this on each controller that\n\
         is left, and go on with the one whose last entry has the highest term, and of\n\
         the same term the highest index:\n  \
         {command}"
    );
    if asks && *unsaid != Known::default() {
        let registered = if unsaid.registered.is_empty() { "none".to_owned() } else { list(&unsaid.registered, ",") };
        let _ = write!(
            text,
            " --brokers IDS\nIDS: every broker that there is, with commas, known here or not, as a partition\n\
             may have moved to one that is not. Registered here: {registered}"
        );
    }
    if !unsaid.removed.is_empty() {
        let _ = write!(text, "\n{}", removed(&unsaid.removed));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(registered: &[u32], removed: &[u32]) -> Known {
        Known { registered: registered.to_vec(), removed: removed.to_vec() }
    }

    #[test]
    fn who_was_removed_is_named_apart_and_not_offered_with_those_that_are_there() {
        let apart = "Removed by an entry that is not known to be committed: 2. If it is there, name it in --brokers too; if \
                     it is gone: --without-brokers 2";
        let asked = how_to_choose("recover", &known(&[1, 3], &[2]), true);
        assert!(asked.contains("recover --brokers IDS\n"), "{asked}");
        assert!(asked.ends_with(&format!("Registered here: 1,3\n{apart}")), "{asked}");
        let needed = brokers_needed(&known(&[1, 3], &[2]));
        assert!(needed.contains("--brokers 1,3. Those that are gone"), "{needed}");
        assert!(needed.ends_with(apart), "{needed}");
        let needed = brokers_needed(&known(&[], &[2, 4]));
        assert!(needed.contains("None is registered here; those that there are: --brokers IDS."), "{needed}");
        assert!(needed.ends_with("--without-brokers 2,4"), "{needed}");
        assert!(brokers_needed(&known(&[1], &[])).ends_with("--without-brokers IDS instead"));
    }

    #[test]
    fn what_was_said_is_not_asked_again() {
        let all = known(&[1, 3], &[2, 4]);
        assert_eq!(all.unsaid(&[], &[]), all);
        assert_eq!(all.unsaid(&[1, 2], &[]), known(&[], &[4]));
        assert_eq!(all.unsaid(&[], &[2, 4]), known(&[1, 3], &[]));
        let said = how_to_choose("recover --brokers 1,2", &known(&[], &[4]), false);
        assert!(said.contains("  recover --brokers 1,2\nRemoved by an entry") && said.ends_with(" 4"), "{said}");
        let nothing = how_to_choose("recover", &Known::default(), true);
        assert!(nothing.ends_with("highest index:\n  recover"), "{nothing}");
    }

    #[test]
    fn each_broker_that_is_known_is_named_in_one_of_the_two() {
        let all = known(&[1, 3], &[2]);
        assert_eq!(all.unnamed(&[1], &[]), Some((3, false)));
        assert_eq!(all.unnamed(&[1, 3], &[]), Some((2, true)));
        assert_eq!(all.unnamed(&[1, 3], &[2]), None);
        assert_eq!(all.unnamed(&[1, 2], &[3]), None);
    }
}
