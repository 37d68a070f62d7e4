//! The rules of `client/cli/README.md`, checked over the whole tree of commands.

use std::{any::TypeId, time::Duration};

use clap::{Arg, Command, CommandFactory, Parser};

use super::Cli;
use crate::units::Size;

/// Options that are times, and options that are sizes, wherever they occur.
const TIMES: &[&str] = &["timeout", "delivery-timeout", "duration", "linger", "settle", "warm-up"];
const SIZES: &[&str] = &["size", "batch-size", "buffer-memory"];
/// Names of values that would hide a unit.
const BARE_UNITS: &[&str] = &["SECONDS", "MS", "BYTES", "MIB", "KIB"];
/// Words that are not plain technical English.
const QUAINT: &[&str] = &[
    "anew",
    "books",
    "fate",
    "shall",
    "that is made",
    "whoever",
    "wish",
    "is no codec",
    "last word",
    "there are none",
];
/// Width of the narrowest terminal that help is written for, and of a line that is broken by hand, characters.
const HELP_WIDTH: usize = 80;
const HAND_WIDTH: usize = 78;
/// Options that many commands share, in the order in which help shows them.
const COMMON: &[&str] = &["bootstrap", "one-address", "data-dir", "output"];
/// Short options of several long ones that mean the same: how many.
const SHARED_SHORTS: &[(char, &[&str])] = &[('n', &["brokers", "count", "lines", "records"])];

/// Every visible command with its path.
fn commands() -> Vec<(String, Command)> {
    fn walk(path: &str, command: &Command, into: &mut Vec<(String, Command)>) {
        for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
            let path = format!("{path} {}", child.get_name());
            into.push((path.clone(), child.clone()));
            walk(&path, child, into);
        }
    }
    let mut root = Cli::command().term_width(HELP_WIDTH);
    root.build();
    let mut all = Vec::new();
    walk("holdfast", &root, &mut all);
    assert!(all.len() > 25, "the whole tree is walked: {}", all.len());
    all
}

/// Every visible option of every command, with the command's path.
fn options() -> Vec<(String, Arg)> {
    let of = |(path, command): (String, Command)| {
        command
            .get_arguments()
            .filter(|arg| !arg.is_hide_set())
            .map(|arg| (path.clone(), arg.clone()))
            .collect::<Vec<_>>()
    };
    commands().into_iter().flat_map(of).collect()
}

#[test]
fn every_command_says_what_it_does_and_begins_the_rest_with_examples_of_its_own() {
    for (path, command) in commands() {
        assert!(command.get_about().is_some(), "{path} has no description");
        let is_group = command.has_subcommands() && command.is_subcommand_required_set();
        let after = command.get_after_help().map_or_else(String::new, ToString::to_string);
        assert_eq!(after.starts_with("Examples:\n"), !is_group, "{path}: {after}");
        let examples = after.split("\n\n").next().unwrap_or_default();
        let own = examples.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(is_group || own.contains(&path), "{path} has no example of its own");
    }
}

#[test]
fn help_fits_a_narrow_terminal() {
    let mut root = Cli::command().term_width(HELP_WIDTH);
    root.build();
    for (path, mut command) in commands().into_iter().chain([("holdfast".to_owned(), root)]) {
        let after = command.get_after_help().map_or_else(String::new, ToString::to_string);
        let long: Vec<_> = after.lines().filter(|line| line.chars().count() > HAND_WIDTH).collect();
        assert!(long.is_empty(), "{path}: longer than {HAND_WIDTH}: {long:?}");
        for line in command.render_long_help().to_string().lines() {
            // A word that fits no column, as the path of a folder, stands alone.
            let is_one_word = line.split_whitespace().count() == 1;
            assert!(is_one_word || line.chars().count() <= HELP_WIDTH, "{path}: `{line}` is longer than {HELP_WIDTH}");
        }
    }
}

#[test]
fn common_options_stand_in_one_order_and_only_where_they_do_something() {
    for (path, command) in commands() {
        let mut shown: Vec<_> = command
            .get_arguments()
            .filter(|arg| !arg.is_hide_set() && arg.get_help_heading() == Some("Common options"))
            .map(|arg| (arg.get_display_order(), arg.get_long().unwrap_or_default()))
            .collect();
        shown.sort_unstable();
        let shown: Vec<_> = shown.into_iter().map(|(_, long)| long).collect();
        let expected: Vec<_> = COMMON.iter().copied().filter(|long| shown.contains(long)).collect();
        assert_eq!(shown, expected, "{path}");
        let is_local = ["dev", "demo", "completion", "bench failover"]
            .iter()
            .any(|local| path == format!("holdfast {local}") || path.starts_with(&format!("holdfast {local} ")));
        assert_eq!(shown.contains(&"bootstrap"), !is_local, "{path} --bootstrap");
        assert_eq!(shown.contains(&"one-address"), !is_local, "{path} --one-address");
    }
}

