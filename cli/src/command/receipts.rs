//! What grantees say about their copies after they were asked to purge them, as a table.

use crate::ui::table::table;
use crate::ui::text::short;
use protocol::api::sharing::Receipt;

/// Returns the table, and what it does not say.
pub(crate) fn text(receipts: &[Receipt]) -> String {
    if receipts.is_empty() {
        return String::new();
    }
    let rows = receipts.iter().map(|receipt| {
        let says = match receipt.state.as_str() {
            "unreachable" => "no answer yet".to_owned(),
            "waiting" => "asks their person".to_owned(),
            other => other.to_owned(),
        };
        [
            receipt.person.clone(),
            short(&receipt.device),
            says,
            receipt.memories.to_string(),
            receipt.passed_on.to_string(),
            receipt.when.clone().unwrap_or_default(),
        ]
    });
    let heading = ["PERSON", "DEVICE", "SAYS", "MEMORIES", "PASSED ON", "WHEN"];
    table(heading, rows, "")
        + "This is what they say. Nobody can see from here what became of a copy.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_that_it_is_hearsay() {
        let receipt = |state: &str| Receipt {
            person: "bob".into(),
            device: "device".into(),
            state: state.into(),
            memories: 3,
            passed_on: 1,
            when: None,
        };
        let text = text(&["complied", "refused", "unreachable", "waiting"].map(receipt));
        for words in [
            "complied",
            "refused",
            "no answer yet",
            "asks their person",
            "they say",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        for word in ["deleted", "recalled", "erased"] {
            assert!(!text.contains(word), "{word}\n{text}");
        }
    }
}
