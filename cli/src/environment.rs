//! What the environment says: folders, locale, colours, editor. Nothing else reads it, except
//! `BRAIN_NODE`, which is the default of `--node`.

use crate::trace::Tracing;
use std::path::PathBuf;

/// What the environment wishes about colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ColorWish {
    /// It says nothing: colours where a terminal is.
    #[default]
    None,
    /// `NO_COLOR`, or a dumb terminal.
    Never,
    /// `CLICOLOR_FORCE`.
    Always,
}

/// The environment of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `BRAIN_HOME`: all of a node in one folder.
    pub(crate) brain_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub(crate) runtime_dir: Option<PathBuf>,
    /// `XDG_DATA_HOME`.
    pub(crate) data_home: Option<PathBuf>,
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// The locale of characters: `LC_ALL`, else `LC_CTYPE`, else `LANG`.
    pub(crate) locale: Option<String>,
    /// The wish about colours.
    pub(crate) color: ColorWish,
    /// `VISUAL`, else `EDITOR`.
    pub(crate) editor: Option<String>,
    /// Where traces go, and what this command is a step of.
    pub(crate) tracing: Tracing,
}

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let color = if text("NO_COLOR").is_some() {
            ColorWish::Never
        } else if text("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
            ColorWish::Always
        } else if text("TERM").is_some_and(|value| value == "dumb") {
            ColorWish::Never
        } else {
            ColorWish::None
        };
        Self {
            brain_home: folder("BRAIN_HOME"),
            runtime_dir: folder("XDG_RUNTIME_DIR"),
            data_home: folder("XDG_DATA_HOME"),
            home: folder("HOME"),
            locale: text("LC_ALL")
                .or_else(|| text("LC_CTYPE"))
                .or_else(|| text("LANG")),
            color,
            editor: text("VISUAL").or_else(|| text("EDITOR")),
            tracing: Tracing {
                endpoint: text("OTEL_EXPORTER_OTLP_ENDPOINT"),
                parent: text("TRACEPARENT").and_then(|text| text.parse().ok()),
            },
        }
    }

    /// Tells whether the locale has ASCII characters only.
    pub(crate) fn is_ascii(&self) -> bool {
        matches!(self.locale.as_deref(), Some("C" | "POSIX"))
    }
}

fn folder(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name)?;
    (!value.is_empty()).then(|| value.into())
}

fn text(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.into_string().ok()?;
    (!value.is_empty()).then_some(value)
}
