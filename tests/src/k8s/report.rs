//! The table at the end, and the folder of everything that was logged.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use holdfast_checker::text::{grouped, render_table};

use super::{Error, Result, bed::Bed, finding::Finding};

/// How often logs of new containers are looked for. A container that lives shorter leaves no log.
const LOOK: Duration = Duration::from_millis(300);

/// What is asked of Kubernetes after each scenario.
const QUESTIONS: [(&str, &[&str]); 4] = [
    ("pods.txt", &["get", "pods,pvc,statefulsets,pdb", "-o", "wide"]),
    ("nodes.txt", &["get", "nodes", "-o", "wide"]),
    ("events.txt", &["get", "events", "--sort-by=.lastTimestamp"]),
    ("describe.txt", &["describe", "pods"]),
];

/// One line of the table.
#[derive(Debug)]
struct Line {
    name: &'static str,
    finding: Finding,
    seconds: u64,
    error: Option<String>,
}

/// Takes down what happens.
#[derive(Debug)]
pub struct Report {
    folder: PathBuf,
    lines: Vec<Line>,
}

impl Report {
    /// An empty report in this folder; what is there from an earlier run goes.
    pub fn new(folder: PathBuf) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, lines: Vec::new() })
    }

    /// Folder of the report, which exists.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a file of one scenario.
    pub fn file(&self, scenario: &str, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(scenario);
        fs::create_dir_all(&folder)?;
        Ok(folder.join(name))
    }

    /// Writes down what Kubernetes says now.
    pub fn collect(&self, bed: &Bed, scenario: &str) -> Result {
        for (name, question) in QUESTIONS {
            let answer = bed.kubectl(question).unwrap_or_else(|error| error.to_string());
            fs::write(self.file(scenario, name)?, answer)?;
        }
        Ok(())
    }

    /// Notes how a scenario ended, and tells it in one line.
    pub fn note(&mut self, name: &'static str, seconds: u64, finding: Finding, result: Result) {
        let error = result.err().map(|error| error.to_string());
        let verdict = error.as_deref().map_or("PASS".to_owned(), |error| format!("FAIL: {error}"));
        eprintln!("{name}: {verdict} ({seconds} s) {}", finding.detail);
        if let (Some(error), Ok(path)) = (&error, self.file(name, "error.txt")) {
            // The table tells it too.
            let _written = fs::write(path, error);
        }
        self.lines.push(Line { name, finding, seconds, error });
    }

    /// How many scenarios passed, and how many failed.
    pub fn counts(&self) -> (usize, usize) {
        let failed = self.lines.iter().filter(|line| line.error.is_some()).count();
        (self.lines.len() - failed, failed)
    }

    /// The table and its last line; also written to the folder.
    pub fn finish(&self) -> Result<String> {
        let rows = self.lines.iter().map(|line| {
            let account = &line.finding.account;
            [
                line.name.to_owned(),
                line.finding.detail.clone(),
                grouped(account.acked),
                format!("{}/{}/{}", account.lost, account.duplicated, account.reordered),
                account.longest_pause_ms.to_string(),
                account.longest_partition_pause_ms.to_string(),
                line.finding.bound.as_millis().to_string(),
                line.seconds.to_string(),
                if line.error.is_some() { "FAIL" } else { "PASS" }.to_owned(),
            ]
        });
        let header =
            ["SCENARIO", "DETAIL", "ACKED", "LOST/DUP/REORD", "PAUSE MS", "OF ONE PARTITION", "BOUND", "SECONDS", ""];
        let errors = self.lines.iter().filter_map(|line| Some(format!("\n\n{}: {}", line.name, line.error.as_ref()?)));
        let (passed, failed) = self.counts();
        let counts = format!("\n\n{passed} passed, {failed} failed");
        let text: String = [render_table(header, rows)].into_iter().chain(errors).chain([counts]).collect();
        fs::write(self.folder.join("report.txt"), &text)?;
        Ok(text)
    }
}

