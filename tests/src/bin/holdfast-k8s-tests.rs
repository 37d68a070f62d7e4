//! Runs the scenarios on a real Kubernetes: `make test-k8s`. See [`holdfast_tests::k8s`].
//!
//! Environment: ONLY=name,... runs some scenarios. KEEP=1 leaves the bed up, and takes one that is up. HOLDFAST_IMAGE is
//! the image's archive, HOLDFAST_K8S_REPORT the folder of the report.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use holdfast_tests::k8s::{
    Error, Result,
    bed::Bed,
    cluster::{BROKERS, Cluster},
    finding::Finding,
    program::{check_interrupted, interrupt},
    report::{LogKeeper, Report},
    scenario::{Scenario, World},
    scenarios::ALL,
};

/// After this no scenario is started any more.
const TOTAL: Duration = Duration::from_mins(75);

fn main() -> ExitCode {
    // Signals are taken on a thread of their own; every wait looks at what it noted.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let Ok(runtime) = runtime else {
        eprintln!("error: cannot start the runtime");
        return ExitCode::FAILURE;
    };
    runtime.spawn(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        let terminated = async {
            match &mut terminate {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated => {}
        }
        eprintln!("interrupted: taking everything down");
        interrupt();
    });
    let code = match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            if matches!(error, Error::Interrupted) { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    };
    runtime.shutdown_background();
    code
}

/// Where the programs, the image and the report are.
struct Places {
    holdfast: PathBuf,
    image: PathBuf,
    report: PathBuf,
    tag: String,
}

impl Places {
    fn find() -> Result<Self> {
        let problem = |source| Error::Run { command: "this program".to_owned(), source };
        let own = std::env::current_exe().map_err(problem)?;
        let bin = own.parent().unwrap_or(Path::new(".")).to_path_buf();
        let target = bin.parent().unwrap_or(&bin);
        let tag = env!("CARGO_PKG_VERSION").to_owned();
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let image = variable("HOLDFAST_IMAGE").unwrap_or_else(|| target.join(format!("image/holdfast-{tag}.tar")));
        let report = variable("HOLDFAST_K8S_REPORT").unwrap_or_else(|| target.join("k8s-report"));
        if !image.exists() {
            return Err(Error::broken(format!("there is no image {}: run make image", image.display())));
        }
        Ok(Self { holdfast: bin.join("holdfast"), image, report, tag })
    }
}

fn run() -> Result<bool> {
    let places = Places::find()?;
    let scenarios = chosen(std::env::var("ONLY").ok().as_deref())?;
    let keep = std::env::var_os("KEEP").is_some_and(|keep| !keep.is_empty() && keep != "0");
    let start = Instant::now();
    let bed = if keep && Bed::is_up()? { Bed::attach(places.holdfast) } else { Bed::up(places.holdfast, keep)? };
    // Only now: a bed that is up already may be writing to that folder.
    let report = Report::new(places.report.clone())?;
    let keeper = LogKeeper::start(&bed, &report)?;
    bed.load(&places.image)?;
    let cluster = Cluster::new(&bed, &places.tag);
    cluster.apply(&[])?;
    cluster.settle(BROKERS)?;
    eprintln!(
        "installed and well after {} s; the report goes to {}",
        start.elapsed().as_secs(),
        places.report.display()
    );
    let mut world = World { bed: &bed, cluster, report, topics: std::cell::RefCell::default() };
    let mut interrupted = Ok(());
    for scenario in scenarios {
        interrupted = check_interrupted();
        if interrupted.is_err() {
            break;
        }
        play(&mut world, scenario, start);
    }
    let text = world.report.finish()?;
    let (_, failed) = world.report.counts();
    drop(world);
    drop(keeper);
    drop(bed);
    println!("\n{text}");
    interrupted.and_then(|()| check_interrupted()).map(|()| failed == 0)
}

/// Runs one scenario, notes how it ended, and mends what it left broken.
fn play(world: &mut World, scenario: Scenario, start: Instant) {
    let begun = Instant::now();
    eprintln!("{}: {} ...", scenario.name, scenario.what);
    let found = if start.elapsed() < TOTAL {
        (scenario.run)(world, scenario.name)
    } else {
        Err(Error::broken(format!("not run: {} minutes are over", TOTAL.as_secs() / 60)))
    };
    let (finding, result) = match found {
        Ok(finding) => {
            let verdict = finding.judge();
            (finding, verdict)
        }
        Err(error) => (Finding { detail: scenario.what.to_owned(), ..Finding::default() }, Err(error)),
    };
    let failed = result.is_err();
    if let Err(error) = world.report.collect(world.bed, scenario.name) {
        eprintln!("{}: the report lacks what Kubernetes said: {error}", scenario.name);
    }
    world.report.note(scenario.name, begun.elapsed().as_secs(), finding, result);
    if failed
        && check_interrupted().is_ok()
        && let Err(error) = world.mend()
    {
        eprintln!("{}: what it left could not be mended: {error}", scenario.name);
    }
}

/// The scenarios named in ONLY, in their order; all without it.
fn chosen(only: Option<&str>) -> Result<Vec<Scenario>> {
    let Some(only) = only.filter(|only| !only.is_empty()) else { return Ok(ALL.to_vec()) };
    let names: Vec<_> = only.split(',').collect();
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|scenario| scenario.name != **name)) {
        let all: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        return Err(Error::broken(format!("there is no scenario '{unknown}'; there are {}", all.join(", "))));
    }
    Ok(ALL.into_iter().filter(|scenario| names.contains(&scenario.name)).collect())
}
