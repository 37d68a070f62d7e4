//! Which file is which module of a crate, what each defines, and which file a path leads to.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    sources::{Source, is_test_file},
    uses::{self, Import},
};

/// A module of a crate.
#[derive(Debug)]
pub struct Module {
    /// Its file, relative to the workspace.
    pub file: String,
    /// Names that the file defines.
    pub defines: BTreeSet<String>,
    /// What it brings in.
    pub imports: Vec<Import>,
    /// Paths in its code, with their lines.
    pub paths: Vec<(usize, Vec<String>)>,
}

/// The modules of one crate, by their paths below `crate`.
#[derive(Debug)]
pub struct Crate {
    /// All modules; the root is the empty path.
    pub modules: BTreeMap<Vec<String>, Module>,
}

impl Crate {
    /// Reads a crate whose `src` folder is this, with `/` at its end; binaries and tests beside the library are left out.
    pub fn read(src: &str, sources: &[Source]) -> Self {
        let mut modules = BTreeMap::new();
        for source in sources.iter().filter(|source| source.path.starts_with(src) && !is_test_file(&source.path)) {
            let Some(path) = module_path(&source.path[src.len()..]) else { continue };
            let blanked = uses::blank(&source.content);
            let module = Module {
                file: source.path.clone(),
                defines: defined(&blanked),
                imports: uses::imports(&blanked),
                paths: uses::paths(&blanked),
            };
            modules.insert(path, module);
        }
        Self { modules }
    }

    /// The path below `crate` of a path that stands in a module; `None` if it leads out of the crate.
    pub fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some(module.iter().chain(&path[1..]).cloned().collect()),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let kept = module.len().checked_sub(ups)?;
                Some(module[..kept].iter().chain(&path[ups..]).cloned().collect())
            }
            first => {
                let child: Vec<String> = module.iter().cloned().chain([first.to_owned()]).collect();
                let known = self.modules.contains_key(&child);
                known.then(|| module.iter().chain(path).cloned().collect())
            }
        }
    }

    /// The modules whose files define what this path below `crate` names: several for a glob. Re-exports are followed.
    pub fn leads_to(&self, path: &[String]) -> BTreeSet<Vec<String>> {
        let mut found = BTreeSet::new();
        self.follow(path, &mut found, &mut BTreeSet::new());
        found
    }

    fn follow(&self, path: &[String], found: &mut BTreeSet<Vec<String>>, seen: &mut BTreeSet<Vec<String>>) {
        if !seen.insert(path.to_vec()) {
            return;
        }
        let depth = (0..=path.len()).rev().find(|depth| self.modules.contains_key(&path[..*depth])).unwrap_or(0);
        let (Some(module), Some(name)) = (self.modules.get(&path[..depth]), path.get(depth)) else {
            // The module itself is named: what is used of it, the paths in the code tell.
            return;
        };
        if module.defines.contains(name) {
            found.insert(path[..depth].to_vec());
            return;
        }
        let own = &path[..depth];
        for import in &module.imports {
            let glob = import.name == "*";
            if import.name != *name && !(glob && (import.exported || name == "*")) {
                continue;
            }
            let Some(mut target) = self.absolute(own, &import.path) else { continue };
            if glob {
                target.pop();
                target.push(name.clone());
            }
            target.extend(path[depth + 1..].iter().cloned());
            self.follow(&target, found, seen);
        }
        if name == "*" && !module.defines.is_empty() {
            found.insert(own.to_vec());
        }
    }
}

/// The module path of a file below `src/`.
fn module_path(file: &str) -> Option<Vec<String>> {
    let file = file.strip_suffix(".rs")?;
    if file == "main" || file.starts_with("bin/") {
        return None;
    }
    let mut parts: Vec<String> = file.split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
        parts.pop();
    }
    Some(parts)
}

/// Names that a blanked text defines at its top.
fn defined(blanked: &str) -> BTreeSet<String> {
    const KINDS: [&str; 10] =
        ["struct", "enum", "union", "fn", "const", "static", "type", "trait", "macro_rules!", "mod_alias"];
    let mut found = BTreeSet::new();
    for line in blanked.lines().filter(|line| !line.starts_with(' ')) {
        let words: Vec<&str> = line.split(|c: char| c.is_whitespace()).filter(|word| !word.is_empty()).collect();
        let kind = words.iter().take(6).position(|word| KINDS.contains(word));
        let Some(kind) = kind else { continue };
        // `const fn name`: the name stands behind the last of the words.
        let mut name = kind + 1;
        while words.get(name).is_some_and(|word| ["fn", "mut", "unsafe", "async"].contains(word)) {
            name += 1;
        }
        if let Some(word) = words.get(name) {
            let word: String = word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.insert(word);
        }
    }
    found
}
