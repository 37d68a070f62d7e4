//! Tables for people, JSON for scripts.
//!
//! Printing never fails: a reader that has left (`| head`) neither ends a command halfway nor changes what it ends with.
//! What writing met first is kept, and [`ended`] gives it once the command has done all else.

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};

use clap::{Arg, Args, Command};
use serde::Serialize;

use holdfast_checker::text::render_table;

use crate::exit::{Failure, Result};

/// What writing to standard output met first. Of the whole process, as standard output is.
static MET: OnceLock<io::Error> = OnceLock::new();

/// How a command prints its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A table, for people.
    #[default]
    Table,
    /// JSON, for scripts. Its fields stay as they are.
    Json,
}

/// The flag that chooses it, before the command as well as after it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputFlag {
    /// How to print results: table or json.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true,
        help_heading = "Common options",
        display_order = 4
    )]
    pub(crate) output: Output,
}

impl OutputFlag {
    /// The same flag for a command that prints no result: taken, and not shown.
    pub(crate) fn hidden() -> Vec<Arg> {
        Self::augment_args(Command::new("")).get_arguments().map(|arg| arg.clone().hide(true)).collect()
    }
}

/// Writes to standard output, or keeps why that fails.
pub(crate) fn write(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        keep(error);
    }
}

/// Keeps what writing to standard output met, for the end of the command.
pub fn keep(error: io::Error) {
    // The first one is the cause of those behind it.
    let _later = MET.set(error);
}

/// How the output ended, to be asked where all else is done: a reader that has left is no failure.
pub fn ended() -> Result {
    MET.get().map_or(Ok(()), judge)
}

fn judge(error: &io::Error) -> Result {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::error(format!("cannot write to standard output: {error}"))),
    }
}

/// Prints a value as indented JSON, with a line end.
pub fn print_json(value: &impl Serialize) {
    match serde_json::to_vec_pretty(value) {
        Ok(mut text) => {
            text.push(b'\n');
            write(&text);
        }
        Err(error) => keep(error.into()),
    }
}

/// Prints a table. Columns that hold numbers alone stand to the right.
pub fn print_table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    say(render_table(header, rows));
}

/// Prints a line to standard output, without the panic of `println!` when nobody reads it.
pub fn say(line: impl AsRef<str>) {
    write(format!("{}\n", line.as_ref()).as_bytes());
}

/// Prints a line to standard error.
pub fn note(line: impl AsRef<str>) {
    // There is nowhere to say that standard error is closed.
    let _closed = writeln!(io::stderr().lock(), "{}", line.as_ref());
}

/// Prints what is for people: to standard output, or beside the JSON that stands there.
pub fn tell(output: Output, text: impl AsRef<str>) {
    match output {
        Output::Table => say(text),
        Output::Json => note(text),
    }
}

/// True if a person can answer questions.
fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks before something is destroyed. Without a terminal it is refused; `yes` skips the question.
pub fn confirm(what: &str, yes: bool) -> Result {
    if yes {
        return Ok(());
    }
    if !is_interactive() {
        return Err(Failure::usage(unanswered(what)));
    }
    write!(io::stderr().lock(), "{what}. Go on? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::error("nothing was changed"))
    }
}

/// Ids as given, with commas, as flags take them; a dash where there is none.
pub fn ids<T: std::fmt::Display>(ids: impl IntoIterator<Item = T>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    if ids.is_empty() { "-".to_owned() } else { ids.join(",") }
}

/// The first few of these lines, and how many more there are: one cause may meet thousands.
pub fn few<T: std::fmt::Display>(lines: &[T]) -> String {
    const FEW: usize = 5;
    let mut few: Vec<String> = lines.iter().take(FEW).map(ToString::to_string).collect();
    if lines.len() > FEW {
        few.push(format!("and {} more like these", lines.len() - FEW));
    }
    few.join("\n")
}

/// What is said where nobody can answer the question; an error begins with a small letter.
fn unanswered(what: &str) -> String {
    let mut letters = what.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    let what: String = first.into_iter().chain(letters).collect();
    format!("{what}; without a terminal, add --yes to go on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_left_is_no_failure_and_a_full_disk_is() {
        judge(&io::ErrorKind::BrokenPipe.into()).unwrap();
        let failure = judge(&io::ErrorKind::StorageFull.into()).unwrap_err();
        assert!(failure.message.starts_with("cannot write to standard output"), "{failure}");
    }

    #[test]
    fn a_question_without_a_terminal_becomes_an_error() {
        assert_eq!(unanswered("This moves it"), "this moves it; without a terminal, add --yes to go on");
    }
}
