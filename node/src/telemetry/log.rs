//! The log: what happened, for a person or, as one JSON object a line, for a program.
//!
//! Where traces are recorded, a line of JSON that was written within a step names it (`trace_id`,
//! `span_id`), so that a program gets from one to the other.

use super::traces;
use crate::config::{LogFormat, Telemetry};
use std::fmt;
use std::io::IsTerminal as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Starts writing to standard error.
pub fn start(config: &Telemetry) {
    let filter = EnvFilter::try_new(&config.log);
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => {
            let is_terminal = std::io::stderr().is_terminal();
            log.with_target(false).with_ansi(is_terminal).init();
        }
        LogFormat::Json => {
            let lines = Format::default().json().flatten_event(true);
            log.fmt_fields(JsonFields::new())
                .event_format(Traced(lines))
                .init();
        }
    }
}

/// Lines of JSON that name the step of the trace.
struct Traced(Format<Json>);

impl<S, N> FormatEvent<S, N> for Traced
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(step) = traces::here() else {
            return self.0.format_event(ctx, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        let rest = line.strip_prefix('{').unwrap_or(&line);
        let (trace, span) = (step.trace_id(), step.span_id());
        write!(
            writer,
            "{{\"trace_id\":\"{trace}\",\"span_id\":\"{span}\",{rest}"
        )
    }
}
