//! Writes arguments the way a shell reads them back.

/// Returns an argument, in single quotes if a shell would read it otherwise.
pub(crate) fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

/// Returns the command line that gives the same arguments, with `--yes`.
pub(crate) fn again_with_yes<'a>(arguments: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = arguments.map(quoted).collect();
    // After `--` every word is a value, so `--yes` goes in front.
    let mut line = vec!["brainctl".to_owned(), "--yes".to_owned()];
    line.extend(words);
    line.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_needed() {
        let table = [
            ("tag:recipes", "tag:recipes"),
            ("tag:a -tag:b", "'tag:a -tag:b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ];
        for (argument, expect) in table {
            assert_eq!(quoted(argument), expect);
        }
    }

    #[test]
    fn the_command_to_run_says_yes() {
        let line = again_with_yes(["purge", "tag:old \"x\""].into_iter());
        assert_eq!(line, "brainctl --yes purge 'tag:old \"x\"'");
    }
}
