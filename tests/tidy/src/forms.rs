//! The form of a file: its imports, and what a `mod.rs` may hold.
//!
//! Imports stand in four groups with an empty line between: the standard library, other crates, the project's crates,
//! and `super` and `crate`.

use crate::uses;

/// Group of a `use` declaration, in the order in which they stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Std,
    Others,
    Ours,
    Own,
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Self::Std => "the standard library",
            Self::Others => "other crates",
            Self::Ours => "the project's crates",
            Self::Own => "`super` and `crate`",
        }
    }

    fn of(path: &str) -> Self {
        match path.split([':', ';', ' ']).next().unwrap_or_default() {
            "std" | "core" | "alloc" => Self::Std,
            "super" | "self" | "crate" => Self::Own,
            name if name.starts_with("holdfast_") => Self::Ours,
            _ => Self::Others,
        }
    }
}

/// Top-level private imports that stand in no group of their own, with their lines: `(line, problem)`.
pub fn misplaced_imports(text: &str) -> Vec<(usize, String)> {
    let own: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("mod ")).map(|rest| rest.trim_end_matches(';')).collect();
    let mut found = Vec::new();
    let mut before: Option<Group> = None;
    let (mut is_apart, mut is_open) = (true, false);
    for (number, line) in text.lines().enumerate() {
        if let Some(path) = line.strip_prefix("use ") {
            let first = path.split([':', ';', ' ']).next().unwrap_or_default();
            let group = if own.contains(&first) { Group::Own } else { Group::of(path) };
            match before {
                Some(last) if group < last => {
                    found.push((number + 1, format!("{} stand before {}", group.name(), last.name())));
                }
                Some(last) if group != last && !is_apart => {
                    found.push((
                        number + 1,
                        format!("an empty line stands between {} and {}", last.name(), group.name()),
                    ));
                }
                Some(last) if group == last && is_apart => {
                    found.push((number + 1, format!("{} stand in one group", group.name())));
                }
                _ => {}
            }
            before = Some(group);
            is_open = !line.ends_with(';');
            is_apart = false;
        } else if is_open {
            is_open = !line.ends_with(';');
        } else if line.is_empty() {
            is_apart = true;
        } else if !line.starts_with("//") && !line.starts_with("#[") {
            // What follows another item is not the head of the file any more.
            before = None;
        }
    }
    found
}

/// Lines at the top level that are neither docs, `mod`, `use` nor attributes: `(line, text)`, the first of each item.
pub fn beyond_declarations(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut depth, mut is_open) = (0_i64, false);
    for (number, (line, blanked)) in text.lines().zip(uses::blank(text).lines()).enumerate() {
        let code = blanked.trim();
        let is_declaration = ["mod ", "use ", "#[", "#!["].iter().any(|start| without_reach(code).starts_with(start));
        if depth == 0 && !is_open && !code.is_empty() && !is_declaration {
            found.push((number + 1, line.trim().to_owned()));
        }
        let count = |c| code.matches(c).count() as i64;
        depth += count('{') - count('}') + count('(') - count(')');
        is_open = depth == 0 && !code.is_empty() && !code.ends_with([';', '}', ']']);
    }
    found
}

/// The declaration without `pub` and how far it reaches.
fn without_reach(code: &str) -> &str {
    let Some(rest) = code.strip_prefix("pub") else { return code };
    let rest = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
    rest.trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_out_of_order_or_not_apart_are_found() {
        let lines = |text: &str| misplaced_imports(text).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
        let good = "use std::{\n    fs,\n};\n\nuse tokio::x;\n\nuse holdfast_proto::ids;\n\nuse super::a;\nuse crate::b;\n\nfn f() {}\n";
        assert!(lines(good).is_empty(), "{:?}", misplaced_imports(good));
        assert_eq!(lines("use tokio::x;\n\nuse std::fs;\n"), [3]);
        assert_eq!(lines("use std::fs;\nuse tokio::x;\n"), [2]);
        assert_eq!(lines("use std::fs;\n\nuse std::net;\n"), [3]);
        assert_eq!(lines("mod support;\n\nuse std::fs;\n\nuse support::up;\n"), [0; 0]);
    }

    #[test]
    fn logic_in_a_mod_rs_is_found() {
        let lines = |text: &str| beyond_declarations(text).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
        let good =
            "//! Docs.\n\nmod a;\npub(crate) mod b;\n\n#[cfg(test)]\nmod c;\n\npub use a::{\n    X,\n    Y,\n};\n";
        assert!(lines(good).is_empty(), "{:?}", beyond_declarations(good));
        assert_eq!(lines("mod a;\n\npub fn f(\n    x: u8,\n) -> u8 {\n    x\n}\n\nconst N: u8 = 1;\n"), [3, 9]);
    }
}
