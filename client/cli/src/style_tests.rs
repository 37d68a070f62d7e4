//! The rules of `client/cli/README.md`, checked over the whole tree of commands.

use std::{any::TypeId, time::Duration};

use clap::{Arg, Command, CommandFactory};

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
/// Short options of several long ones that mean the same: how many; one partition, or the number of them.
const SHARED_SHORTS: &[(char, &[&str])] =
    &[('n', &["brokers", "count", "records"]), ('p', &["partition", "partitions"])];

/// Every visible command with its path.
fn commands() -> Vec<(String, Command)> {
    fn walk(path: &str, command: &Command, into: &mut Vec<(String, Command)>) {
        for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
            let path = format!("{path} {}", child.get_name());
            into.push((path.clone(), child.clone()));
            walk(&path, child, into);
        }
    }
    let mut root = Cli::command();
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
fn every_command_says_what_it_does_and_shows_examples() {
    for (path, mut command) in commands() {
        assert!(command.get_about().is_some(), "{path} has no description");
        let is_group = command.has_subcommands() && command.is_subcommand_required_set();
        let help = command.render_long_help().to_string();
        assert!(is_group || help.contains("Examples:"), "{path} has no examples");
    }
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
    assert_eq!(listings, 3, "topics, brokers, partitions");
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
