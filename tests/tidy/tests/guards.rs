//! The guards of the promise stand in the tree as `tests/guards.py` has them: one that moved would not be switched off any more.

use std::process::Command;

use holdfast_tidy::sources;

#[test]
fn every_guard_stands_where_it_is_switched_off() {
    let Ok(output) = Command::new("python3").arg(sources::root().join("tests/guards.py")).arg("--check").output()
    else {
        eprintln!("not run: there is no python3");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
