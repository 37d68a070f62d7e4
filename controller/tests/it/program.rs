//! The program itself: flags, exit codes, signals.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{eventually, free_ports};

const PROGRAM: &str = env!("CARGO_BIN_EXE_holdfast-controller");

struct Setup {
    folder: tempfile::TempDir,
    port: u16,
}

impl Setup {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), port: free_ports(1)[0] }
    }

    fn command(&self, extra: &[&str]) -> Command {
        let file = self.folder.path().join("controller.toml");
        let address = format!("127.0.0.1:{}", self.port);
        let data = self.folder.path().join("data");
        let data = data.display();
        let text = format!("data_dir = \"{data}\"\nlisten = \"{address}\"\npeers = [\"{address}\"]\n");
        fs::write(&file, text).expect("write");
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(file).args(extra).stderr(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    fn run(&self, extra: &[&str]) -> (Option<i32>, String) {
        ended(self.command(extra).output().expect("the program"))
    }

    fn serves(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }
}

fn ended(output: Output) -> (Option<i32>, String) {
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("a signal");
}

#[test]
fn the_configuration_is_checked_without_a_start() {
    let setup = Setup::new();
    assert_eq!(setup.run(&["--check-config"]).0, Some(0));
    let (code, text) = setup.run(&["--check-config", "--set", "listen=nowhere", "--set", "max_connection=1"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("did you mean 'max_connections'?"), "{text}");
    assert!(!setup.folder.path().join("data").exists());
}

#[test]
fn a_port_in_use_is_named() {
    let setup = Setup::new();
    let _taken = TcpListener::bind(("127.0.0.1", setup.port)).expect("the port");
    let (code, text) = setup.run(&[]);
    assert_eq!(code, Some(10), "{text}");
    assert!(text.contains(&format!("cannot listen on 127.0.0.1:{}", setup.port)), "{text}");
    assert!(!setup.folder.path().join("data").exists(), "nothing is half done");
}

#[test]
fn sigterm_ends_in_order_and_a_locked_folder_is_named() {
    let setup = Setup::new();
    let child = setup.command(&[]).spawn().expect("the program");
    eventually("the port to be served", || setup.serves().then_some(()));
    let second = Setup { folder: tempfile::tempdir().expect("a folder"), port: free_ports(1)[0] };
    let data = format!("data_dir={}", setup.folder.path().join("data").display());
    let (code, text) = second.run(&["--set", &data]);
    assert_eq!(code, Some(11), "{text}");
    assert!(text.contains("is in use by another process"), "{text}");
    signal(&child, Signal::TERM);
    let (code, text) = ended(child.wait_with_output().expect("an end"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("controller stopped"), "{text}");
}
