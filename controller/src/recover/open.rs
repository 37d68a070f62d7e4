//! What is told of entries that may not be committed, and count from now on.

use crate::raft::OpenEntries;

/// What counts from now on though nobody may have agreed to it, one entry a line.
pub(super) fn told(entries: &OpenEntries) -> String {
    let (told, more) = entries.told();
    let mut lines: Vec<String> = told.iter().map(|entry| format!("index {}: {}", entry.index, entry.text)).collect();
    if more > 0 {
        lines.push(format!("... and {more} more"));
    }
    format!("\nNOT KNOWN TO BE COMMITTED, and counts as committed from now on:\n  {}", lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{OpenEntry, Weight};

    #[test]
    fn each_entry_has_a_line() {
        let mut entries = OpenEntries::default();
        for index in 1..=60 {
            entries.add(OpenEntry { index, text: format!("what {index} does"), weight: Weight::Ordered });
        }
        let text = told(&entries);
        assert!(text.contains("from now on:\n  index 11: what 11 does\n  index 12: what 12 does\n"), "{text}");
        assert!(text.ends_with("\n  index 60: what 60 does\n  ... and 10 more"), "{text}");
    }
}
