//! Which of several controllers knows most of the cluster. Pure.

use holdfast_proto::v1::DescribeClusterResponse;

/// True if this controller holds nothing of the cluster's log, as one whose data folder was empty: what it counts is not
/// the cluster's.
pub(crate) fn is_empty(view: &DescribeClusterResponse) -> bool {
    view.cluster_id.is_empty() && view.index == 0
}

/// The one that knows most; `None` if nobody answers.
pub(crate) fn newest<'a>(
    views: impl IntoIterator<Item = &'a DescribeClusterResponse>,
) -> Option<&'a DescribeClusterResponse> {
    views.into_iter().max_by_key(|view| (!is_empty(view), view.index, view.term))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_log_knows_more_than_who_has_a_higher_term() {
        let empty = DescribeClusterResponse { term: 9, ..Default::default() };
        let known = |index| DescribeClusterResponse { cluster_id: vec![7; 16].into(), index, ..Default::default() };
        let views = [known(4), empty.clone(), known(5)];
        assert_eq!(newest(&views), Some(&known(5)));
        assert_eq!(newest([&empty]), Some(&empty));
        assert_eq!(newest([]), None);
        assert!(is_empty(&empty) && !is_empty(&known(0)));
    }
}
