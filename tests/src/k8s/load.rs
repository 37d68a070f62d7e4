//! A Job that produces, consumes and audits, followed by its log.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::json;

use super::{
    Error, Result,
    bed::{Bed, SAFE_NODE},
    cluster::bootstrap,
    pods::{Pod, pods},
    wait::until,
};

/// How long a load may take to start, and to flow again once the cluster is well.
const FLOW: Duration = Duration::from_mins(1);
/// How long the end of a load may take: the outcome of all records, then reading everything.
const CLOSE: Duration = Duration::from_mins(4);
/// A pause below which a load flows.
const FLOWING_MS: u64 = 500;

/// What a load prints every second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tick {
    acked: u64,
    pause_ms: u64,
    window_ms: u64,
}

/// The account that a load ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Records that the cluster acknowledged.
    pub acked: u64,
    /// Records that the audit read back.
    pub read: u64,
    /// Acknowledged and not read.
    pub lost: u64,
    /// Read once too often.
    pub duplicated: u64,
    /// Read out of order.
    pub reordered: u64,
    /// Neither acknowledged nor refused.
    pub in_doubt: u64,
    /// Certainly not in the log.
    pub refused: u64,
    /// The longest time in which no partition acknowledged anything, ms.
    pub longest_pause_ms: u64,
    /// The longest time in which any one partition acknowledged nothing, ms.
    pub longest_partition_pause_ms: u64,
    /// The exit code said that all promises were kept.
    pub clean: bool,
}

/// A place in a load's log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// A load that runs in the cluster as a job of its own, ended by an audit.
#[derive(Debug)]
pub struct Load<'a> {
    bed: &'a Bed,
    job: String,
    /// The topic that it writes to.
    pub topic: String,
    ticks: Arc<Mutex<Vec<Tick>>>,
    follower: Child,
    log: PathBuf,
}

impl<'a> Load<'a> {
    /// Starts a load on a topic of its own, and waits until it flows. `flags` are more of `holdfast audit`'s.
    pub fn start(bed: &'a Bed, name: &str, flags: &[&str], log: PathBuf) -> Result<Self> {
        let job = format!("audit-{name}");
        let bootstrap = bootstrap();
        let mut arguments =
            vec!["audit", "--topic", name, "--create", "--partitions", "6", "--replication-factor", "3"];
        arguments.extend(["--config", "min.insync.replicas=2", "--timeout", "60s", "--bootstrap", &bootstrap]);
        arguments.extend(flags);
        let image = bed.kubectl(&["get", "statefulset", "holdfast-broker", "-o", IMAGE_PATH])?;
        let manifest = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job},
            "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"load": name}}, "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": CLOSE.as_secs(),
                "automountServiceAccountToken": false,
                "nodeSelector": {"kubernetes.io/hostname": format!("node{SAFE_NODE}")},
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532},
                "containers": [{
                    "name": "audit", "image": image, "imagePullPolicy": "Never",
                    "command": ["/usr/bin/holdfast"], "args": arguments,
                    "securityContext": {"readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false}
                }]
            }}}
        });
        bed.kubectl_within(&["create", "-f", "-"], &manifest.to_string(), FLOW)?;
        let pod = until(&format!("the start of {job}"), FLOW, || {
            let pod = one_pod(bed, name)?;
            Ok(if pod.phase == "Pending" { Err(format!("pending, {:?}", pod.waiting)) } else { Ok(pod) })
        })?;
        let (follower, ticks) = follow(bed, &pod.name, &log)?;
        let load = Self { bed, job, topic: name.to_owned(), ticks, follower, log };
        load.wait_flow()?;
        Ok(load)
    }

    fn ticks(&self) -> MutexGuard<'_, Vec<Tick>> {
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place in the log that is now.
    pub fn mark(&self) -> Mark {
        Mark(self.ticks().len())
    }

    /// Waits until records are acknowledged again, told by two seconds in a row.
    pub fn wait_flow(&self) -> Result {
        let Mark(from) = self.mark();
        until(&format!("acknowledgements of {}", self.topic), FLOW, || {
            let ticks = self.ticks();
            let flows = ticks[from..].windows(2).any(|two| two[1].acked > two[0].acked && two[1].pause_ms < FLOWING_MS);
            let last = ticks.last().copied();
            drop(ticks);
            if !flows && one_pod(self.bed, &self.topic)?.phase != "Running" {
                return Err(Error::broken(format!(
                    "the load on {} ended by itself; see {}",
                    self.topic,
                    self.log.display()
                )));
            }
            Ok(if flows { Ok(()) } else { Err(format!("{last:?}")) })
        })
    }

    /// The longest time in which a partition acknowledged nothing, of those that ended since the mark, ms.
    pub fn pause_since(&self, Mark(from): Mark) -> u64 {
        self.ticks()[from..].iter().map(|tick| tick.window_ms).max().unwrap_or(0)
    }

    /// Ends the load, and gives its account.
    pub fn stop(mut self) -> Result<Account> {
        let pod = one_pod(self.bed, &self.topic)?;
        if let Some(container) = &pod.container
            && pod.phase == "Running"
        {
            self.bed.ctr(SAFE_NODE, &["tasks", "kill", "-s", "SIGTERM", container])?;
        }
        let pod = until(&format!("the account of {}", self.job), CLOSE, || {
            let pod = one_pod(self.bed, &self.topic)?;
            let ended = matches!(pod.phase.as_str(), "Succeeded" | "Failed");
            Ok(if ended { Ok(pod) } else { Err(format!("{}, {:?}", pod.phase, self.ticks().last())) })
        })?;
        // The whole of it once more: what is followed may lack its end.
        let text = self.bed.kubectl(&["logs", &pod.name])?;
        let _reaped = self.follower.kill().and_then(|()| self.follower.wait());
        std::fs::write(&self.log, &text)?;
        self.bed.kubectl(&["delete", "job", &self.job, "--wait=false"])?;
        let line = text.lines().rev().find(|line| line.starts_with("acked="));
        let line = line.ok_or_else(|| {
            Error::broken(format!("the load on {} ended without an account; see {}", self.topic, self.log.display()))
        })?;
        Ok(account_of(line, pod.phase == "Succeeded"))
    }
}

