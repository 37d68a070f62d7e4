//! Which command was meant by a word that is none.
//!
//! A command of another noun has the same name as often as not (`holdfast status`): that is named, whole. The short names of
//! commands, of one letter, resemble nothing that a person writes, and are not suggested.

use clap::{
    Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// The error with the suggestions that help.
pub fn improved(mut error: Error, root: &Command) -> Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let elsewhere = paths(root, word);
    let similar = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(similar)) => similar,
        Some(ContextValue::String(similar)) => vec![similar],
        _ => Vec::new(),
    };
    let similar = similar.into_iter().filter(|name| name.chars().count() > 1);
    let suggested: Vec<String> = elsewhere.into_iter().chain(similar).collect();
    if !suggested.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(suggested));
    }
    error
}

/// The commands below a noun that are called so, as they are written.
fn paths(root: &Command, word: &str) -> Vec<String> {
    let nouns = root.get_subcommands().filter(|noun| !noun.is_hide_set());
    let verbs = nouns.flat_map(|noun| noun.get_subcommands().map(move |verb| (noun, verb)));
    let named = verbs.filter(|(_, verb)| verb.get_name() == word || verb.get_all_aliases().any(|alias| alias == word));
    named.map(|(noun, verb)| format!("{} {}", noun.get_name(), verb.get_name())).collect()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::cli::Cli;

    fn told(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from([&["holdfast"], arguments].concat()).expect_err("no such command");
        super::improved(error, &Cli::command()).to_string()
    }

    #[test]
    fn a_command_of_another_noun_is_suggested_and_no_single_letter() {
        let status = told(&["status"]);
        assert!(status.contains("'dev status', 'cluster status'") && !status.contains("'t'"), "{status}");
        assert!(told(&["create"]).contains("'topic create'"));
        let near = told(&["cluster", "statu"]);
        assert!(near.contains("'status'"), "as clap does it: {near}");
        assert!(!told(&["xyzzy"]).contains("tip:"));
    }
}
