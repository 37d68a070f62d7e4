//! Files that import each other, directly or through others, and the imports that close the circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::modules::Crate;

/// File to file, with the line and the item of the first import.
pub type Graph = BTreeMap<String, BTreeMap<String, (usize, String)>>;

/// The imports between the files of a crate. A file that only declares and re-exports is looked through.
pub fn graph(krate: &Crate) -> Graph {
    let mut graph = Graph::new();
    for (own, module) in &krate.modules {
        let aliases: BTreeMap<&str, &Vec<String>> =
            module.imports.iter().map(|import| (import.name.as_str(), &import.path)).collect();
        let imported = module
            .imports
            .iter()
            // What a module hands on from its children is no import of its own.
            .filter(|import| !import.exported)
            .map(|import| (import.line, import.path.clone()));
        let named = module.paths.iter().map(|(line, path)| {
            let path = match aliases.get(path[0].as_str()) {
                Some(whole) => whole.iter().chain(&path[1..]).cloned().collect(),
                None => path.clone(),
            };
            (*line, path)
        });
        for (line, path) in imported.chain(named) {
            let Some(target) = krate.absolute(own, &path) else { continue };
            for found in krate.leads_to(&target) {
                let file = &krate.modules[&found].file;
                if *file != module.file {
                    let edges = graph.entry(module.file.clone()).or_default();
                    edges.entry(file.clone()).or_insert_with(|| (line, path.join("::")));
                }
            }
        }
    }
    graph
}

/// The shortest circle through each group of files that import each other, the shortest first; each as its imports.
pub fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut covered = BTreeSet::new();
    let mut all: Vec<Vec<&String>> = graph.keys().filter_map(|file| shortest(graph, file)).collect();
    all.sort_by_key(Vec::len);
    for circle in all {
        if circle.iter().any(|file| covered.contains(*file)) {
            continue;
        }
        covered.extend(circle.iter().copied());
        let next = circle.iter().cycle().skip(1);
        found.push(
            circle
                .iter()
                .zip(next)
                .map(|(from, to)| {
                    let (line, item) = &graph[*from][*to];
                    format!("{from}:{line} imports {item} of {to}")
                })
                .collect(),
        );
    }
    found
}

/// The shortest way from a file back to itself.
fn shortest<'a>(graph: &'a Graph, start: &'a String) -> Option<Vec<&'a String>> {
    let mut came_from: BTreeMap<&String, &String> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for next in graph.get(file)?.keys().filter(|next| graph.contains_key(*next)) {
            if next == start {
                let mut way = vec![file];
                while *way.last()? != start {
                    way.push(came_from.get(*way.last()?)?);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, file);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Source;

    fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, content)| Source { path: format!("c/src/{path}"), content: (*content).to_owned() })
            .collect();
        circles(&graph(&Crate::read("c/src/", &sources)))
    }

    #[test]
    fn two_files_that_import_each_other_are_named_with_the_imports() {
        let found = circles_of(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("b.rs", "pub struct B;\nfn f(_: &super::a::A) {}\n"),
        ]);
        let expected =
            ["c/src/a.rs:1 imports crate::b::B of c/src/b.rs", "c/src/b.rs:2 imports super::a::A of c/src/a.rs"];
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_circle_through_re_exports_globs_and_modules_is_found() {
        let room = "mod a;\nmod b;\npub use a::A;\npub(crate) use b::*;\n";
        let a = "use super::B;\npub struct A(B);\n";
        for b in [
            "use super::A;\npub struct B(A);\n",
            "use crate::room;\npub struct B(room::A);\n",
            "use super::a::*;\npub struct B(A);\n",
        ] {
            let found =
                circles_of(&[("lib.rs", "mod room;\n"), ("room/mod.rs", room), ("room/a.rs", a), ("room/b.rs", b)]);
            assert_eq!(found.len(), 1, "{b}");
        }
    }

    #[test]
    fn what_only_declares_or_tests_closes_no_circle() {
        let found = circles_of(&[
            ("lib.rs", "mod room;\npub use room::A;\n"),
            ("room/mod.rs", "mod a;\nmod b;\npub use a::A;\n"),
            ("room/a.rs", "pub struct A;\n#[cfg(test)]\nmod tests {\n    use super::super::b::B;\n}\n"),
            ("room/b.rs", "use super::A;\npub struct B(A);\n"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
