//! Drains, racks and even loads: the first three steps of a plan.

use holdfast_proto::ids::BrokerId;

use super::{
    leaders,
    planned::{Plan, PlanGoal},
    table::Table,
};
use crate::image::Image;

/// Plans. Looks at every partition.
pub fn plan(image: &Image, goal: &PlanGoal) -> Plan {
    let mut table = Table::of(image, &goal.drain);
    let problems = drain(image, goal, &mut table);
    if !goal.only_drain {
        spread_over_racks(&mut table);
        level_replicas(&mut table);
        leaders::level(&mut table);
    }
    Plan { moves: table.moves(), problems }
}

/// Empties the brokers that have to be empty; says what stays.
fn drain(image: &Image, goal: &PlanGoal, table: &mut Table<'_>) -> Vec<String> {
    let goes = |broker| image.broker(broker).is_none() || image.is_draining(broker) || goal.drain.contains(&broker);
    let mut problems = Vec::new();
    for row in 0..table.len() {
        let leaving: Vec<BrokerId> = table.target(row).iter().copied().filter(|broker| goes(*broker)).collect();
        if leaving.is_empty() {
            continue;
        }
        if table.is_leaderless(row) {
            problems.push(format!(
                "{} has no leader that its replicas could be copied from; it stays on {} until one returns",
                table.name(row),
                list(&leaving)
            ));
            continue;
        }
        let mut stuck = Vec::new();
        for from in leaving {
            match table.best_taker(row, from) {
                Some(to) => table.replace(row, from, to),
                None => stuck.push(from),
            }
        }
        if !stuck.is_empty() {
            problems.push(format!(
                "{} has {} replicas, and there are {} active brokers that are not being drained; it stays on {}",
                table.name(row),
                table.target(row).len(),
                table.takers().count(),
                list(&stuck)
            ));
        }
    }
    problems
}

fn list(brokers: &[BrokerId]) -> String {
    let brokers: Vec<String> = brokers.iter().map(ToString::to_string).collect();
    format!("broker{} {}", if brokers.len() == 1 { "" } else { "s" }, brokers.join(", "))
}

/// Takes a replica out of each rack that has two, for a rack that has none.
fn spread_over_racks(table: &mut Table<'_>) {
    for row in 0..table.len() {
        while !table.is_fixed(row)
            && let Some((from, to)) = table.rack_repair(row)
        {
            table.replace(row, from, to);
        }
    }
}

/// Moves single replicas from those that have more to those that have less, as long as that makes loads more equal.
fn level_replicas(table: &mut Table<'_>) {
    while let Some((row, from, to)) = transfer(table) {
        table.replace(row, from, to);
    }
}

fn transfer(table: &Table<'_>) -> Option<(usize, BrokerId, BrokerId)> {
    let mut by_load: Vec<(usize, BrokerId)> = table.takers().map(|broker| (table.load(broker), broker)).collect();
    by_load.sort_unstable();
    by_load.iter().rev().find_map(|(most, from)| {
        let fewer = by_load.iter().take_while(|(least, _)| least + 2 <= *most);
        fewer.into_iter().find_map(|(_, to)| Some((table.transferable(*from, *to)?, *from, *to)))
    })
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
