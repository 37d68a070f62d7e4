//! `holdfast cluster`: the cluster as a whole.

use holdfast_proto::v1::DescribeClusterResponse;

use crate::output::grouped;

/// A verdict and the counts behind it, in two lines.
pub fn summary(view: &DescribeClusterResponse) -> String {
    let fenced = view.brokers.iter().filter(|broker| broker.fenced).count();
    let mut problems = Vec::new();
    if view.active_controller.is_none() {
        problems.push("no active controller".to_owned());
    }
    for (count, what) in [
        (fenced as u64, "brokers fenced"),
        (view.offline_partition_count, "partitions offline"),
        (view.under_min_isr_partition_count, "partitions below min.insync.replicas: writes are refused"),
        (view.under_replicated_partition_count, "partitions under-replicated"),
    ] {
        if count > 0 {
            problems.push(format!("{} {what}", grouped(count)));
        }
    }
    let verdict = if problems.is_empty() { "healthy".to_owned() } else { problems.join(", ") };
    format!(
        "cluster: {verdict}\n{} brokers, {} topics, {} partitions; metadata index {}, term {}",
        view.brokers.len(),
        grouped(view.topic_count),
        grouped(view.partition_count),
        view.index,
        view.term
    )
}
