//! Numbers and tables for people.

use comfy_table::{ContentArrangement, Table, presets};

/// A table as text.
pub fn render_table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for row in &rows {
        table.add_row(row.iter());
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        let number = |text: &String| text == "-" || text.chars().all(|c| c.is_ascii_digit() || ",.".contains(c));
        if !rows.is_empty() && rows.iter().all(|row| number(&row[at])) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    let text = table.to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// A number with separators, as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun, as 1 topic, 2 topics.
pub fn counted(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(number))
}

/// Bytes in the unit that fits, as 1.5 MB (powers of ten).
pub fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1_000.0 {
            return if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1_000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_bytes_scaled() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 999, 1_500, 2_000_000_000].map(bytes), ["0 B", "999 B", "1.5 kB", "2.0 GB"]);
    }

    #[test]
    fn a_table_has_no_blanks_at_the_ends_of_lines() {
        let text = render_table(["NAME", "COUNT"], [["a".into(), "1".into()], ["bb".into(), "20".into()]]);
        assert_eq!(text, "NAME  COUNT\na         1\nbb       20");
    }
}