const IMAGE_PATH: &str = "jsonpath={.spec.template.spec.containers[0].image}";

impl Drop for Load<'_> {
    fn drop(&mut self) {
        // The follower of a load that was given up; its pod goes with the bed, or with the next installation.
        let _reaped = self.follower.kill().and_then(|()| self.follower.wait());
    }
}

fn one_pod(bed: &Bed, name: &str) -> Result<Pod> {
    let found = pods(bed, &format!("load={name}"))?.into_iter().find(|pod| !pod.deleting);
    found.ok_or_else(|| Error::Failed {
        command: format!("get pod of audit-{name}"),
        code: "nothing".to_owned(),
        output: "there is none".to_owned(),
    })
}

/// Follows a pod's log into a file, and reads the lines of progress.
fn follow(bed: &Bed, pod: &str, log: &std::path::Path) -> Result<(Child, Arc<Mutex<Vec<Tick>>>)> {
    let command = "kubectl logs -f";
    let problem = |source| Error::Run { command: command.to_owned(), source };
    let mut follower = bed.command(&["kubectl", "-n", super::bed::NAMESPACE, "logs", "-f", pod]);
    let follower = follower.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut follower = follower.spawn().map_err(problem)?;
    let mut file = File::create(log)?;
    let ticks = Arc::new(Mutex::new(Vec::new()));
    let (out, noted) = (follower.stdout.take(), Arc::clone(&ticks));
    std::thread::spawn(move || {
        for line in out.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(std::result::Result::ok) {
            if let Some(tick) = tick(&line) {
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(tick);
            }
            // Nobody is hurt by a report without this log.
            let _written = writeln!(file, "{line}");
        }
    });
    Ok((follower, ticks))
}

fn field(line: &str, name: &str) -> Option<u64> {
    line.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

fn tick(line: &str) -> Option<Tick> {
    line.starts_with("t=").then_some(())?;
    let window = field(line, "window_pause_ms")?.max(field(line, "window_partition_pause_ms")?);
    Some(Tick { acked: field(line, "acked")?, pause_ms: field(line, "pause_ms")?, window_ms: window })
}

/// Reads the account's line.
pub fn account_of(line: &str, clean: bool) -> Account {
    let number = |name| field(line, name).unwrap_or(0);
    Account {
        acked: number("acked"),
        read: number("read"),
        lost: number("lost") + number("corrupted"),
        duplicated: number("duplicated") + number("phantom"),
        reordered: number("reordered"),
        in_doubt: number("in_doubt"),
        refused: number("refused"),
        longest_pause_ms: number("longest_pause_ms"),
        longest_partition_pause_ms: number("longest_partition_pause_ms"),
        clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_audit_are_read() {
        let line = "t=3 acked=2954 waiting=4 pause_ms=1 window_pause_ms=48 window_partition_pause_ms=147";
        assert_eq!(tick(line), Some(Tick { acked: 2954, pause_ms: 1, window_ms: 147 }));
        assert_eq!(tick("reading: 10 %, 200 read"), None);
        let line = "acked=10 read=9 lost=1 duplicated=0 reordered=2 in_doubt=3 refused=4 longest_pause_ms=515 \
                    longest_partition_pause_ms=592 live_read=9";
        let account = account_of(line, true);
        assert_eq!((account.acked, account.read, account.lost, account.reordered), (10, 9, 1, 2));
        assert_eq!((account.longest_pause_ms, account.longest_partition_pause_ms), (515, 592));
    }
}
