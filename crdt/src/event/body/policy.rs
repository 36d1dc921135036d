//! The body of a policy: its text, as the person wrote it.
//!
//! Whether the text says something is not asked here: who reads it fails closed.

use crate::codec::{DecodeError, Reader, Writer};

/// The longest policy, in bytes: some hundred rules.
pub const POLICY_BYTES_MAX: usize = 64 << 10;

/// Writes the body of a policy.
pub fn write_policy(text: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.text(text);
    out.into_bytes()
}

/// Reads the text of a policy.
pub fn read_policy(body: &[u8]) -> Result<String, DecodeError> {
    let mut input = Reader::new(body);
    let text = input.text(POLICY_BYTES_MAX, "policy")?;
    input.finish()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_as_it_was_written_and_no_longer_one_does() {
        let text = "[screen]\ntoken = \"hold\"\n";
        assert_eq!(read_policy(&write_policy(text)).as_deref(), Ok(text));
        let long = "x".repeat(POLICY_BYTES_MAX + 1);
        assert!(read_policy(&write_policy(&long)).is_err());
    }
}
