//! What to do where a majority of the controllers is lost, and on which machine.

use serde_json::json;

use holdfast_checker::text::render_table;

use super::seen::{Answer, Controller, Seen};
use crate::{output::ids, width::fit};

/// A step: what to do, and the commands for it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    what: String,
    commands: Vec<Run>,
}

/// A command, and the address of the node on whose machine it is to be run; `None`: anywhere.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    at: Option<String>,
    command: String,
}

impl Step {
    fn new(what: impl Into<String>, commands: Vec<Run>) -> Self {
        Self { what: what.into(), commands }
    }
}

/// What was said of brokers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Named<'a> {
    /// Every broker that there is; empty: not said.
    pub(super) there: &'a [u32],
    /// Brokers that are gone for good.
    pub(super) gone: &'a [u32],
}

/// Stands for a folder that only its machine knows.
const FOLDER: &str = "DATA_DIR";

/// Stands for the brokers that there are, which were not named.
const BROKERS: &str = "IDS";

/// Whose folder it is that goes on.
const CHOICE: &str = "Go on with the one whose last entry has the highest term, and of the same term the highest index; name every broker that \
                      there is, for a partition may have moved to one that this controller does not know, and then waits for it. On its \
                      machine alone:";

/// Sets a setting again, at the one controller that there is then.
const SETTINGS: &str = "holdfast topic alter TOPIC -c SETTING=VALUE --bootstrap CONTROLLER";

pub(super) fn as_text(seen: &Seen, named: Named<'_>) -> String {
    let mut parts = vec![fit(&seen.strength(), " ")];
    if !seen.controllers.is_empty() {
        parts.push(table(seen));
    }
    let mut number = 0;
    for step in steps(seen, named) {
        number += 1;
        let mut lines = vec![fit(&format!("{number}. {}", step.what), " ")];
        for run in &step.commands {
            // A command stands on a line of its own, to be copied.
            lines.extend(run.at.as_ref().map(|at| format!("     # on the machine of {at}")));
            lines.push(format!("     {}", run.command));
        }
        parts.push(lines.join("\n"));
    }
    let folder = if parts.iter().any(|part| part.contains(FOLDER)) {
        format!("{FOLDER} is `data_dir` of the controller's settings. ")
    } else {
        String::new()
    };
    parts.push(format!("{folder}Nothing was changed."));
    parts.join("\n\n")
}

pub(super) fn as_json(seen: &Seen, named: Named<'_>) -> serde_json::Value {
    let controller = |controller: &Controller| {
        json!({
            "node_id": controller.id,
            "name": controller.node.map(|node| node.to_string()),
            "address": controller.address,
            "voter": controller.votes,
            "answers": controller.answer.is_some(),
            "empty": controller.answer.map(|answer| answer.is_empty),
            "index": controller.answer.map(|answer| answer.index),
            "term": controller.answer.map(|answer| answer.term),
        })
    };
    let run = |run: &Run| json!({ "at": run.at, "command": run.command });
    let step = |step: Step| json!({ "what": step.what, "commands": step.commands.iter().map(run).collect::<Vec<_>>() });
    json!({
        "quorum": seen.has_quorum(),
        "active_controller": seen.active,
        "controllers": seen.controllers.iter().map(controller).collect::<Vec<_>>(),
        "unheard_brokers": seen.unheard_brokers,
        "steps": steps(seen, named).into_iter().map(step).collect::<Vec<_>>(),
    })
}

fn table(seen: &Seen) -> String {
    let rows = seen.controllers.iter().map(|controller| {
        let number = |of: fn(Answer) -> u64| controller.answer.map_or_else(|| "-".to_owned(), |at| of(at).to_string());
        let role = if controller.votes { "voter" } else { "learner" };
        let state = match (controller.answer, controller.id) {
            (None, _) => format!("{role}, silent"),
            (Some(Answer { is_empty: true, .. }), _) => format!("{role}, empty"),
            (Some(_), id) if id.is_some() && id == seen.active => "active".to_owned(),
            (Some(_), _) => format!("{role}, answers"),
        };
        [
            controller.node.map_or_else(|| "-".to_owned(), |node| node.to_string()),
            controller.id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            state,
            number(|at| at.term),
            number(|at| at.index),
            controller.address.clone(),
        ]
    });
    render_table(["CONTROLLER", "ID", "STATE", "TERM", "INDEX", "ADDRESS"], rows)
}

