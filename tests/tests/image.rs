//! The container image: what is in it, and that the programs run with nothing else.
//!
//! Made again from the programs in `HOLDFAST_BIN_DIR`, so that no older archive is judged.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAMS: [&str; 3] = ["usr/bin/holdfast", "usr/bin/holdfast-broker", "usr/bin/holdfast-controller"];

/// Most bytes of the image, unpacked.
const MAX_BYTES: u64 = 80_000_000;

fn run(program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let output = Command::new(program.as_ref()).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{} does not start: {error}", program.as_ref().display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {said}", program.as_ref().display());
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

/// A copy of the programs, which a build that runs meanwhile cannot change; nothing where a tool or they are missing.
fn programs() -> Option<TempDir> {
    let Some(source) = env::var_os("HOLDFAST_BIN_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from) else {
        eprintln!("not run: HOLDFAST_BIN_DIR is not set; `make test` sets it");
        return None;
    };
    for tool in ["python3", "strip", "ldd", "tar"] {
        if Command::new(tool).arg("--version").output().is_err() {
            eprintln!("not run: there is no {tool}");
            return None;
        }
    }
    let copy = tempfile::tempdir().expect("a temporary folder");
    for name in PROGRAMS.map(|path| path.trim_start_matches("usr/bin/")) {
        fs::copy(source.join(name), copy.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    Some(copy)
}

/// Makes an archive in a folder, with more flags.
fn archive(programs: &TempDir, folder: &TempDir, flags: &[&str]) -> PathBuf {
    let root = Path::new("..").canonicalize().expect("the tests crate lies in the workspace");
    let (bin, out) = (programs.path().display().to_string(), folder.path().display().to_string());
    let said = run(root.join("deploy/image/build.py"), &[&["--bin", &bin, "--out", &out], flags].concat());
    print!("{said}");
    PathBuf::from(said.lines().last().expect("it prints where the archive is"))
}

/// The archive unpacked, and the content of its blobs by digest.
struct Image {
    folder: TempDir,
    manifest: Value,
    config: Value,
}

impl Image {
    fn open(archive: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        run("tar", &["-xf", &archive.display().to_string(), "-C", &folder.path().display().to_string()]);
        let read = |path: &str| -> Value {
            let text = fs::read_to_string(folder.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        assert_eq!(read("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
        let index = read("index.json");
        let manifest = read(&blob(&index["manifests"][0]));
        let config = read(&blob(&manifest["config"]));
        // Docker's manifest names the same blobs.
        let docker = read("manifest.json");
        assert_eq!(docker[0]["Config"], blob(&manifest["config"]));
        assert_eq!(docker[0]["Layers"], json!([blob(&manifest["layers"][0])]));
        let version = &config["config"]["Labels"]["org.opencontainers.image.version"];
        assert_eq!(docker[0]["RepoTags"][0], format!("holdfast:{}", version.as_str().unwrap_or_default()));
        Self { folder, manifest, config }
    }

    fn layer(&self) -> String {
        self.folder.path().join(blob(&self.manifest["layers"][0])).display().to_string()
    }

    /// The entries of the layer: path to mode and owner, as tar writes them.
    fn entries(&self) -> BTreeMap<String, (String, String, u64)> {
        let listing = run("tar", &["--numeric-owner", "-tvzf", &self.layer()]);
        let entry = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            let path = words[5].trim_end_matches('/').to_owned();
            (path, (words[0].to_owned(), words[1].to_owned(), words[2].parse().expect("a size")))
        };
        listing.lines().map(entry).collect()
    }
}

/// Path of the blob that a descriptor names.
fn blob(descriptor: &Value) -> String {
    format!("blobs/{}", descriptor["digest"].as_str().unwrap_or_default().replace(':', "/"))
}

#[test]
fn the_image_holds_the_programs_and_what_they_need() {
    let Some(programs) = programs() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let image = Image::open(&archive(&programs, &folder, &[]));

    let entries = image.entries();
    let expected = |path: &str| {
        PROGRAMS.contains(&path)
            || ["etc/passwd", "etc/group", "etc/nsswitch.conf"].contains(&path)
            || (path.starts_with("lib") && path.contains(".so."))
            || entries[path].0.starts_with('d')
    };
    let strange: Vec<_> = entries.keys().filter(|path| !expected(path)).collect();
    assert!(strange.is_empty(), "unexpected: {strange:?}");
    assert!(entries.len() < 30, "{} entries", entries.len());
    for shell in ["bin/sh", "usr/bin/sh", "bin/bash", "usr/bin/env", "bin/busybox"] {
        assert!(!entries.contains_key(shell), "{shell} is in the image");
    }
    let size: u64 = entries.values().map(|(_, _, size)| size).sum();
    assert!(size < MAX_BYTES, "{size} bytes");
    for path in ["tmp", "var/lib/holdfast"] {
        assert_eq!(entries[path].1, "65532/65532", "{path}");
    }
    for (path, (mode, owner, _)) in &entries {
        assert!(!mode.contains('s'), "{path} is setuid or setgid: {mode}");
        assert!(owner == "0/0" || mode.starts_with('d'), "{path} belongs to {owner}");
    }

    let config = &image.config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Cmd"], json!(["/usr/bin/holdfast", "--help"]));
    assert!(config.get("Entrypoint").is_none());
    let labels = config["Labels"].as_object().expect("labels");
    for name in ["title", "description", "licenses", "revision", "version"] {
        let label = labels[&format!("org.opencontainers.image.{name}")].as_str();
        assert!(label.is_some_and(|label| !label.is_empty()), "{name}");
    }
    let revision = labels["org.opencontainers.image.revision"].as_str().unwrap_or_default();
    assert!(revision == "unknown" || revision.trim_end_matches("-modified").len() == 40, "{revision}");
    runs_alone(&image, folder.path());
}

/// The programs run with the libraries of the image and no other.
fn runs_alone(image: &Image, folder: &Path) {
    let root = folder.join("root");
    fs::create_dir(&root).expect("it is writable");
    run("tar", &["-xzf", &image.layer(), "-C", &root.display().to_string(), "--no-same-owner"]);

    let entries = image.entries();
    let loader = entries.keys().find(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("ld-")));
    let loader = root.join(loader.expect("the loader is in the image"));
    let libraries: Vec<_> = entries.keys().filter(|path| path.contains(".so")).collect();
    let folders: Vec<_> =
        libraries.iter().filter_map(|path| Path::new(path).parent()).map(|path| root.join(path)).collect();
    let folders = env::join_paths(folders).expect("no colon in a path").into_string().expect("UTF-8");
    for program in PROGRAMS {
        let path = root.join(program).display().to_string();
        let alone = ["--inhibit-cache", "--library-path", &folders];
        // Every library that the loader takes is one of the image.
        for line in run(&loader, &[&alone[..], &["--list", &path]].concat()).lines() {
            if let Some((_, found)) = line.split_once("=> ") {
                assert!(found.starts_with(&root.display().to_string()), "{program}: {line}");
            }
        }
        let version = run(&loader, &[&alone[..], &[&path, "--version"]].concat());
        let expected = image.config["config"]["Labels"]["org.opencontainers.image.version"].as_str();
        assert_eq!(version.split_whitespace().last(), expected, "{program}");
    }
}

#[test]
fn the_same_programs_make_the_same_image() {
    let Some(programs) = programs() else { return };
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let make = |folder| archive(&programs, folder, &["--revision", "0"]);
    let (first, second) = (make(&one), make(&two));
    let read = |path: &Path| fs::read(path).expect("the archive is readable");
    assert!(read(&first) == read(&second), "{} and {} differ", first.display(), second.display());
}