#[test]
fn a_common_option_is_taken_where_it_is_not_shown() {
    for line in [
        &["holdfast", "-b", "a:1", "--one-address", "-o", "json", "dev", "kill", "broker-1"][..],
        &["holdfast", "dev", "kill", "broker-1", "-b", "a:1", "-o", "json"],
        &["holdfast", "demo", "--bootstrap", "a:1", "--one-address"],
        &["holdfast", "completion", "bash", "-b", "a:1", "-o", "table"],
        &["holdfast", "bench", "failover", "-b", "a:1"],
    ] {
        assert!(Cli::try_parse_from(line).is_ok(), "{line:?}");
    }
    let cli = Cli::try_parse_from(["holdfast", "dev", "status", "-o", "json"]).unwrap();
    assert_eq!(cli.output.output, crate::output::Output::Json);
}

#[test]
fn every_listing_is_ls_with_the_alias_list_and_prints_json() {
    let mut listings = 0;
    for (path, command) in commands() {
        assert_ne!(command.get_name(), "list", "{path}: a listing is named ls");
        if command.get_name() != "ls" {
            continue;
        }
        listings += 1;
        assert!(command.get_visible_aliases().any(|alias| alias == "list"), "{path} has no alias list");
        assert!(command.get_arguments().any(|arg| arg.get_long() == Some("output")), "{path} has no --output");
    }
    assert_eq!(listings, 4, "topics, brokers, partitions, controllers");
}

#[test]
fn times_and_sizes_have_units() {
    for (path, arg) in options() {
        let Some(long) = arg.get_long() else { continue };
        let name = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
        assert!(!BARE_UNITS.contains(&name), "{path} --{long} hides its unit in {name}");
        let parsed = arg.get_value_parser().type_id();
        let (is_time, is_size) = (parsed == TypeId::of::<Duration>(), parsed == TypeId::of::<Size>());
        assert_eq!(is_time, TIMES.contains(&long), "{path} --{long}: a time is parsed with its unit");
        assert_eq!(is_size, SIZES.contains(&long), "{path} --{long}: a size is parsed with its unit");
        assert_eq!((is_time, is_size), (name == "TIME", name == "SIZE"), "{path} --{long} {name}");
    }
}

#[test]
fn a_short_option_has_one_meaning() {
    let mut seen: Vec<(char, String, String)> = Vec::new();
    for (path, arg) in options() {
        let (Some(short), Some(long)) = (arg.get_short(), arg.get_long()) else { continue };
        let shared = SHARED_SHORTS.iter().any(|(of, longs)| *of == short && longs.contains(&long));
        if let Some((_, other, at)) = seen.iter().find(|(of, other, _)| *of == short && other != long) {
            assert!(shared, "-{short} is --{long} of {path} and --{other} of {at}");
        }
        seen.push((short, long.to_owned(), path));
    }
}

#[test]
fn the_replication_factor_has_one_name() {
    let options = options();
    assert!(options.iter().all(|(_, arg)| arg.get_long() != Some("replicas")));
    let with = options.iter().filter(|(_, arg)| arg.get_long() == Some("replication-factor")).count();
    assert!(with >= 5, "topic create, audit and three benches: {with}");
}

#[test]
fn help_is_in_plain_english() {
    for (path, mut command) in commands() {
        let help = command.render_long_help().to_string().to_lowercase();
        for quaint in QUAINT {
            let whole = help.match_indices(quaint).any(|(at, _)| {
                let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
                !letter(help[..at].chars().next_back()) && !letter(help[at + quaint.len()..].chars().next())
            });
            assert!(!whole, "{path} --help says `{quaint}`");
        }
    }
}

#[test]
fn the_bootstrap_address_stands_before_or_after_the_command() {
    let before = ["holdfast", "-b", "a:1", "topic", "ls"];
    let after = ["holdfast", "topic", "ls", "-b", "a:1"];
    for line in [before, after] {
        let matches = Cli::command().try_get_matches_from(line).unwrap();
        let given = matches.get_many::<String>("bootstrap").unwrap().collect::<Vec<_>>();
        assert_eq!(given, ["a:1"], "{line:?}");
    }
}

#[test]
fn a_misspelt_command_is_answered_with_the_near_one() {
    let error = Cli::command().try_get_matches_from(["holdfast", "topci", "ls"]).unwrap_err().to_string();
    assert!(error.contains("topic"), "{error}");
}
