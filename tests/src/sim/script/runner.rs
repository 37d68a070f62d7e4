//! A whole story, line by line.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{cluster::Cluster, command, words::number};

/// Runs a story. `Err` names file, line and command, and what was found.
pub fn run(file: &str, text: &str) -> Result<(), String> {
    let mut cluster = None;
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        // A broken invariant or promise panics: that has its line as well.
        let ran = catch_unwind(AssertUnwindSafe(|| run_line(&mut cluster, &words)));
        ran.unwrap_or_else(|panic| Err(said(panic.as_ref())))
            .map_err(|why| format!("{file}:{}: {}: {why}", index + 1, words.join(" ")))?;
    }
    Ok(())
}

fn run_line(cluster: &mut Option<Cluster>, words: &[&str]) -> Result<(), String> {
    if let ["cluster", brokers, "min", min_isr] = words {
        *cluster = Some(Cluster::new(number(brokers)?, number(min_isr)?));
        return Ok(());
    }
    command::run(cluster.as_mut().ok_or("no cluster yet")?, words)
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
