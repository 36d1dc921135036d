//! Lists as columns.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

/// Returns rows in columns under their headings, or one sentence if there are none.
pub(crate) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    none: &str,
) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    if rows.is_empty() {
        return format!("{none}\n");
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(heading.to_vec());
    for row in rows {
        table.add_row(row.to_vec());
    }
    // Columns have a blank at both sides; lines begin at the margin and end with their text.
    let lines = table.lines().map(|line| {
        let line = line.trim_end();
        line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n"
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_columns() {
        let rows = [
            ["a".to_owned(), "long name".to_owned()],
            ["bcd".to_owned(), String::new()],
        ];
        let expect = "ID   NAME\na    long name\nbcd\n";
        assert_eq!(table(["ID", "NAME"], rows, "none"), expect);
        assert_eq!(table(["ID"], Vec::new(), "no memories"), "no memories\n");
    }
}
