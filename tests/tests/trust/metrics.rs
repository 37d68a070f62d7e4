//! What Prometheus is told of what this folder does: a damaged replica by its name, until it was repaired, and a wall clock that
//! is wrong, until it is right.

use holdfast_eventually::until;
use holdfast_tests::process::{
    clocks::Clocks,
    fixture::{Setup, TOPIC},
    folders::Folder,
    metrics::{Page, check_by_promtool, scrape, scrape_open_metrics},
    said::are_deaf,
    stand::{BROKERS, Stand},
};

use crate::steps::CONTROLLERS;

const HOUR_MS: i64 = 60 * 60 * 1_000;
const SETTINGS: [&str; 4] =
    ["scrub_interval_ms=500", "tail_cache_age_ms=100", "retention_check_interval_ms=100", "clock_thaw_ms=1000"];

/// Asks a broker until what it tells is as it should be, and gives the page.
async fn until_told(stand: &mut Stand, broker: usize, what: &str, holds: impl Fn(&Page) -> bool) -> Page {
    let cluster = &mut stand.fixture.cluster;
    until(what, async || scrape(cluster, BROKERS[broker]).await.filter(&holds)).await
}

/// What the active controller tells, once that is as it should be.
async fn until_controller_tells(stand: &mut Stand, what: &str, holds: impl Fn(&Page) -> bool) -> Page {
    let cluster = &mut stand.fixture.cluster;
    until(what, async || {
        for controller in CONTROLLERS {
            let page = scrape(cluster, controller).await;
            let page = page.filter(|page| page.value("holdfast_controller_active") == Some(1.0) && holds(page));
            if page.is_some() {
                return page;
            }
        }
        None
    })
    .await
}

fn is(page: &Page, series: &str, value: f64) -> bool {
    page.value(series) == Some(value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_replica_and_a_wrong_clock_are_told_by_name_until_they_are_mended() {
    if are_deaf() {
        println!("not run: programs from before there were metrics tell none");
        return;
    }
    let clocks = Clocks::build();
    let setup = Setup { broker_settings: &SETTINGS, programs: Some(clocks.programs()), ..Setup::default() };
    let mut stand = Stand::start_with(setup).await;
    stand.write(3_000).await;

    let well = until_told(&mut stand, 0, "a broker that is well", |page| {
        is(page, "holdfast_broker_replicas{state=\"open\"}", 8.0)
            && is(page, "holdfast_broker_phase{phase=\"serving\"}", 1.0)
            && is(page, "holdfast_broker_retention_by_time_frozen", 0.0)
            && page.value("holdfast_broker_scrub_bytes_total") > Some(0.0)
            && page.value("holdfast_broker_scrub_rounds_total") > Some(0.0)
            && page.value("holdfast_broker_compared_ranges_total") > Some(0.0)
    })
    .await;
    assert!(is(&well, "holdfast_broker_replicas_troubled", 0.0) && is(&well, "holdfast_broker_registered", 1.0));
    assert!(well.value("holdfast_broker_lease_remaining_seconds") > Some(0.0), "{}", well.text);
    check_by_promtool(&well);
    let open = scrape_open_metrics(&mut stand.fixture.cluster, BROKERS[0]).await.expect("it answers");
    assert!(open.ends_with("\n# EOF\n") && open.contains("# UNIT holdfast_broker_scrub_bytes bytes\n"), "{open}");
    let controller = until_controller_tells(&mut stand, "a cluster that is well", |page| {
        is(page, "holdfast_controller_brokers{state=\"alive\"}", 3.0)
    })
    .await;
    assert!(
        is(&controller, "holdfast_controller_voters", 3.0) && is(&controller, "holdfast_controller_partitions", 8.0)
    );
    check_by_promtool(&controller);

    // Nobody else is there to take the place of the damaged replica: it goes on, and says so for as long.
    let (led, _) = stand.led_and_followed(BROKERS[0]).await;
    let id = stand.id(led).await;
    stand.kill(BROKERS[1]);
    stand.kill(BROKERS[2]);
    until_controller_tells(&mut stand, "both are fenced", |page| {
        is(page, "holdfast_controller_brokers{state=\"fenced\"}", 2.0)
    })
    .await;
    println!("a bit flipped in {}", Folder::of(&stand.fixture.cluster, BROKERS[0]).partition(id).flip_sealed());
    let named = format!("{{topic=\"{TOPIC}\",partition=\"{led}\",reason=\"damaged\",next=\"goes_on\"}}");
    let trouble = format!("holdfast_broker_replica_trouble{named}");
    let damaged = until_told(&mut stand, 0, "the damaged replica is named", |page| is(page, &trouble, 1.0)).await;
    assert!(is(&damaged, "holdfast_broker_replicas_troubled", 1.0), "{}", damaged.text);
    assert!(is(&damaged, "holdfast_broker_replicas{state=\"kept\"}", 1.0), "{}", damaged.text);
    assert!(is(&damaged, "holdfast_broker_findings_total{kind=\"damaged\"}", 1.0), "{}", damaged.text);
    check_by_promtool(&damaged);

    stand.begin(BROKERS[1]);
    stand.begin(BROKERS[2]);
    let mended = until_told(&mut stand, 0, "nothing is wrong any more", |page| {
        is(page, "holdfast_broker_replicas_troubled", 0.0)
            && is(page, "holdfast_broker_replicas{state=\"open\"}", 8.0)
            && is(page, "holdfast_broker_set_aside_folders", 1.0)
    })
    .await;
    assert_eq!(mended.series("holdfast_broker_replica_trouble").count(), 0, "{}", mended.text);
    assert!(mended.value("holdfast_broker_set_aside_bytes") > Some(0.0), "{}", mended.text);
    until_controller_tells(&mut stand, "all are believed", |page| {
        is(page, "holdfast_controller_replicas_not_believed{reason=\"damaged\"}", 0.0)
            && is(page, "holdfast_controller_brokers{state=\"alive\"}", 3.0)
    })
    .await;

    clocks.set(BROKERS[0], HOUR_MS);
    let frozen = until_told(&mut stand, 0, "retention by time is frozen", |page| {
        is(page, "holdfast_broker_retention_by_time_frozen", 1.0)
            && page.value("holdfast_broker_clock_ahead_seconds").is_some_and(|ahead| ahead > 3_000.0)
            && is(page, "holdfast_broker_clock_trouble{reason=\"differs\",next=\"set_clock\"}", 1.0)
    })
    .await;
    assert_eq!(frozen.series("holdfast_broker_clock_trouble").count(), 1, "{}", frozen.text);
    until_controller_tells(&mut stand, "the active controller knows", |page| {
        is(page, "holdfast_controller_broker_clocks_distrusted{reason=\"differs\"}", 1.0)
    })
    .await;
    clocks.set(BROKERS[0], 0);
    let thawed =
        until_told(&mut stand, 0, "it thaws", |page| is(page, "holdfast_broker_retention_by_time_frozen", 0.0)).await;
    assert_eq!(thawed.series("holdfast_broker_clock_trouble").count(), 0, "{}", thawed.text);
    stand.write(500).await;
    stand.prove("a damaged replica and a wrong clock, watched").await;
}
