//! The figures of one program, and the table of both.

use crate::notes::Notes;
use brain_tests::measure::quantile;
use std::fmt::Write as _;

/// Time by the clock and on all cores together, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

/// What was measured of one program.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Taking the notes in on the first side.
    pub(crate) taken_in: Cost,
    /// From two paired sides, one of them empty, until both have all.
    pub(crate) first: Cost,
    /// Bytes in both directions meanwhile.
    pub(crate) first_bytes: u64,
    /// CPU of both sides until nothing is left to be done in the background.
    pub(crate) settled_cpu: f64,
    /// Edits until they can be read on the other side, when the first is told at once, in ms.
    pub(crate) edits: Vec<f64>,
    /// The same when a file changed and nobody told, in ms.
    pub(crate) watched: Vec<f64>,
    /// A new connection when nothing changed: bytes, CPU ms of both, ms until all is known.
    pub(crate) reconnect: [f64; 3],
    /// Memory of each side in KiB, now and at most.
    pub(crate) memory: [(u64, u64); 2],
    /// Bytes on the disk of each side.
    pub(crate) disk: [u64; 2],
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn float(number: u64) -> f64 {
    number as f64
}

type Row = (&'static str, &'static str, fn(&Figures) -> f64);

const ROWS: [Row; 22] = [
    ("taking in: wall", "s", |of| of.taken_in.wall),
    ("taking in: CPU", "s", |of| of.taken_in.cpu),
    ("first sync: wall", "s", |of| of.first.wall),
    ("first sync: CPU, both", "s", |of| of.first.cpu),
    ("first sync: CPU until all is quiet", "s", |of| {
        of.settled_cpu
    }),
    ("first sync: bytes, both ways", "B", |of| {
        float(of.first_bytes)
    }),
    ("edit, told: p50", "ms", |of| quantile(&of.edits, 0.5)),
    ("edit, told: p90", "ms", |of| quantile(&of.edits, 0.9)),
    ("edit, told: slowest", "ms", |of| quantile(&of.edits, 1.0)),
    ("edit, watched: p50", "ms", |of| quantile(&of.watched, 0.5)),
    ("edit, watched: slowest", "ms", |of| {
        quantile(&of.watched, 1.0)
    }),
    ("reconnect, nothing changed: bytes", "B", |of| {
        of.reconnect[0]
    }),
    ("reconnect: CPU, both", "ms", |of| of.reconnect[1]),
    ("reconnect: until equal", "ms", |of| of.reconnect[2]),
    ("memory, first side", "KiB", |of| float(of.memory[0].0)),
    ("memory, first side, at most", "KiB", |of| {
        float(of.memory[0].1)
    }),
    ("memory, second side", "KiB", |of| float(of.memory[1].0)),
    ("memory, second side, at most", "KiB", |of| {
        float(of.memory[1].1)
    }),
    ("disk, first side", "B", |of| float(of.disk[0])),
    ("disk, second side", "B", |of| float(of.disk[1])),
    (
        "edits measured, told",
        "",
        |of| float(of.edits.len() as u64),
    ),
    ("edits measured, watched", "", |of| {
        float(of.watched.len() as u64)
    }),
];

/// Writes the table; with two programs, also how many times the second the first one is.
pub(crate) fn table(notes: &Notes, of: &[(&str, &Figures)]) -> String {
    let names: Vec<&str> = of.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "| {} notes, {} B | {} |",
        notes.count,
        notes.bytes,
        names.join(" | ")
    );
    text += if of.len() == 2 { " ratio |\n" } else { "\n" };
    text += &"| --- ".repeat(1 + of.len() + usize::from(of.len() == 2));
    text += "|\n";
    for (what, unit, figure) in ROWS {
        write!(text, "| {what} |").expect("a string takes text");
        for (_, of) in of {
            let cell = written(figure(of), unit);
            write!(text, " {cell} |").expect("a string takes text");
        }
        if let [(_, one), (_, other)] = of {
            let ratio = written(figure(one) / figure(other), "");
            write!(text, " {ratio} |").expect("a string takes text");
        }
        text.push('\n');
    }
    for (name, of) in of {
        let times = float(of.first_bytes) / float(notes.bytes.max(1));
        writeln!(text, "\n{name}: {times:.2} x the payload").expect("a string takes text");
    }
    text
}

fn written(figure: f64, unit: &str) -> String {
    if !figure.is_finite() {
        return "-".to_owned();
    }
    let digits = if matches!(unit, "B" | "KiB") { 0 } else { 2 };
    format!("{figure:.digits$} {unit}").trim_end().to_owned()
}
