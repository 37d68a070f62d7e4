//! The printed reference of all metrics.

use std::fmt::Write;

use super::table::Table;

/// A Markdown document with every metric of `program`: type, unit, labels and meaning.
pub fn markdown(program: &str, table: Table) -> String {
    let mut text = format!(
        "# Metrics of {program}\n\nWritten by a test from `src/metrics/table.rs`. Served at `GET /metrics` of `metrics_listen` \
         (see [CONFIG.md](CONFIG.md)), as Prometheus' text or as OpenMetrics; metrics that have nothing to tell are left out.\n"
    );
    for metric in table {
        let unit = if metric.unit.is_empty() { String::new() } else { format!(", in {}", metric.unit) };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!(", by {}", labels.join(", ")) };
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "\n### `{}`\n\nA {}{unit}{labels}.\n\n{}", metric.name, metric.kind.word(), metric.help());
    }
    text.replace("\nA info", "\nAn info")
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::metrics! {
        /// A table of two metrics.
        static TABLE;

        /// How old
        /// something is.
        AGE: "holdfast_age_seconds", Gauge in "seconds" by "kind", "place";
        /// Which build it is.
        BUILD: "holdfast_build_info", Info by "version";
    }

    #[test]
    fn each_metric_is_described() {
        let text = markdown("a program", TABLE);
        assert!(text.starts_with("# Metrics of a program\n"), "{text}");
        let age = "### `holdfast_age_seconds`\n\nA gauge, in seconds, by `kind`, `place`.\n\nHow old something is.\n";
        let build = "### `holdfast_build_info`\n\nAn info, by `version`.\n\nWhich build it is.\n";
        assert!(text.ends_with(&format!("\n{age}\n{build}")), "{text}");
        assert_eq!((AGE.labels.len(), BUILD.labels.len()), (2, 1));
    }
}
