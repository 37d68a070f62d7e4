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
        let shown = |number: u64| readable_number(option.key, &number.to_string());
        let range = option.range.map_or_else(String::new, |(low, high)| format!(", {} to {}", shown(low), shown(high)));
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
            None => readable_number(option.key, default),
        },
    }
}

/// A number as it is written in the file, followed by its size in words where the option counts bytes.
fn readable_number(key: &str, number: &str) -> String {
    const UNITS: [(u64, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let bytes = number.parse::<u64>().ok().filter(|bytes| *bytes > 0 && key.contains("bytes"));
    let whole = |bytes: u64| UNITS.into_iter().find(|(shift, _)| bytes.is_multiple_of(1 << shift));
    match bytes.and_then(|bytes| whole(bytes).map(|(shift, unit)| (bytes >> shift, unit))) {
        Some((count, unit)) => format!("{number} ({count} {unit})"),
        None => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable_where_an_option_counts_bytes() {
        let cases = [
            ("tail_cache_bytes", "1073741824", "1073741824 (1 GiB)"),
            ("tail_cache_bytes", "17825792", "17825792 (17 MiB)"),
            ("max_in_flight_bytes_per_stream", "4096", "4096 (4 KiB)"),
            ("tail_cache_bytes", "65535", "65535"),
            ("tail_cache_bytes", "0", "0"),
            ("max_connections", "4096", "4096"),
            ("eager_bytes", "false", "false"),
        ];
        for (key, number, expected) in cases {
            assert_eq!(readable_number(key, number), expected);
        }
    }
}