fn steps(seen: &Seen, named: Named<'_>) -> Vec<Step> {
    if seen.has_quorum() {
        return without_brokers(seen, named.gone);
    }
    let silent: Vec<_> = seen.controllers.iter().filter(|one| one.votes && one.answer.is_none()).collect();
    let start: Vec<_> = silent.iter().filter_map(|one| one.node).map(|node| node.to_string()).collect();
    let start =
        if start.is_empty() { Vec::new() } else { vec![anywhere(format!("holdfast dev start {}", start.join(" ")))] };
    let there = if named.there.is_empty() { BROKERS.to_owned() } else { ids(named.there) };
    let gone = if named.gone.is_empty() { String::new() } else { format!(" --without-brokers {}", ids(named.gone)) };
    vec![
        Step::new(
            format!(
                "{} Once {} answer, all goes on and nothing is lost.",
                if is_any_empty(seen) {
                    "Stop the controllers whose data folders are empty, and start them and those that do not answer with \
                     the data folders that they had."
                } else {
                    "Start the controllers that do not answer, with the data folders that they have."
                },
                if seen.voters() == 0 { "most".to_owned() } else { seen.majority().to_string() }
            ),
            start,
        ),
        Step::new(
            "Only if that can never be: stop every controller, and leave all folders alone. See what each one knows that \
             still has its folder:",
            looks(seen),
        ),
        // Who that is only the folders say: what a running one answers is what it has applied, and it may hold more.
        Step::new(CHOICE, vec![anywhere(recover(FOLDER, &format!(" --accept-loss --brokers {there}{gone}")))]),
        Step::new(
            "Stop every broker, and start that controller. What it knows of topics may be older than what was agreed to: \
             look at the retention.ms, retention.bytes, segment.ms and segment.bytes of each one, and set again what was \
             raised lately, for brokers delete by them as soon as a partition has a leader. CONTROLLER is the address of \
             that controller:",
            vec![anywhere(SETTINGS.to_owned())],
        ),
        Step::new(
            "Start the other controllers with empty data folders, never with those that they had. Then start every broker, \
             so that each says what it holds.",
            Vec::new(),
        ),
        Step::new("See which brokers are waited for, and what was given up:", vec![status()]),
    ]
}

/// The controllers were recovered, and brokers are waited for that never come. `without`: which of them are gone for good.
fn without_brokers(seen: &Seen, without: &[u32]) -> Vec<Step> {
    let gone = if without.is_empty() { &seen.unheard_brokers } else { without };
    vec![
        Step::new(
            format!(
                "Start broker {} again, with the data folder as it was last: a partition without a leader waits for it. \
                 Then nothing has to be given up.",
                ids(&seen.unheard_brokers)
            ),
            Vec::new(),
        ),
        Step::new(
            "Only if the disk of one is gone for good: nobody waits for it then, and what it alone holds is lost. The \
             controllers stay as they are. For each that is gone:",
            gone.iter().map(|broker| anywhere(format!("holdfast broker disk-lost {broker}"))).collect(),
        ),
        Step::new("See which brokers are waited for, and what was given up:", vec![status()]),
    ]
}

fn is_empty(controller: &Controller) -> bool {
    controller.answer.is_some_and(|answer| answer.is_empty)
}

fn is_any_empty(seen: &Seen) -> bool {
    seen.controllers.iter().any(is_empty)
}

/// What shows what the folder of each controller knows. An empty one knows nothing, and is refused.
fn looks(seen: &Seen) -> Vec<Run> {
    let looks: Vec<_> = seen.controllers.iter().filter(|one| !is_empty(one)).collect();
    match &looks[..] {
        [] => vec![anywhere(recover(FOLDER, ""))],
        all => all.iter().map(|one| at(one, recover(&folder(one), ""))).collect(),
    }
}

fn recover(folder: &str, flags: &str) -> String {
    format!("holdfast-controller recover --data-dir {folder}{flags}")
}

fn status() -> Run {
    anywhere("holdfast cluster status".to_owned())
}

fn anywhere(command: String) -> Run {
    Run { at: None, command }
}

fn at(controller: &Controller, command: String) -> Run {
    Run { at: Some(name(controller)), command }
}

fn folder(controller: &Controller) -> String {
    controller.folder.as_ref().map_or_else(|| FOLDER.to_owned(), |folder| folder.display().to_string())
}

