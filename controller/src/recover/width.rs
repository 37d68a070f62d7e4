//! Lines that fit a terminal. Pure.

/// Columns of a line.
pub(super) const WIDTH: usize = 80;
/// A word of more is broken behind its commas: a list of ids.
const LONG_WORD: usize = 20;

/// Breaks the lines that are too long at spaces, and lists of ids behind commas. A command stands on one line, to be
/// copied; so does a word that is longer, as a name, an address or a folder may be.
pub(super) fn fit(text: &str) -> String {
    text.split('\n').map(fit_line).collect::<Vec<_>>().join("\n")
}

/// True if the line is a command.
pub(super) fn is_command(line: &str) -> bool {
    line.trim_start().starts_with("holdfast")
}

fn fit_line(line: &str) -> String {
    if line.chars().count() <= WIDTH || is_command(line) {
        return line.to_owned();
    }
    let text = line.trim_start_matches(' ');
    let indent = line.len() - text.len();
    let hanging = hanging(text, indent);
    let mut lines = Vec::new();
    let mut current = " ".repeat(indent);
    for piece in text.split_inclusive(' ').flat_map(pieces) {
        let width = current.chars().count() + piece.trim_end().chars().count();
        if width > WIDTH && !current.trim().is_empty() {
            lines.push(current.trim_end().to_owned());
            current = " ".repeat(hanging);
        }
        current.push_str(piece);
    }
    lines.push(current.trim_end().to_owned());
    lines.join("\n")
}

/// Where it goes on: under its value, if a label stands before that with spaces between; else two behind its beginning.
fn hanging(text: &str, indent: usize) -> usize {
    let value = text.split_once("  ").map(|(_, rest)| rest.trim_start_matches(' '));
    let column = value.map_or(0, |value| indent + text[..text.len() - value.len()].chars().count());
    if (1..=WIDTH / 2).contains(&column) { column } else { indent + 2 }
}

/// A word, or what it lists.
fn pieces(word: &str) -> Vec<&str> {
    if word.chars().count() > LONG_WORD { word.split_inclusive(',').collect() } else { vec![word] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_only_where_it_is_too_long() {
        let short = "one\n  two   three\n\nfour";
        assert_eq!(fit(short), short);
        let word = "123456789";
        let long = format!("  a {}", [word; 9].join(" "));
        let broken = format!("  a {}\n    {}", [word; 7].join(" "), [word; 2].join(" "));
        assert_eq!(fit(&long), broken);
        let labelled = format!("label:    {}", [word; 8].join(" "));
        let broken = format!("label:    {}\n          {word}", [word; 7].join(" "));
        assert_eq!(fit(&labelled), broken, "under its value");
    }

    #[test]
    fn ids_are_broken_behind_commas_and_a_command_is_not() {
        let ids: Vec<String> = (1000..1040).map(|id| id.to_string()).collect();
        let text = fit(&format!("Registered here: {}", ids.join(",")));
        assert!(text.lines().count() == 3 && text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.replace("\n  ", ""), format!("Registered here: {}", ids.join(",")));
        let command = format!("  holdfast-controller recover --brokers {}", ids.join(","));
        assert_eq!(fit(&command), command);
        let folder = format!("in {}", "/folder".repeat(20));
        assert_eq!(fit(&folder), folder.replace("in ", "in\n  "), "a word stays whole");
    }
}
