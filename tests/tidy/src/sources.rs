//! Every file of the workspace that people write.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// A file of text.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path relative to the root of the workspace, with `/`.
    pub path: String,
    /// What stands in it.
    pub content: String,
}

/// The root of the workspace, as cargo says it when it runs: a build may be shared by several copies of the tree.
pub fn root() -> PathBuf {
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says it"));
    own.ancestors().nth(2).expect("the crate lies in tests/tidy of the workspace").to_path_buf()
}

/// All Rust files below the root, by path.
pub fn all() -> Vec<Source> {
    with(&["rs"])
}

/// All files below the root whose names end so, by path.
pub fn with(extensions: &[&str]) -> Vec<Source> {
    let found = below(&root(), extensions);
    assert!(found.len() > 50, "only {} source files found: is the root wrong?", found.len());
    found
}

/// All files below a folder whose names end so, by path.
pub fn below(root: &Path, extensions: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a source folder is readable") {
            let path = entry.expect("a folder entry is readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
                let relative = path.strip_prefix(root).expect("it was found below the root");
                let content = fs::read_to_string(&path).expect("a source file is UTF-8");
                found.push(Source { path: relative.to_string_lossy().into_owned(), content });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// True for code of a program or library, false for what only tests and measures.
pub fn ships(path: &str) -> bool {
    path.contains("src/") && !path.starts_with("tests/") && !path.contains("/tests/") && !is_test_file(path)
}

/// True for the tests of a module that stand in a file beside it.
pub fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs")
}

/// The line without its comment.
pub fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Every line that the check finds fault with, as `path:line: problem`.
pub fn violations(check: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for source in all().iter().filter(|source| !source.path.starts_with("tests/tidy/")) {
        for (number, line) in source.content.lines().enumerate() {
            if let Some(problem) = check(&source.path, line) {
                found.push(format!("{}:{}: {problem}", source.path, number + 1));
            }
        }
    }
    found
}

/// Fails with all violations, each on a line of its own.
#[track_caller]
pub fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}
