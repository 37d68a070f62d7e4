//! Lines that fit a terminal: longer ones are broken between their parts, and nowhere else.

use std::io::{self, IsTerminal};

use crate::output::{note, say};

/// Prints why a command failed: broken at a terminal, but for lines that begin with two blanks, which are to be copied.
pub fn note_error(message: &str) {
    let is_terminal = io::stderr().is_terminal();
    let message = format!("error: {message}");
    let lines: Vec<_> = message.lines().map(|line| error_line(line, is_terminal)).collect();
    note(lines.join("\n"));
}

fn error_line(line: &str, is_terminal: bool) -> String {
    as_read(line, " ", is_terminal && !line.starts_with("  "))
}

/// Characters of a line on the narrowest terminal that is written for.
pub(crate) const WIDTH: usize = 80;
/// What stands before the rest of a line that was broken.
const INDENT: &str = "  ";

/// Breaks a line between its parts, which `between` separates, where it would get longer than [`WIDTH`]. A part that is
/// longer stands alone.
pub(crate) fn fit(line: &str, between: &str) -> String {
    let (mark, blank) = between.split_at(between.trim_end().len());
    let (start, line) = line.split_at(line.len() - line.trim_start().len());
    let mut text = start.to_owned();
    let mut used = start.len();
    let mut parts = line.split(between).enumerate().peekable();
    while let Some((at, part)) = parts.next() {
        let ending = if parts.peek().is_some() { mark } else { "" };
        let needed = part.chars().count() + ending.len();
        if at > 0 && used + blank.len() + needed <= WIDTH {
            text.push_str(blank);
            used += blank.len() + needed;
        } else if at > 0 {
            text.extend(["\n", start, INDENT]);
            used = start.len() + INDENT.len() + needed;
        } else {
            used += needed;
        }
        text.extend([part, ending]);
    }
    text
}

/// The line as it is for scripts, and broken where a person reads it.
fn as_read(line: &str, between: &str, is_terminal: bool) -> String {
    if is_terminal { fit(line, between) } else { line.to_owned() }
}

/// Prints a long line to standard output: broken at a terminal, and in one elsewhere, where scripts read it.
pub(crate) fn say_long(line: &str, between: &str) {
    say(as_read(line, between, io::stdout().is_terminal()));
}

/// As [`say_long`], to standard error.
pub(crate) fn note_long(line: &str, between: &str) {
    note(as_read(line, between, io::stderr().is_terminal()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_between_its_parts_and_never_within() {
        let account =
            "acked=1234567 read=1234567 lost=0 duplicated=0 reordered=0 in_doubt=0 refused=0 longest_pause_ms=1";
        let broken = fit(account, " ");
        assert_eq!(
            broken,
            "acked=1234567 read=1234567 lost=0 duplicated=0 reordered=0 in_doubt=0 refused=0\n  longest_pause_ms=1"
        );
        assert!(broken.lines().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(broken.split_whitespace().collect::<Vec<_>>().join(" "), account);
        let parts = ["p50 1.20 ms"; 9].join(", ");
        for line in fit(&parts, ", ").lines() {
            assert!(line.chars().count() <= WIDTH && line.trim_end_matches(',').ends_with("ms"), "{line}");
        }
        assert_eq!(fit(&parts, ", ").replace("\n  ", " "), parts);
    }

    #[test]
    fn what_fits_and_what_has_no_parts_stays() {
        let exact = ["x".repeat(40), "y".repeat(39)].join(" ");
        assert_eq!(fit(&exact, " "), exact);
        let long = "x".repeat(100);
        assert_eq!(fit(&long, " "), long);
        assert_eq!(fit(&format!("a {long} b"), " "), format!("a\n  {long}\n  b"));
        assert_eq!(fit("", " "), "");
        assert_eq!(fit("  -> start it", " "), "  -> start it", "blanks at the start are none between parts");
        assert_eq!(fit(&format!("  -> {}", "x".repeat(76)), " "), format!("  ->\n    {}", "x".repeat(76)));
    }

    #[test]
    fn scripts_get_one_line() {
        let line = ["field=1"; 20].join(" ");
        assert_eq!(as_read(&line, " ", false), line);
        assert!(as_read(&line, " ", true).contains('\n'));
        assert!(error_line(&format!("error: {line}"), true).contains('\n'));
        assert_eq!(error_line(&format!("  holdfast {line}"), true), format!("  holdfast {line}"), "it is to be copied");
    }
}
