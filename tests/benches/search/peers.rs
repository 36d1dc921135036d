//! The peers that keep vectors: Chroma and `LanceDB`, where a Python that has them is named.
//!
//! They get the vectors of our built-in model ready-made, one a note (a long note has more with us),
//! and the same kind of queries with theirs. What each is asked stands in `peers.py`.

use crate::texts::Notes;
use node::embed::builtin::Builtin;
use node::embed::{Embedder as _, Purpose, chunk};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/search/peers.py");
/// Kinds of searches that share the queries.
const KINDS: usize = 5;

/// Measures each peer, and returns what its script prints; none where `PEERS_PYTHON` names nothing.
pub(crate) fn measure(notes: &Notes, queries: usize) -> Option<Vec<(&'static str, String)>> {
    let python = std::env::var_os("PEERS_PYTHON")?;
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let (vectors, asked) = (folder.path().join("vectors"), folder.path().join("queries"));
    let queries = notes.queries(KINDS * queries, 4);
    std::fs::write(&asked, queries.join("\n")).expect("the folder takes a file");
    write_vectors(&asked.with_extension("vectors"), queries.into_iter());
    write_vectors(&vectors, notes.all());
    let peers = [
        ("Chroma, behind HTTP", "chroma"),
        ("LanceDB, in process", "lance"),
    ];
    let told = peers.map(|(name, peer)| {
        let mut script = Command::new(&python);
        let script = script.arg(SCRIPT).arg(peer).arg(&notes.folder);
        let output = script.arg(&vectors).arg(&asked).output();
        let output = output.expect("the Python that PEERS_PYTHON names runs");
        let mut told = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            told.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        (name, told)
    });
    Some(told.into())
}

/// Writes the vector of each text, that of its first piece, as 32-bit floats.
fn write_vectors(path: &Path, texts: impl Iterator<Item = String>) {
    let model = Builtin::load().expect("the model is part of the binary");
    let mut file = BufWriter::new(File::create(path).expect("the folder takes a file"));
    for text in texts {
        let pieces = chunk::split("", &text);
        let piece = pieces.first().map_or("", String::as_str);
        let vectors = model
            .embed(&[piece], Purpose::Text)
            .expect("it is built in");
        for number in vectors.into_iter().flatten() {
            file.write_all(&number.to_le_bytes())
                .expect("the file takes it");
        }
    }
    file.flush().expect("the file takes it");
}
