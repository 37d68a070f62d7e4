//! The first steps of `README.md` and of `holdfast --help`, run by a shell as they stand. Only the ports are others, for
//! those may be taken.

mod support;

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use support::{ends_with, holdfast, programs_are_there};

const README: &str = include_str!("../../../README.md");

/// The lines of the block of code below a heading.
fn block(heading: &str) -> Vec<&'static str> {
    let section = README.split_once(heading).expect("the heading is there").1;
    section.split("```").nth(1).expect("a block of code").lines().collect()
}

/// A base port with room for three brokers and three controllers, as `dev up` counts them.
fn free_base() -> u16 {
    let start = 20_000 + (std::process::id() % 40) as u16 * 250;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut bases = (0..40).map(|step| 20_000 + (start - 20_000 + step * 250) % 10_000);
    let all_free = |base: &u16| [0, 100, 200].iter().all(|step| (1..=3).all(|number| is_free(base + step + number)));
    bases.find(all_free).expect("nine free ports")
}

/// Runs the lines in a shell that stops at the first failure; gives what was printed.
#[track_caller]
fn run_in_a_shell(lines: &[String], dir: &Path) -> String {
    let script = lines.join("\n");
    let bin = Path::new(env!("CARGO_BIN_EXE_holdfast")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).env("PATH", path).env("HOLDFAST_DEV_DIR", dir);
    shell.env_remove("HOLDFAST_BOOTSTRAP").stdin(Stdio::null());
    let output = shell.output().expect("bash starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        let _ended = holdfast(dir, &["dev", "down", "--wipe"]).output();
    }
    assert!(output.status.success(), "{script}\n---\n{out}\n---\n{err}");
    assert!(!dir.exists(), "the last step leaves nothing: {out}");
    out.into_owned()
}

/// The line on other ports.
fn moved(line: &str, base: u16) -> String {
    let line = line.replacen("dev up", &format!("dev up --base-port {base}"), 1);
    (1..=3).fold(line, |line, number| line.replace(&(9_200 + number).to_string(), &(base + number).to_string()))
}

#[test]
fn the_first_steps_of_the_readme_run_as_they_stand() {
    if !programs_are_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let base = free_base();
    let steps = block("## First steps").into_iter().filter(|line| !line.starts_with("make "));
    let steps: Vec<_> = steps.map(|line| moved(line, base)).collect();
    let bootstrap =
        steps.iter().find(|line| line.starts_with("export HOLDFAST_BOOTSTRAP=")).expect("where clients start");
    let bootstrap = bootstrap.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let out = run_in_a_shell(&steps, &folder.path().join("cluster"));
    assert!(out.lines().any(|line| line == bootstrap), "dev up prints `{bootstrap}`: {out}");
    assert!(out.contains("alice 2 apples") && out.contains("\ncluster: "), "{out}");
}

#[test]
fn the_first_steps_of_the_help_run_as_they_stand() {
    if !programs_are_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("cluster");
    let (help, _) = ends_with(&dir, 0, &["--help"]);
    let base = free_base();
    let steps = help.split_once("First steps:\n").expect("first steps").1.lines().take_while(|line| !line.is_empty());
    // What a step does stands behind it.
    let steps: Vec<_> = steps.map(|line| moved(line.trim().split("   ").next().unwrap_or_default(), base)).collect();
    assert!(steps.len() > 4, "{steps:?}");
    let out = run_in_a_shell(&steps, &dir);
    assert!(out.contains("alice 2 apples"), "{out}");
}
