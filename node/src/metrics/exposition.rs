//! A page as it travels.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, prometheus_text, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::{
    samples::{Samples, Value},
    table::{Kind, Metric, Table},
};

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text, version 0.0.4.
    Prometheus,
    /// The text of OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What a request with this `Accept` header gets: OpenMetrics if it is named and not refused, else Prometheus' text.
    pub fn accepted(accept: Option<&str>) -> Self {
        let is_open_metrics = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let is_named = parts.next() == Some("application/openmetrics-text");
            is_named && parts.all(|part| !matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        };
        let named = accept.is_some_and(|accept| accept.split(',').any(|range| is_open_metrics(range.trim())));
        if named { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` of such a page.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes the samples of a table, in its order. Metrics without a sample are left out.
pub(super) fn page(table: Table, samples: Samples, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page { table, samples }));
    let mut page = String::new();
    let written = match format {
        Format::Prometheus => prometheus_text::encode(&mut page, &registry),
        Format::OpenMetrics => text::encode(&mut page, &registry),
    };
    // Writing to a String cannot fail.
    debug_assert!(written.is_ok());
    page
}

#[derive(Debug)]
struct Page {
    table: Table,
    samples: Samples,
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for metric in self.table {
            let samples = self.samples.of(metric);
            if !samples.is_empty() {
                encode(metric, samples, &mut encoder)?;
            }
        }
        Ok(())
    }
}

fn encode(metric: &Metric, samples: &[(Vec<String>, Value)], encoder: &mut DescriptorEncoder) -> fmt::Result {
    let kind = match metric.kind {
        Kind::Gauge => MetricType::Gauge,
        Kind::Counter => MetricType::Counter,
        Kind::Info => MetricType::Info,
    };
    let unit = (!metric.unit.is_empty()).then(|| Unit::Other(metric.unit.to_owned()));
    let mut encoder = encoder.encode_descriptor(metric.stem(), &metric.help(), unit.as_ref(), kind)?;
    for (values, value) in samples {
        let labels: Vec<(&str, &str)> = metric.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
        if metric.kind == Kind::Info {
            encoder.encode_info(&labels)?;
            continue;
        }
        let encoder = encoder.encode_family(&labels)?;
        match (metric.kind, *value) {
            (Kind::Counter, Value::Whole(value)) => ConstCounter::new(value).encode(encoder)?,
            (Kind::Counter, Value::Real(value)) => ConstCounter::new(value).encode(encoder)?,
            (_, Value::Whole(value)) => ConstGauge::new(value).encode(encoder)?,
            (_, Value::Real(value)) => ConstGauge::new(value).encode(encoder)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::metrics! {
        /// One of each kind.
        static TABLE;

        /// Bytes that were read.
        READ: "holdfast_read_bytes_total", Counter in "bytes";
        /// How old
        /// something is.
        AGE: "holdfast_age_seconds", Gauge in "seconds" by "kind";
        /// Which build it is.
        BUILD: "holdfast_build_info", Info by "version";
        /// Things of which there is none to tell.
        NONE: "holdfast_things", Gauge;
    }

    fn samples() -> Samples {
        let mut samples = Samples::default();
        samples.put_info(&BUILD, ["1.0"]);
        samples.put(&READ, 7_u64);
        samples.put_by(&AGE, ["a \"b\"\\\n"], 0.5);
        samples.put_by(&AGE, ["c"], f64::NAN);
        samples
    }

    #[test]
    fn a_page_in_prometheus_text() {
        let expected = "# HELP holdfast_read_bytes_total Bytes that were read.\n# TYPE holdfast_read_bytes_total counter\n\
                        holdfast_read_bytes_total 7\n\
                        # HELP holdfast_age_seconds How old something is.\n# TYPE holdfast_age_seconds gauge\n\
                        holdfast_age_seconds{kind=\"a \\\"b\\\"\\\\\\n\"} 0.5\nholdfast_age_seconds{kind=\"c\"} NaN\n\
                        # HELP holdfast_build_info Which build it is.\n# TYPE holdfast_build_info gauge\n\
                        holdfast_build_info{version=\"1.0\"} 1\n";
        assert_eq!(page(TABLE, samples(), Format::Prometheus), expected);
    }

    #[test]
    fn a_page_in_open_metrics() {
        let expected = "# HELP holdfast_read_bytes Bytes that were read.\n# TYPE holdfast_read_bytes counter\n\
                        # UNIT holdfast_read_bytes bytes\nholdfast_read_bytes_total 7\n\
                        # HELP holdfast_age_seconds How old something is.\n# TYPE holdfast_age_seconds gauge\n\
                        # UNIT holdfast_age_seconds seconds\n\
                        holdfast_age_seconds{kind=\"a \\\"b\\\"\\\\\\n\"} 0.5\nholdfast_age_seconds{kind=\"c\"} NaN\n\
                        # HELP holdfast_build Which build it is.\n# TYPE holdfast_build info\n\
                        holdfast_build_info{version=\"1.0\"} 1\n# EOF\n";
        assert_eq!(page(TABLE, samples(), Format::OpenMetrics), expected);
    }

    #[test]
    fn who_asks_gets_what_it_understands() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        for accept in [None, Some("*/*"), Some("text/plain"), Some("application/openmetrics-text;q=0, text/plain")] {
            assert_eq!(Format::accepted(accept), Format::Prometheus, "{accept:?}");
        }
    }
}
