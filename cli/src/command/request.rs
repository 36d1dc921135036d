//! `request`: what waits for a yes or a no.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::table::table;
use crate::ui::text::{one_line, short};
use protocol::api::Page;
use protocol::api::sharing::{Request, Resolved};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List what waits
    Ls,
    /// Show one request and the memories it is about
    Show {
        /// The request
        request: String,
    },
    /// Say yes
    Approve {
        /// The request
        request: String,
    },
    /// Say no
    Deny {
        /// The request
        request: String,
    },
}

/// Does what the verb says.
pub(crate) fn run(client: &Client, args: &Args) -> Result<Report, CommandError> {
    match &args.verb {
        Verb::Ls => list(client),
        Verb::Show { request } => show(client, request),
        Verb::Approve { request } => resolve(client, request, "approve"),
        Verb::Deny { request } => resolve(client, request, "deny"),
    }
}

fn list(client: &Client) -> Result<Report, CommandError> {
    let page: Page<Request> = client.list(&["v1", "requests"], &[], None)?;
    let rows = page.items.iter().map(|request| {
        [
            short(&request.id),
            request.kind.clone(),
            request.from.clone(),
            one_line(&request.summary, 80),
            request.created.clone(),
        ]
    });
    let text = table(
        ["REQUEST", "KIND", "FROM", "WHAT", "SINCE"],
        rows,
        "Nothing waits for you.",
    );
    let report = Report::new("request.ls", &page).text(text);
    Ok(report.ids(page.items.into_iter().map(|request| request.id)))
}

fn show(client: &Client, request: &str) -> Result<Report, CommandError> {
    let request: Request = client.get(&["v1", "requests", request], &[])?;
    let mut lines = vec![format!(
        "Request {}\n  kind      {}\n  from      {}\n  what      {}\n  since     {}",
        request.id, request.kind, request.from, request.summary, request.created
    )];
    for item in &request.items {
        let (id, title) = (short(&item.id), one_line(&item.title, 60));
        lines.push(format!("  + {id}  {title}"));
    }
    let ids = request.items.iter().map(|item| item.id.clone());
    let report = Report::new("request.show", &request).text(lines.join("\n") + "\n");
    Ok(report.ids(ids.collect::<Vec<_>>()))
}

fn resolve(client: &Client, request: &str, verb: &str) -> Result<Report, CommandError> {
    let resolved: Resolved = client.act(&["v1", "requests", &format!("{request}:{verb}")])?;
    let text = format!("✓ Request {} is {}\n", short(&resolved.id), resolved.state);
    let command = format!("request.{verb}");
    Ok(Report::new(&command, &resolved)
        .confirmation(text)
        .ids([resolved.id]))
}
