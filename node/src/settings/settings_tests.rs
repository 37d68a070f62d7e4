//! What the reader of settings accepts, and how it reports what it does not.

use std::path::PathBuf;

use uuid::Uuid;

use super::*;
use crate::settings::{Address, LogFormat, OptionDoc, markdown, table::must_be_given, toml};

crate::options! {
    /// A program's options, one of each type.
    struct Config;

    /// Which of the nodes it is.
    node_id: Option<u32> = None => required;
    /// Where it
    /// keeps things.
    data_dir: PathBuf = PathBuf::new();
    /// The address where it listens.
    listen: Address = Address::default();
    /// Addresses of the other nodes.
    peers: Vec<Address> = Vec::new();
    /// The cluster that it belongs to.
    cluster_id: Option<Uuid> = None;
    /// How many threads it has.
    threads: u32 = 8, in 1, 256;
    /// Connections, more than `threads` of them.
    connections: u64 = 4096, in 1, 65_536;
    /// The rack where it stands.
    rack: String = String::new();
    /// How much of it is logged.
    log_level: String = "info".to_owned();
    /// How a logged line looks.
    log_format: LogFormat = LogFormat::Text;
    /// Whether it begins at once.
    eager: bool = false;
}

impl Config {
    fn validate(&self) -> Vec<(&'static str, String)> {
        let few = self.connections < u64::from(self.threads);
        few.then(|| ("connections", "connections is below threads".to_owned())).into_iter().collect()
    }
}

fn read(text: &str, flags: &[&str], relations: Relations) -> Result<Config, Vec<String>> {
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    parse("n.toml", text, &flags, relations).map_err(|all| all.0.iter().map(ToString::to_string).collect())
}

