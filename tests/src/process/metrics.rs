//! What a node tells Prometheus: asked for over HTTP, and read as strictly as its format says.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    process::{Command, Stdio},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use holdfast_local::{NodeName, ProcessCluster};

/// Prometheus' own reader, where it is installed (Debian: `apt-get install prometheus`).
const PROMTOOL: &str = "/usr/bin/promtool";

/// The values of one page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The page as it came.
    pub text: String,
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// The value of a series, as `name` or `name{label="value",...}`.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// The series of a metric that have labels, with their values.
    pub fn series<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let of_metric = move |series: &str| series.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{'));
        self.samples
            .iter()
            .filter(move |(series, _)| of_metric(series))
            .map(|(series, value)| (series.as_str(), *value))
    }
}

/// Asks a running node of the cluster; `None` while it does not answer. Panics over a page that breaks its format.
pub async fn scrape(cluster: &mut ProcessCluster, node: NodeName) -> Option<Page> {
    let text = get(cluster, node, "*/*").await?;
    Some(read(&text).unwrap_or_else(|wrong| panic!("{node}: {wrong}: {text}")))
}

/// The same as OpenMetrics, unread.
pub async fn scrape_open_metrics(cluster: &mut ProcessCluster, node: NodeName) -> Option<String> {
    get(cluster, node, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await
}

async fn get(cluster: &mut ProcessCluster, node: NodeName, accept: &str) -> Option<String> {
    let status = cluster.status().into_iter().find(|status| status.name == node && status.pid.is_some())?;
    let address = status.metrics_address.expect("each node has a port for metrics");
    let mut stream = TcpStream::connect(&address).await.ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{node}: {head}");
    let is_open = accept.starts_with("application/openmetrics-text");
    assert_eq!(head.to_lowercase().contains("content-type: application/openmetrics-text"), is_open, "{head}");
    Some(body.to_owned())
}

/// Has Prometheus' own tool look at a page, if it is there.
pub fn check_by_promtool(page: &Page) {
    let tool = Command::new(PROMTOOL)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        println!("promtool not run: {PROMTOOL} is not there");
        return;
    };
    tool.stdin.take().expect("a pipe").write_all(page.text.as_bytes()).expect("it reads");
    let output = tool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "promtool: {said}");
}

/// Reads a page of Prometheus' text, version 0.0.4: for each metric its help, its type, then all of its samples; no series
/// twice.
fn read(text: &str) -> Result<Page, String> {
    let mut page = Page { text: text.to_owned(), ..Page::default() };
    let (mut known, mut helped, mut current) = (BTreeSet::new(), None::<&str>, None::<(&str, &str)>);
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    for line in text.lines() {
        let wrong = |what: &str| Err(format!("{what}: {line}"));
        if let Some(help) = line.strip_prefix("# HELP ") {
            let Some((name, meaning)) = help.split_once(' ') else { return wrong("no meaning") };
            if meaning.is_empty() || !known.insert(name) {
                return wrong("a metric without a meaning, or twice");
            }
            helped = Some(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            match kind.split_once(' ') {
                Some((name, kind @ ("gauge" | "counter"))) if helped.take() == Some(name) => {
                    current = Some((name, kind));
                }
                _ => return wrong("a type that does not follow the help of its metric"),
            }
        } else {
            let Some((series, value)) = line.rsplit_once(' ') else { return wrong("no value") };
            let Ok(value) = value.parse::<f64>() else { return wrong("the value is no number") };
            let Some((metric, kind)) = current.filter(|_| helped.is_none()) else { return wrong("no type before") };
            if name_of(series)? != metric {
                return wrong("a sample among those of another metric");
            }
            if (kind == "counter") != metric.ends_with("_total") || (kind == "counter" && value < 0.0) {
                return wrong("a counter ends in _total and is at least 0");
            }
            if page.samples.insert(series.to_owned(), value).is_some() {
                return wrong("a series twice");
            }
        }
    }
    Ok(page)
}

/// The name of a series; an error if that or its labels are written wrongly.
fn name_of(series: &str) -> Result<&str, String> {
    let is_name = |name: &str| {
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let (name, mut rest) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').ok_or_else(|| format!("open labels: {series}"))?),
        None => (series, ""),
    };
    let mut labels = BTreeSet::new();
    while !rest.is_empty() {
        let (label, value) = rest.split_once("=\"").ok_or_else(|| format!("no value of a label: {series}"))?;
        let end = end_of(value).ok_or_else(|| format!("no end of a label: {series}"))?;
        rest = match &value[end + 1..] {
            "" => "",
            more => {
                more.strip_prefix(',').filter(|more| !more.is_empty()).ok_or_else(|| format!("no comma: {series}"))?
            }
        };
        if !is_name(label) || !labels.insert(label) {
            return Err(format!("a label's name is wrong, or stands twice: {series}"));
        }
    }
    if is_name(name) { Ok(name) } else { Err(format!("no name of a metric: {series}")) }
}

/// Where the value of a label ends that began before this text: at the first quote that is not escaped.
fn end_of(value: &str) -> Option<usize> {
    let mut escaped = false;
    value.char_indices().find_map(|(at, c)| {
        let is_end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_and_a_broken_one_is_refused() {
        let good = "# HELP a_total A meaning.\n# TYPE a_total counter\na_total 3\n# HELP b Another.\n# TYPE b gauge\n\
                    b{x=\"1\",y=\"a \\\"q\\\" , }\"} 0.5\nb{x=\"2\",y=\"\"} NaN\n";
        let page = read(good).unwrap();
        assert_eq!((page.value("a_total"), page.series("b").count()), (Some(3.0), 2));
        for (from, to) in [
            ("a_total 3", "a_total three"),
            ("a_total 3", "a_total 3\na_total 4"),
            ("a_total 3", "a_total -3"),
            ("a_total 3", "b 3"),
            (" counter", " gauge"),
            (" counter", " histogram"),
            ("# HELP b Another.\n", ""),
            ("# TYPE b gauge\n", ""),
            ("# HELP b ", "# HELP a_total "),
            ("x=\"2\"", "x=2"),
            ("x=\"2\",", "x=\"2\""),
            ("x=\"2\"", "y=\"2\""),
            ("x=\"2\"", "7=\"2\""),
            ("NaN\n", "NaN"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert!(bad != good && read(&bad).is_err(), "{from:?} as {to:?}");
        }
    }
}
