//! The reference of all options as a TOML file. `holdfast-broker --print-options` prints it, and the copy in
//! `broker/holdfast-broker.toml` is kept fresh by a test.

use std::fmt::Write;

use super::Config;

/// A TOML file with every option, its meaning, range and default. Options without a default are commented out.
pub fn reference_toml() -> String {
    let mut text =
        "# Every option of holdfast-broker with its default. Made by `holdfast-broker --print-options`.\n".to_owned();
    for option in Config::reference() {
        text.push('\n');
        // Writing to a String cannot fail.
        for line in option.doc {
            let _ = writeln!(text, "#{line}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_the_repository_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/holdfast-broker.toml");
        let expected = reference_toml();
        if std::env::var_os("HOLDFAST_UPDATE").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == expected, "{path} is stale: run this test once with HOLDFAST_UPDATE=1");
    }
}