#[test]
fn every_type_is_read() {
    let text = r#"
node_id = 7
data_dir = "/var/lib/n"
listen = "[::1]:1"
peers = ["a:1", "b.example:2"]
cluster_id = "00000000-0000-0000-0000-00000000002a"
threads = 2
log_format = "json"
eager = true
"#;
    let config = read(text, &[], Relations::Always).unwrap();
    let expected = Config {
        node_id: Some(7),
        data_dir: PathBuf::from("/var/lib/n"),
        listen: Address { host: "[::1]".to_owned(), port: 1 },
        peers: vec!["a:1".parse().unwrap(), "b.example:2".parse().unwrap()],
        cluster_id: Some(Uuid::from_u128(42)),
        threads: 2,
        log_format: LogFormat::Json,
        eager: true,
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn flags_win_over_the_file_and_need_no_quotes() {
    let flags = ["node_id=7", "rack=a", "peers=c:1,d:2", "log_level=\"debug\"", "node_id = 8"];
    let config = read("node_id = 1\nrack = \"b\"\n", &flags, Relations::Always).unwrap();
    assert_eq!((config.node_id, config.rack.as_str(), config.peers.len()), (Some(8), "a", 2));
    assert_eq!(config.log_level, "debug");
}

#[test]
fn an_option_that_is_a_text_takes_any_text() {
    for text in ["0", "true", "1.0", "2024-01-01", "[a]", "[1]", "{a = 1}", "'", "-", "a=b", "0x1", "nan", "a\\b"] {
        let flags = [&format!("rack={text}")[..], &format!("data_dir={text}")[..], "node_id=1"];
        let config = read("", &flags, Relations::Always).unwrap();
        assert_eq!((config.rack.as_str(), config.data_dir.to_str()), (text, Some(text)));
    }
    let quoted = read("", &["rack='0'", "data_dir=\"a b\"", "node_id=1"], Relations::Always).unwrap();
    assert_eq!((quoted.rack.as_str(), quoted.data_dir.to_str()), ("0", Some("a b")));
    // A number stays a number, and what is wrong is said of the text that was given.
    let wrong = read("", &["node_id=\"1\"", "log_format=5", "cluster_id=5", "peers=5,a:1"], Relations::OnceAllIsRead);
    let expected = [
        "--set node_id=\"1\": node_id: expected a whole number from 0 on, found \"1\"",
        "--set log_format=5: log_format: expected \"text\" or \"json\", found \"5\"",
        "--set cluster_id=5: cluster_id: '5' is not a UUID; write 8-4-4-4-12 hexadecimal digits",
        "--set peers=5,a:1: peers: '5' is not an address; write host:port, as broker-1.example:9092",
    ];
    assert_eq!(wrong.unwrap_err(), expected);
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    for wrong in ["[::1", "[::1:9201", "::1:9201", "[::1]", "[x]:1", "fe80::1%lo:9201", "[fe80::1%lo]:1", "a b:1", ":1"]
    {
        let error = wrong.parse::<Address>().expect_err(wrong);
        assert!(error.starts_with(&format!("'{wrong}' is not an address; write host:port, ")), "{error}");
    }
    for right in ["[::1]:0", "[2001:db8::1]:65535", "a.example:1", "127.0.0.1:1", "a_b:1"] {
        assert_eq!(right.parse::<Address>().expect(right).to_string(), right);
    }
}

#[test]
fn every_problem_is_reported_with_its_line() {
    let text = "node_id = -1\nthread = 1\n\nthreads = 0\nlisten = \"nowhere\"\npeers = 5\neager = 1\nrack = 5\n\
                connections = \"many\"\ncluster_id = \"x\"\n[table]\na = 1\n";
    let flags = ["log_format=xml", "nonsense", "threads=4294967296", "node_id=4294967296"];
    let expected = [
        "n.toml:1: node_id: expected a whole number from 0 on, found -1",
        "n.toml:2: unknown key 'thread'; did you mean 'threads'?",
        "n.toml:4: threads: 0 is out of range: 1 to 256",
        "n.toml:5: listen: 'nowhere' is not an address; write host:port, as broker-1.example:9092",
        "n.toml:6: peers: expected a list, found 5",
        "n.toml:7: eager: expected true or false, found 1",
        "n.toml:8: rack: expected a string, found 5",
        "n.toml:9: connections: expected a whole number from 0 on, found \"many\"",
        "n.toml:10: cluster_id: 'x' is not a UUID; write 8-4-4-4-12 hexadecimal digits",
        "n.toml:11: unknown key 'table'; known: see --print-options",
        "--set log_format=xml: log_format: expected \"text\" or \"json\", found \"xml\"",
        "--set nonsense: expected key=value",
        "--set threads=4294967296: threads: 4294967296 is out of range: 1 to 256",
        "--set node_id=4294967296: node_id: 4294967296 is out of range: 0 to 4294967295",
    ];
    assert_eq!(read(text, &flags, Relations::OnceAllIsRead).unwrap_err(), expected);
}

#[test]
fn relations_are_checked_and_placed() {
    let text = "connections = 4\nrack = 5\n";
    let unread = "n.toml:2: rack: expected a string, found 5".to_owned();
    let related = [
        "n.toml: node_id: must be given: which of the nodes it is".to_owned(),
        "n.toml:1: connections is below threads".to_owned(),
    ];
    let all = [&[unread.clone()][..], &related].concat();
    assert_eq!(read(text, &[], Relations::Always).unwrap_err(), all);
    assert_eq!(read(text, &[], Relations::OnceAllIsRead).unwrap_err(), [unread]);
    assert_eq!(read("connections = 4\n", &[], Relations::OnceAllIsRead).unwrap_err(), related);
    // A place has one problem: what could not be read is not compared as well.
    let all = read("node_id = 1\n", &["connections=0"], Relations::Always).unwrap_err();
    assert_eq!(all, ["--set connections=0: connections: 0 is out of range: 1 to 65536"]);
    let all = read("node_id = 1\n", &["connections=2"], Relations::Always).unwrap_err();
    assert_eq!(all, ["--set connections=2: connections is below threads"]);
}

#[test]
fn what_must_be_given_is_named_with_the_first_clause_of_its_meaning() {
    let message = |doc: &'static [&'static str]| {
        let option = OptionDoc { key: "o", doc, default: String::new(), required: true, range: None };
        must_be_given(&option).1
    };
    assert_eq!(
        message(&[" Addresses of all, the same", " list on each. Three or five."]),
        "o: must be given: addresses of all, the same list on each"
    );
    assert_eq!(message(&[" Folder; its own."]), "o: must be given: folder");
    assert_eq!(
        Config::default().missing(),
        [("node_id", "node_id: must be given: which of the nodes it is".to_owned())]
    );
}

#[test]
fn what_is_no_toml_is_reported_with_its_line() {
    for text in ["node_id = 1\ndata_dir = \n", "data_dir = \"x\"\nlisten = = 1\n"] {
        let all = read(text, &[], Relations::OnceAllIsRead).unwrap_err();
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].starts_with("n.toml:2: "), "{all:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let problems = load::<Config>(Path::new("/nowhere/n.toml"), &[], Relations::Always).unwrap_err();
    let text = problems.to_string();
    assert!(text.starts_with("/nowhere/n.toml: cannot be read: "), "{text}");
    assert!(text.ends_with("\n1 problem in the configuration"), "{text}");
}

#[test]
fn the_reference_names_every_option() {
    assert_eq!(Config::reference().len(), Config::KEYS.len());
    let text = toml::<Config>("n");
    assert!(text.starts_with(
        "# Every option of n with its default. Made by `n --print-options`.\n\n# Which of the nodes it is."
    ));
    assert!(text.contains("\n# Which of the nodes it is.\n# Required.\n# node_id =\n"), "{text}");
    assert!(text.contains("\n# How many threads it has.\n# Range: 1 to 256.\nthreads = 8\n"), "{text}");
    assert!(text.contains("\nrack = \"\"\n") && text.contains("\n# listen =\n"), "{text}");
    let text = markdown::<Config>("n");
    assert!(text.contains("\n### `node_id`\n\nDefault: none, required.\n\nWhich of the nodes it is.\n"), "{text}");
    assert!(text.contains("\n### `data_dir`\n\nDefault: none.\n\nWhere it keeps things.\n"), "{text}");
    assert!(text.contains("Default: 8, 1 to 256.\n") && text.contains("Default: empty.\n"), "{text}");
    assert!(text.contains("Default: `info`.\n") && text.contains("Default: false.\n"), "{text}");
}
