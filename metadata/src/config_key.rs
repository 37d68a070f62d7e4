//! A word for who mistypes the key of a setting.

/// Names the key that was probably meant, or all of them.
pub(crate) fn unknown(key: &str, keys: &[&str]) -> String {
    let near = keys.iter().map(|known| (distance(key, known), *known)).min();
    match near {
        Some((steps, known)) if steps <= known.len() / 3 => format!("no such setting; did you mean {known}?"),
        _ => format!("no such setting; there are {}", keys.join(", ")),
    }
}

/// Edits that make one text the other (Levenshtein); `.`, `_` and `-` and the case count as equal.
fn distance(a: &str, b: &str) -> usize {
    let plain = |text: &str| -> Vec<char> {
        // Keys are short; the bound keeps the work small for a hostile one.
        let same = |c: char| if matches!(c, '_' | '-') { '.' } else { c.to_ascii_lowercase() };
        text.chars().take(64).map(same).collect()
    };
    let (a, b) = (plain(a), plain(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
