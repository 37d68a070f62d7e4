//! The printed reference of all options: as a TOML file to start from, or as Markdown to read.

use std::fmt::Write;

use super::{OptionDoc, Settings};

/// A TOML file with every option of `program`, its meaning, range and default, and whether it is required. Options without a
/// default are commented out.
pub fn toml<C: Settings>(program: &str) -> String {
    let mut text = format!("# Every option of {program} with its default. Made by `{program} --print-options`.\n");
    for option in C::reference() {
        text.push('\n');
        // Writing to a String cannot fail.
        for line in option.doc {
            let _ = writeln!(text, "#{line}");
        }
        if option.required {
            text.push_str("# Required.\n");
        }
        if let Some((low, high)) = option.range {
            let _ = writeln!(text, "# Range: {low} to {high}.");
        }
        let _ = match option.default.as_str() {
            "" => writeln!(text, "# {} =", option.key),
            default => writeln!(text, "{} = {default}", option.key),
        };
    }
    text
}

/// A Markdown document with every option of `program`, its default, range and meaning.
pub fn markdown<C: Settings>(program: &str) -> String {
    let mut text = format!(
        "# Options of {program}\n\nWritten by a test from `src/config/options.rs`. \
         Each is a key of the TOML file and of `--set key=value`.\n"
    );
    for option in C::reference() {
        let range = option.range.map_or_else(String::new, |(low, high)| format!(", {low} to {high}"));
        let doc: Vec<_> = option.doc.iter().map(|line| line.trim()).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\n### `{}`\n\nDefault: {}{range}.\n\n{}",
            option.key,
            readable_default(&option),
            doc.join(" ")
        );
    }
    text
}

fn readable_default(option: &OptionDoc) -> String {
    match option.default.as_str() {
        _ if option.required => "none, required".to_owned(),
        "" => "none".to_owned(),
        "\"\"" => "empty".to_owned(),
        default => match default.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => format!("`{quoted}`"),
            None => default.to_owned(),
        },
    }
}
