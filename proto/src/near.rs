//! The name that was meant by one that does not exist. Pure.

/// Letters of a name that are compared: names are short, and it keeps the work small for a hostile one.
const MAX_LETTERS: usize = 64;
/// Letters from which on the begin of a name stands for it.
const MIN_BEGIN: usize = 4;

/// The one of `known` with the fewest edits (Levenshtein), at most a third of its letters; else one that begins like
/// `name`. `.`, `_` and `-` count as equal, and so do small and capital letters.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = plain(name);
    let edits = |known: &&'k str| (strsim::levenshtein(&name, &plain(known)), *known);
    let near = known.iter().map(edits).min().filter(|(edits, known)| *edits <= known.len() / 3);
    let begun = || known.iter().find(|known| name.len() >= MIN_BEGIN && plain(known).starts_with(&name));
    near.map(|(_, known)| known).or_else(|| begun().copied())
}

fn plain(name: &str) -> String {
    let same = |letter: char| if matches!(letter, '_' | '-') { '.' } else { letter.to_ascii_lowercase() };
    name.chars().take(MAX_LETTERS).map(same).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_near_name_is_found() {
        let known = ["client_listen", "default_replication_factor", "peers", "retention.ms"];
        let check = |name: &str, near: Option<&str>| assert_eq!(nearest(name, &known), near, "{name}");
        check("client_listn", Some("client_listen"));
        check("client.Listen", Some("client_listen"));
        check("retention_msec", Some("retention.ms"));
        check("peer", Some("peers"));
        check("default_replication", Some("default_replication_factor"));
        check("def", None);
        check("table", None);
        check(&"é".repeat(1000), None);
        assert_eq!(nearest("a", &[]), None);
    }
}
