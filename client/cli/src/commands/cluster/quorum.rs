//! Controllers that do not answer, and what to do; also where no quorum is left.

use holdfast_proto::v1::DescribeClusterResponse;

use super::silent::Silent;
use crate::width::fit;

/// Which controllers do not answer, and what to do; empty if all do and one is active.
pub(super) fn as_text(view: &DescribeClusterResponse, silent: &Silent) -> String {
    let voters: Vec<_> = view.controllers.iter().filter(|controller| controller.voter).collect();
    let missing = view.controllers.iter().filter(|controller| silent.controllers.contains(&controller.node_id));
    let missing: Vec<_> = missing.map(|controller| controller.address.as_str()).collect();
    let names = missing.join(", ");
    let (what, next) = match (view.active_controller, &missing[..]) {
        (Some(_), []) => return String::new(),
        (None, _) if voters.is_empty() => return String::new(),
        // One that was refused, replaced or damaged says so with its code, and never comes back on that folder.
        (Some(_), _) => (
            format!("controllers that do not answer: {names}"),
            "start them; one that ends with code 13, 16 or 18 starts with an empty data folder".to_owned(),
        ),
        (None, []) => (
            without(voters.len()),
            "wait some seconds; if that stays so, see their logs, and `holdfast controller recover`".to_owned(),
        ),
        (None, _) => (
            without(voters.len()),
            format!(
                "start those that do not answer, with their data folders: {names}; where that can never be: holdfast \
                 controller recover"
            ),
        ),
    };
    format!("{}\n{}", fit(&what, " "), fit(&format!("  -> {next}"), " "))
}

fn without(voters: usize) -> String {
    format!("no controller is active: {} of {voters} have to run; nothing can fail over until then", voters / 2 + 1)
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::ControllerInfo;

    use super::*;

    #[test]
    fn the_controllers_that_have_to_be_started_are_named() {
        let controller = |node_id| ControllerInfo {
            node_id,
            voter: true,
            address: format!("c{node_id}:7072"),
            ..ControllerInfo::default()
        };
        let mut view = DescribeClusterResponse { controllers: (1..4).map(controller).collect(), ..Default::default() };
        let silent = Silent { controllers: [2, 3].into(), ..Silent::default() };
        let text = as_text(&view, &silent);
        assert!(text.starts_with("no controller is active: 2 of 3 have to run"), "{text}");
        assert!(text.contains("c2:7072, c3:7072") && text.contains("holdfast controller"), "{text}");
        assert!(as_text(&view, &Silent::default()).contains("-> wait some seconds"));
        view.active_controller = Some(1);
        let text = as_text(&view, &silent);
        assert!(text.starts_with("controllers that do not answer: c2:7072, c3:7072\n  -> start them"), "{text}");
        assert_eq!(as_text(&view, &Silent::default()), "");
    }
}
