//! Reads `use` declarations, and the paths that stand in code, from text that may be any Rust file.
//!
//! Not a parser of Rust: comments and strings are blanked first, and what is left is read word by word. That is enough
//! for a formatted tree, and needs no dependency.

/// One name that a `use` declaration brings in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Line of the declaration, from 1.
    pub line: usize,
    /// The path, as `["crate", "partition", "View"]`; a glob ends with `*`.
    pub path: Vec<String>,
    /// The name that it has here: the last segment, or the one after `as`.
    pub name: String,
    /// True for `pub use` of any reach.
    pub exported: bool,
}

/// The text with comments, strings and code of tests replaced by blanks; lines stay where they are.
pub fn blank(text: &str) -> String {
    without_tests(&without_words(text))
}

fn without_words(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let blank_to = |out: &mut String, from: usize, to: usize| {
        out.extend(text[from..to].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    };
    while at < bytes.len() {
        let rest = &text[at..];
        let end = if rest.starts_with("//") {
            at + rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            at + rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = rest.find('"').unwrap_or(0) + 1;
            at + rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if rest.starts_with('"') {
            at + string_end(rest)
        } else if rest.starts_with('\'') {
            at + char_end(rest)
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            out.push(c);
            at += c.len_utf8();
            continue;
        };
        blank_to(&mut out, at, end);
        at = end;
    }
    out
}

/// The number of hashes of a raw string that begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The end of a character; of a lifetime, of its quote alone.
fn char_end(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(end, _)| end + 3),
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(1, |(end, _)| end + 1),
        None => 1,
    }
}

/// Blanks every item under `#[cfg(test)]`.
fn without_tests(text: &str) -> String {
    let mut out = text.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let rest = &out[start..];
        let open = rest.find(['{', ';']).unwrap_or(rest.len() - 1);
        let end = if rest[open..].starts_with('{') { start + closing(rest, open) } else { start + open + 1 };
        let blanked: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blanked);
    }
    out
}

/// The place behind the brace that closes the one at `open`.
fn closing(text: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + index + 1;
        }
    }
    text.len()
}

/// Every import of a blanked text.
pub fn imports(blanked: &str) -> Vec<Import> {
    let mut found = Vec::new();
    let mut offset = 0;
    for line in blanked.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let (exported, declaration) = match trimmed.strip_prefix("use ") {
            Some(_) => (false, true),
            None => (true, trimmed.starts_with("pub") && words_before_use(trimmed)),
        };
        if declaration {
            let start = offset + line.find("use ").unwrap_or(0) + 4;
            let end = blanked[start..].find(';').map_or(blanked.len(), |end| start + end);
            let number = blanked[..start].matches('\n').count() + 1;
            for (path, name) in leaves(&blanked[start..end]) {
                found.push(Import { line: number, path, name, exported });
            }
        }
        offset += line.len();
    }
    found
}

/// True for `pub use`, `pub(crate) use` and their like.
fn words_before_use(line: &str) -> bool {
    line.find("use ").is_some_and(|at| {
        let before = line[3..at].trim();
        before.is_empty() || (before.starts_with('(') && before.ends_with(')'))
    })
}

/// The paths of a use tree, each with the name that it has here.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim().trim_start_matches("::");
    let Some(open) = tree.find('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut path: Vec<String> = path.split("::").map(|part| part.trim().to_owned()).collect();
        if path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let own = path.last().cloned().unwrap_or_default();
        return vec![(path, if name.is_empty() { own } else { name.trim().to_owned() })];
    };
    let prefix: Vec<String> =
        tree[..open].split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let mut found = Vec::new();
    for part in split_top(inner) {
        for (path, name) in leaves(part) {
            let whole: Vec<String> = prefix.iter().cloned().chain(path).collect();
            let name = if name.is_empty() { prefix.last().cloned().unwrap_or_default() } else { name };
            found.push((whole, name));
        }
    }
    found
}

/// The parts between the commas that stand in no braces.
fn split_top(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// Every path of two segments or more in a blanked text, with its line; `use` declarations left out.
pub fn paths(blanked: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut in_use = false;
    for (number, line) in blanked.lines().enumerate() {
        let trimmed = line.trim_start();
        in_use |= trimmed.starts_with("use ") || (trimmed.starts_with("pub") && words_before_use(trimmed));
        if in_use {
            in_use = !line.contains(';');
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find("::") {
            let head = rest[..at].rfind(|c: char| !is_word(c)).map_or(0, |index| index + 1);
            let length = rest[head..].find(|c: char| !is_word(c) && c != ':').unwrap_or(rest.len() - head);
            let path: Vec<String> =
                rest[head..head + length].split("::").map(|part| part.trim_matches(':').to_owned()).collect();
            if !path[0].is_empty() {
                found.push((number + 1, path.into_iter().filter(|part| !part.is_empty()).collect()));
            }
            rest = &rest[(head + length).max(at + 2)..];
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        imports(&blank(text)).into_iter().map(|import| format!("{} {}", import.path.join("::"), import.name)).collect()
    }

    #[test]
    fn a_tree_is_its_leaves() {
        let text = "use std::{\n    fs,\n    io::{self, Read as R},\n};\npub(crate) use super::a::*;\n";
        assert_eq!(names(text), ["std::fs fs", "std::io io", "std::io::Read R", "super::a::* *"]);
        assert!(imports(&blank(text))[3].exported);
    }

    #[test]
    fn comments_strings_and_tests_bring_nothing_in() {
        let text = "// use a::b;\nlet s = \"use c::d;\";\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\nuse e::f;\n";
        assert_eq!(names(text), ["e::f f"]);
        let all = paths(&blank("let x: crate::a::B<'a> = r#\"c::d\"#; // e::f\nlet y = g::h('\"');\n"));
        assert_eq!(all, [(1, vec!["crate".into(), "a".into(), "B".into()]), (2, vec!["g".into(), "h".into()])]);
    }
}
