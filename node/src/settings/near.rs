//! Finds the key that was meant by one that does not exist.

/// Says that there is no such key, and which of `known` may be meant: the one with the fewest edits, else one that
/// begins like it.
pub(super) fn unknown(key: &str, known: &[&'static str]) -> String {
    let few = 3.max(key.len() / 4);
    let edited = known.iter().map(|known| (distance(key, known), known)).min().filter(|(edits, _)| *edits <= few);
    let begun = || known.iter().find(|known| key.len() >= 4 && known.starts_with(key));
    match edited.map(|(_, known)| known).or_else(begun) {
        Some(near) => format!("unknown key `{key}`: did you mean `{near}`?"),
        None => format!("unknown key `{key}`"),
    }
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::unknown;

    #[test]
    fn the_near_key_is_named() {
        let known = ["client_listen", "default_replication_factor", "peers"];
        let check = |key: &str, near: Option<&str>| {
            let near = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            assert_eq!(unknown(key, &known), format!("unknown key `{key}`{near}"));
        };
        check("client_listn", Some("client_listen"));
        check("peer", Some("peers"));
        check("default_replication", Some("default_replication_factor"));
        check("def", None);
        check("table", None);
    }
}
