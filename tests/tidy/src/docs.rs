//! Doc comments that say too little to be read.

/// Words that a doc comment of one line has at least: a unit, a bound or a meaning takes as many.
pub const WORDS_MIN: usize = 4;

/// Doc comments of a single line with fewer words than [`WORDS_MIN`]: the line, counted from 1, and the text.
pub fn too_short(content: &str) -> Vec<(usize, &str)> {
    let lines: Vec<_> = content.lines().collect();
    let doc = |at: usize| lines.get(at).and_then(|line| line.trim_start().strip_prefix("///"));
    let is_alone = |at: usize| (at == 0 || doc(at - 1).is_none()) && doc(at + 1).is_none();
    let short = |at: usize| doc(at).filter(|text| text.split_whitespace().count() < WORDS_MIN);
    let found = (0..lines.len()).filter(|at| is_alone(*at)).filter_map(|at| Some((at + 1, short(at)?.trim())));
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_three_words_is_refused_and_a_longer_comment_is_not() {
        let content = "/// Its id.\nid: u32,\n\n    /// Index in the topic.\n    index: u32,\n/// First,\n/// then.\n";
        assert_eq!(too_short(content), [(1, "Its id.")]);
        assert_eq!(too_short("fn f() {}\n    /// The end."), [(2, "The end.")]);
        assert_eq!(too_short("///"), [(1, "")]);
        assert!(too_short("// Short.\n//! Short.\n").is_empty(), "of doc comments of items alone");
    }
}
