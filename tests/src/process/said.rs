//! What nodes say in their logs: how a test proves that its fault was met, and by whom.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    time::Duration,
};

use holdfast_eventually::until;
use holdfast_local::{NodeName, ProcessCluster, Role};

/// With this variable nobody waits for what is said: for programs from before anything was, so that the account alone
/// judges them.
const DEAF: &str = "TRUST_DEAF";
/// What takes the place of the wait then: longer than a session that has broken lasts.
const DEAF_WAIT: Duration = Duration::from_secs(10);

/// True if what nodes say is not waited for.
pub fn are_deaf() -> bool {
    std::env::var_os(DEAF).is_some()
}

/// What some nodes say from one moment on.
pub struct Said(Vec<Listened>);

struct Listened {
    node: NodeName,
    log: PathBuf,
    from: u64,
}

impl Said {
    /// Listens to one node from now on.
    pub fn by(cluster: &ProcessCluster, node: NodeName) -> Self {
        Self::by_all(cluster, |one| one == node)
    }

    /// Listens to every controller from now on: the active one says what it decides.
    pub fn by_controllers(cluster: &ProcessCluster) -> Self {
        Self::by_all(cluster, |node| node.role == Role::Controller)
    }

    fn by_all(cluster: &ProcessCluster, of: impl Fn(NodeName) -> bool) -> Self {
        let listened = |node| {
            let log = cluster.log_path(node);
            let from = fs::metadata(&log).map_or(0, |metadata| metadata.len());
            Listened { node, log, from }
        };
        Self(cluster.nodes().into_iter().filter(|node| of(*node)).map(listened).collect())
    }

    /// The first line with all of these words, where `a|b` is one of both; `None` if nobody said it yet.
    pub fn line(&self, words: &[&str]) -> Option<String> {
        let has = |line: &str, word: &str| word.split('|').any(|one| line.contains(one));
        self.0.iter().find_map(|listened| {
            let text = listened.text();
            text.lines().find(|line| words.iter().all(|word| has(line, word))).map(str::to_owned)
        })
    }

    /// Waits until one of them says all of these words in one line, and gives that line.
    pub async fn until(&self, words: &[&str]) -> String {
        if are_deaf() {
            tokio::time::sleep(DEAF_WAIT).await;
            return self.line(words).unwrap_or_default();
        }
        let who = self.0.iter().map(|listened| listened.node.to_string()).collect::<Vec<_>>().join(" or ");
        until(&format!("{who} says {words:?}"), async || self.line(words)).await
    }
}

impl Listened {
    /// What was said since then; nothing while the log is not there.
    fn text(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            file.seek(SeekFrom::Start(self.from))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
}
