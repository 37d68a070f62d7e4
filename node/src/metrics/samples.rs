//! The values of one page.

use std::collections::BTreeMap;

use super::table::{Kind, Metric, Table};

/// What a program's metrics are read from.
pub trait Source: Send + Sync + 'static {
    /// All metrics that it may tell.
    fn table(&self) -> Table;

    /// Reads what there is to tell now. May block for a moment: it runs on a thread of its own.
    fn read(&self, samples: &mut Samples);
}

/// The value of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A number of things, or an id.
    Whole(u64),
    /// Anything that is no whole number.
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// The values of one page, by metric.
#[derive(Clone, Debug, Default)]
pub struct Samples(BTreeMap<&'static str, Vec<Sample>>);

/// The values of the labels, in the metric's order, and the value.
pub(super) type Sample = (Vec<String>, Value);

impl Samples {
    /// Adds the value of a metric without labels.
    pub fn put(&mut self, metric: &'static Metric, value: impl Into<Value>) {
        self.put_by(metric, [], value);
    }

    /// Adds the value of a metric for these values of its labels, in the order of the table. Each of a metric once.
    pub fn put_by<const N: usize>(&mut self, metric: &'static Metric, labels: [&str; N], value: impl Into<Value>) {
        debug_assert_eq!(metric.labels.len(), N, "{} has the labels {:?}", metric.name, metric.labels);
        debug_assert!(metric.kind != Kind::Info, "{} has no value", metric.name);
        self.0.entry(metric.name).or_default().push((labels.map(str::to_owned).to_vec(), value.into()));
    }

    /// Adds an info with these values of its labels, in the order of the table.
    pub fn put_info<const N: usize>(&mut self, metric: &'static Metric, labels: [&str; N]) {
        debug_assert_eq!(metric.labels.len(), N, "{} has the labels {:?}", metric.name, metric.labels);
        debug_assert!(metric.kind == Kind::Info, "{} has a value", metric.name);
        self.0.entry(metric.name).or_default().push((labels.map(str::to_owned).to_vec(), Value::Whole(1)));
    }

    /// What was put of a metric.
    pub(super) fn of(&self, metric: &Metric) -> &[Sample] {
        self.0.get(metric.name).map_or(&[], Vec::as_slice)
    }

    /// The value of a metric for these values of its labels; `None` if it was not put. For tests.
    pub fn get(&self, metric: &Metric, labels: &[&str]) -> Option<Value> {
        self.of(metric)
            .iter()
            .find(|(found, _)| found.iter().map(String::as_str).eq(labels.iter().copied()))
            .map(|(_, value)| *value)
    }
}
