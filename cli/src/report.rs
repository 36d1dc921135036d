//! What a command found out: one JSON document, the same as text, and the ids in it.
//!
//! A command returns it; [`crate::ui::Ui`] decides which of the three is shown.

use crate::exit::Exit;
use serde::Serialize;
use serde_json::{Map, Value};

/// Whether text is written as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextForm {
    /// Lines for people: control characters are shown, not obeyed.
    Shown,
    /// Lines that only confirm: `-q` leaves them out.
    Confirmation,
    /// Bytes for a program: exactly as they are.
    Exact,
}

/// What a command found out.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    fields: Map<String, Value>,
    text: String,
    form: TextForm,
    ids: Vec<String>,
    exit: Exit,
}

impl Report {
    /// Makes the report of a command, named as in `peer.invite`, from a type of the API.
    pub(crate) fn new(command: &str, content: &impl Serialize) -> Self {
        let mut fields = match serde_json::to_value(content) {
            Ok(Value::Object(fields)) => fields,
            Ok(other) => Map::from_iter([("value".to_owned(), other)]),
            Err(error) => unreachable!("the types of the API are JSON: {error}"),
        };
        fields.insert("schema".to_owned(), format!("brain.cli.{command}/1").into());
        let (text, form) = (String::new(), TextForm::Shown);
        Self {
            fields,
            text,
            form,
            ids: Vec::new(),
            exit: Exit::Done,
        }
    }

    /// Adds a field.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the text for people.
    #[must_use]
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Sets text that only confirms.
    #[must_use]
    pub(crate) fn confirmation(mut self, text: impl Into<String>) -> Self {
        self.form = TextForm::Confirmation;
        self.text(text)
    }

    /// Sets text that is written exactly as it is.
    #[must_use]
    pub(crate) fn exact(mut self, text: impl Into<String>) -> Self {
        self.form = TextForm::Exact;
        self.text(text)
    }

    /// Sets the ids that `--ids` prints.
    #[must_use]
    pub(crate) fn ids(mut self, ids: impl IntoIterator<Item = String>) -> Self {
        self.ids = ids.into_iter().collect();
        self
    }

    /// Sets how the command ends.
    #[must_use]
    pub(crate) fn ends(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Returns how the command ends.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the form of the text.
    pub(crate) fn form(&self) -> TextForm {
        self.form
    }

    /// Returns the text for people.
    pub(crate) fn as_text(&self) -> &str {
        &self.text
    }

    /// Returns the JSON document, one line.
    pub(crate) fn as_json(&self) -> String {
        format!("{}\n", Value::Object(self.fields.clone()))
    }

    /// Returns the ids, one a line.
    pub(crate) fn as_ids(&self) -> String {
        self.ids
            .iter()
            .fold(String::new(), |all, id| all + id + "\n")
    }
}
