//! What a broker tells Prometheus.

use std::sync::Arc;

use holdfast_broker::{
    life::start::Broker,
    metrics::{BrokerMetrics, TABLE},
};
use holdfast_node::metrics::{Samples, Source as _, Value};

/// The value of a metric of this name for these values of its labels; `None` if it is not told.
pub(crate) fn told(broker: &Broker, name: &str, labels: &[&str]) -> Option<u64> {
    let mut samples = Samples::default();
    BrokerMetrics::new(Arc::clone(broker.context())).read(&mut samples);
    let metric = TABLE.iter().find(|metric| metric.name == name).expect("it is in the table");
    match samples.get(metric, labels)? {
        Value::Whole(value) => Some(value),
        Value::Real(value) => panic!("{name} is {value}"),
    }
}
