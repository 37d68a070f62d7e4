//! What is told of entries that may not be committed, and count from now on.

use crate::raft::OpenEntry;

/// Entries that are told.
const MAX_TOLD: usize = 50;

/// What counts from now on though nobody may have agreed to it, one entry a line.
pub(super) fn told(entries: &[OpenEntry]) -> String {
    let (told, more) = choose(entries);
    let mut lines: Vec<String> = told.iter().map(|entry| format!("index {}: {}", entry.index, entry.text)).collect();
    if more > 0 {
        lines.push(format!("... and {more} more"));
    }
    format!("\nNOT KNOWN TO BE COMMITTED, and counts as committed from now on:\n  {}", lines.join("\n  "))
}

/// Those that are told, in their order, and how many are not: what somebody ordered goes before what nodes do by
/// themselves.
fn choose(entries: &[OpenEntry]) -> (Vec<&OpenEntry>, usize) {
    let mut told: Vec<&OpenEntry> = entries.iter().collect();
    told.sort_by_key(|entry| !entry.is_ordered);
    told.truncate(MAX_TOLD);
    told.sort_by_key(|entry| entry.index);
    let more = entries.len() - told.len();
    (told, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, is_ordered: bool) -> OpenEntry {
        OpenEntry { index, text: format!("what {index} does"), is_ordered }
    }

    #[test]
    fn each_has_a_line_and_what_was_ordered_is_not_left_out() {
        let text = told(&[entry(4, false), entry(5, true)]);
        assert!(text.ends_with("from now on:\n  index 4: what 4 does\n  index 5: what 5 does"), "{text}");
        let last = MAX_TOLD as u64 + 10;
        let many: Vec<OpenEntry> = (1..=last).map(|index| entry(index, index == last)).collect();
        let text = told(&many);
        assert!(text.contains(&format!("what 49 does\n  index {last}: what {last} does\n  ... and 10 more")), "{text}");
        assert!(!text.contains("what 50 does"), "{text}");
    }
}
