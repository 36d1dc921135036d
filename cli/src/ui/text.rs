//! Text on a terminal: marks, colours, and what must not reach a terminal.

/// How text looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Marks are coloured.
    pub(crate) color: bool,
    /// Marks are written in ASCII.
    pub(crate) ascii: bool,
}

/// The marks at the beginning of a line: as written, in ASCII, and their colour.
const MARKS: [(&str, &str, &str); 3] = [
    ("✓ ", "OK ", "\u{1b}[32m"),
    ("✗ ", "ERROR ", "\u{1b}[31m"),
    ("! ", "! ", "\u{1b}[33m"),
];
const PLAIN: &str = "\u{1b}[0m";

impl Look {
    /// Returns text as the terminal gets it.
    pub(crate) fn render(self, text: &str) -> String {
        text.split_inclusive('\n')
            .map(|line| self.line(&safe(line)))
            .collect()
    }

    fn line(self, line: &str) -> String {
        for (mark, ascii, color) in MARKS {
            if let Some(rest) = line.strip_prefix(mark) {
                let mark = if self.ascii { ascii } else { mark };
                return if self.color {
                    format!("{color}{mark}{PLAIN}{rest}")
                } else {
                    format!("{mark}{rest}")
                };
            }
        }
        line.to_owned()
    }
}

/// Tells whether a character steers a terminal or the direction of text.
fn is_steering(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && !matches!(c, '\n' | '\t')) || turns
}

fn safe(text: &str) -> String {
    text.chars()
        .map(|c| if is_steering(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Returns text on one line, cut to a number of characters.
pub(crate) fn one_line(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars_max {
        return line;
    }
    let cut: String = line.chars().take(chars_max.saturating_sub(2)).collect();
    cut + ".."
}

/// Returns the first characters of an id: enough to name it again.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// Returns a number and its noun.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Returns a number of memories.
pub(crate) fn memories(number: usize) -> String {
    count(number, "memory", "memories")
}

/// Returns bytes in the unit that fits, with one digit after the point.
pub(crate) fn bytes(number: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if number < 1_000 {
        return format!("{number} B");
    }
    let (mut tenths, mut at) = (number / 100, 0);
    while tenths >= 10_000 && at + 1 < units.len() {
        tenths /= 1_000;
        at += 1;
    }
    format!(
        "{}.{} {}",
        tenths / 10,
        tenths % 10,
        units.get(at).copied().unwrap_or("TB")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_follow_locale_and_color() {
        let check = |color, ascii, expect: &str| {
            assert_eq!(Look { color, ascii }.render("✓ a ✓\n  ✗ b\n"), expect);
        };
        check(false, false, "✓ a ✓\n  ✗ b\n");
        check(false, true, "OK a ✓\n  ✗ b\n");
        check(true, false, "\u{1b}[32m✓ \u{1b}[0ma ✓\n  ✗ b\n");
    }

    #[test]
    fn steering_characters_are_replaced() {
        let look = Look {
            color: false,
            ascii: false,
        };
        assert_eq!(
            look.render("a\tb\r\u{7}\u{9b}\u{202e}c"),
            "a\tb\u{fffd}\u{fffd}\u{fffd}\u{fffd}c"
        );
    }

    #[test]
    fn lines_are_cut_by_characters() {
        assert_eq!(one_line(" a\n b ", 10), "a b");
        assert_eq!(
            one_line("\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}", 4),
            "\u{e4}\u{e4}.."
        );
    }

    #[test]
    fn bytes_are_given_in_the_unit_that_fits() {
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_849_999, "1.8 MB"),
        ];
        for (number, expect) in table {
            assert_eq!(bytes(number), expect);
        }
        assert_eq!(bytes(u64::MAX), "18446744.0 TB");
    }
}
