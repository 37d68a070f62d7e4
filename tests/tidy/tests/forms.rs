//! Modules and imports have one form.

use holdfast_tidy::{
    forms,
    sources::{self, assert_none},
};

#[test]
fn a_module_is_a_file_or_a_folder_with_mod_rs() {
    let all = sources::all();
    let is_folder = |file: &str| {
        let folder = format!("{}/", file.trim_end_matches(".rs"));
        all.iter().any(|source| source.path.starts_with(&folder))
    };
    let beside = all.iter().filter(|source| is_folder(&source.path));
    let beside = beside.map(|source| format!("{}: move it into the folder of its name, as mod.rs", source.path));
    assert_none(&beside.collect::<Vec<_>>());
}

#[test]
fn a_mod_rs_holds_docs_modules_and_exports() {
    let mut found = Vec::new();
    for source in sources::all().iter().filter(|source| source.path.ends_with("/mod.rs")) {
        for (line, text) in forms::beyond_declarations(&source.content) {
            found.push(format!("{}:{line}: `{text}` belongs in a file that says what it is", source.path));
        }
    }
    assert_none(&found);
}

#[test]
fn imports_stand_in_four_groups() {
    let mut found = Vec::new();
    for source in sources::all() {
        for (line, problem) in forms::misplaced_imports(&source.content) {
            found.push(format!("{}:{line}: {problem}", source.path));
        }
    }
    assert_none(&found);
}