/// Keeps the logs of all containers while it lives, also of pods that are deleted: their files would go with them, so
/// each gets a second name as soon as it is there.
#[derive(Debug)]
pub struct LogKeeper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    kept: PathBuf,
    target: PathBuf,
}

impl LogKeeper {
    /// Starts to keep the logs of the pods of a bed; they are put into the report's folder at the end.
    pub fn start(bed: &Bed, report: &Report) -> Result<Self> {
        let places = bed.call(&["where"])?;
        let place = |name: &str| {
            let found = places.lines().find_map(|line| line.strip_prefix(name));
            found.map(|path| PathBuf::from(path.trim())).ok_or_else(|| Error::broken(format!("`where` lacks {name}")))
        };
        let (run, kept) = (place("runs")?, place("logs")?.join("pods"));
        fs::create_dir_all(&kept)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, links) = (Arc::clone(&stop), kept.clone());
        let thread = std::thread::spawn(move || {
            let mut seen = HashSet::new();
            while !stopped.load(Ordering::Relaxed) {
                link_new(&run, &links, &mut seen);
                std::thread::sleep(LOOK);
            }
        });
        Ok(Self { stop, thread: Some(thread), kept, target: report.folder().join("pods") })
    }
}

/// The entries of a folder; none if it is not there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Links run/nodeN/pods/<namespace>_<pod>_<uid>/<container>/<restart>.log under names of its own.
fn link_new(run: &Path, links: &Path, seen: &mut HashSet<u64>) {
    for node in entries(run).iter().filter(|path| file_name(path).starts_with("node")) {
        for pod in entries(&node.join("pods")) {
            let pod_name = file_name(&pod);
            let parts: Vec<_> = pod_name.split('_').collect();
            let [_, name, uid] = parts[..] else { continue };
            for container in entries(&pod) {
                for log in entries(&container) {
                    let Ok(inode) = fs::metadata(&log).map(|metadata| metadata.ino()) else { continue };
                    let link =
                        format!("{name}.{}.{}.{}", uid.get(..8).unwrap_or(uid), file_name(&container), file_name(&log));
                    if seen.insert(inode) {
                        // Fails where it is gone meanwhile, or there already under another inode after a rotation.
                        let _linked = fs::hard_link(&log, links.join(link));
                    }
                }
            }
        }
    }
}

impl Drop for LogKeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has kept what it could.
            let _ended = thread.join();
        }
        let copied = fs::create_dir_all(&self.target).and_then(|()| {
            entries(&self.kept).iter().try_for_each(|log| fs::copy(log, self.target.join(file_name(log))).map(drop))
        });
        if let Err(error) = copied {
            eprintln!("the pods' logs stay in {}: {error}", self.kept.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ends_with_the_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = Report::new(folder.path().join("report")).unwrap();
        report.note("good", 3, Finding::default(), Ok(()));
        report.note("bad", 4, Finding::default(), Err(Error::broken("lost=1")));
        let text = report.finish().unwrap();
        assert!(text.ends_with("1 passed, 1 failed"), "{text}");
        assert!(text.contains("bad: lost=1") && text.contains("PASS") && text.contains("FAIL"), "{text}");
    }

    #[test]
    fn logs_outlive_their_pods() {
        let folder = tempfile::tempdir().unwrap();
        let (run, links) = (folder.path().join("run"), folder.path().join("links"));
        let container = run.join("node2/pods/holdfast_holdfast-broker-1_0123456789/broker");
        fs::create_dir_all(&container).unwrap();
        fs::create_dir_all(&links).unwrap();
        fs::write(container.join("0.log"), "started").unwrap();
        let mut seen = HashSet::new();
        link_new(&run, &links, &mut seen);
        link_new(&run, &links, &mut seen);
        fs::remove_dir_all(&run).unwrap();
        let kept = fs::read_to_string(links.join("holdfast-broker-1.01234567.broker.0.log")).unwrap();
        assert_eq!(kept, "started");
    }
}
