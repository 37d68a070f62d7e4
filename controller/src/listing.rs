//! Lists in words. Pure.

use std::fmt::Display;

/// All of them, with this between them.
pub(crate) fn list(items: impl IntoIterator<Item = impl Display>, separator: &str) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(separator)
}

/// The first `max`, with commas, and how many more there are.
pub(crate) fn some(items: impl Iterator<Item = String>, max: usize) -> String {
    let all: Vec<String> = items.collect();
    let named = list(&all[..all.len().min(max)], ", ");
    match all.len().saturating_sub(max) {
        0 => named,
        more => format!("{named}, and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_the_first_are_named() {
        let of = |count: u32| some((1..=count).map(|n| n.to_string()), 3);
        assert_eq!([of(0), of(3), of(5)], ["", "1, 2, 3", "1, 2, 3, and 2 more"]);
    }
}
