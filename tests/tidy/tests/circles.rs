//! No file imports one that imports it, directly or through others.

use holdfast_tidy::{circles, modules::Crate, sources};

#[test]
fn no_files_import_each_other() {
    let all = sources::all();
    let mut folders: Vec<&str> = all.iter().filter_map(|source| source.path.strip_suffix("lib.rs")).collect();
    folders.extend(all.iter().filter_map(|source| source.path.strip_suffix("main.rs")));
    folders.retain(|folder| folder.ends_with("src/"));
    folders.dedup();
    assert!(folders.len() > 8, "few crates were found: {folders:?}");
    let mut found = Vec::new();
    for folder in folders {
        for circle in circles::circles(&circles::graph(&Crate::read(folder, &all))) {
            found.push(format!(
                "a circle of {} files; move what they share below both:\n    {}",
                circle.len(),
                circle.join("\n    ")
            ));
        }
    }
    sources::assert_none(&found);
}