fn name(controller: &Controller) -> String {
    match controller.node {
        Some(node) => format!("{node} ({})", controller.address),
        None => controller.address.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::width::WIDTH;

    fn controller(id: u64, answer: Option<Answer>) -> Controller {
        Controller { id: Some(id), address: format!("c{id}:7072"), votes: true, answer, ..Controller::default() }
    }

    fn commands(seen: &Seen, gone: &[u32]) -> Vec<String> {
        steps(seen, Named { gone, there: &[] })
            .into_iter()
            .flat_map(|step| step.commands)
            .map(|run| run.command)
            .collect()
    }

    #[test]
    fn each_step_names_its_machine_and_its_command() {
        let answer = |index| Some(Answer { index, term: 4, is_empty: false });
        let controllers = vec![controller(1, answer(7)), controller(2, answer(9)), controller(3, None)];
        let five = [controllers, vec![controller(4, None), controller(5, None)]].concat();
        let seen = Seen { controllers: five, ..Seen::default() };
        assert!(!seen.has_quorum());
        assert_eq!(seen.strength(), "controllers: 2 of 5 answer, a majority is 3; none is active");
        let text = as_text(&seen, Named { there: &[1, 2, 3], gone: &[6, 7] });
        // A command is one line, however long it is.
        let is_command = |line: &str| line.starts_with("     holdfast");
        assert!(text.lines().all(|line| is_command(line) || line.chars().count() <= WIDTH), "{text}");
        let last = "\n     holdfast-controller recover --data-dir DATA_DIR --accept-loss --brokers 1,2,3 --without-brokers 6,7";
        assert!(text.contains(last), "only the folders say which: {text}");
        assert!(text.ends_with("Nothing was changed."), "{text}");
        let json = as_json(&seen, Named::default());
        assert_eq!(json["quorum"], json!(false), "{json}");
        assert_eq!(json["steps"][1]["commands"].as_array().map(Vec::len), Some(5), "{json}");
        let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(place("4. Stop every broker") < place(SETTINGS), "{text}");
        assert!(place(SETTINGS) < place("5. Start the other controllers"), "{text}");
    }

    #[test]
    fn controllers_with_empty_folders_make_no_majority() {
        let empty = Some(Answer { is_empty: true, ..Answer::default() });
        let held = Some(Answer { index: 9, term: 4, is_empty: false });
        let controllers = vec![controller(1, held), controller(2, empty), controller(3, empty)];
        let seen = Seen { controllers, ..Seen::default() };
        assert!(!seen.has_quorum());
        let text = as_text(&seen, Named::default());
        let strength = "controllers: 1 of 3 answer, 2 more are empty, a majority is 2; none is active\n";
        assert!(text.starts_with(strength) && text.contains("voter, empty"), "{text}");
        assert!(text.contains("1. Stop the controllers whose data folders are empty"), "{text}");
        let look = "holdfast-controller recover --data-dir DATA_DIR";
        let accept = format!("{look} --accept-loss --brokers IDS");
        let expected = [look.to_owned(), accept, SETTINGS.to_owned(), "holdfast cluster status".to_owned()];
        assert_eq!(commands(&seen, &[]), expected, "an empty folder is not worth a look");
        assert_eq!(as_json(&seen, Named::default())["controllers"][1]["empty"], json!(true));
    }

    #[test]
    fn brokers_that_never_come_are_given_up_by_their_disks_where_a_quorum_exists() {
        let controllers = vec![controller(1, Some(Answer { index: 9, term: 4, is_empty: false }))];
        let seen = Seen { controllers, active: Some(1), unheard_brokers: vec![3, 5], ..Seen::default() };
        assert!(seen.has_quorum());
        let lost = |broker| format!("holdfast broker disk-lost {broker}");
        let then = "holdfast cluster status".to_owned();
        assert_eq!(commands(&seen, &[]), [lost(3), lost(5), then.clone()], "which are gone is not known");
        assert_eq!(commands(&seen, &[5]), [lost(5), then]);
        let text = as_text(&seen, Named::default());
        assert!(text.contains("Start broker 3,5 again") && !text.contains("holdfast-controller"), "{text}");
    }

    #[test]
    fn where_nobody_answers_the_steps_are_told_all_the_same() {
        let seen = Seen::default();
        assert!(!seen.has_quorum());
        let text = as_text(&seen, Named::default());
        assert!(text.contains("recover --data-dir DATA_DIR --accept-loss --brokers IDS"), "{text}");
    }
}
