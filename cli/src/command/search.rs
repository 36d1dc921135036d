//! `search`: memories by words and meaning.

use crate::client::Client;
use crate::error::CommandError;
use crate::report::Report;
use crate::ui::text::{memories, one_line, short};
use protocol::api::search::{Facets, Hit, SearchRequest, SearchResponse};
use std::fmt::Write as _;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Words, "phrases in quotes", beginnings*
    query: String,
    /// Search inside this selector only
    selector: Option<String>,
    /// Search by words, by meaning, or both
    #[arg(long, value_parser = ["hybrid", "text", "vector"])]
    mode: Option<String>,
    /// Show at most this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Tell the scores of each hit too
    #[arg(long)]
    explain: bool,
    /// Also count what has the words: by kind, tag, person and year
    #[arg(long)]
    facets: bool,
    /// Search what there was at the end of this day (UTC) or moment, as it was then
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
}

/// Searches.
pub(crate) fn run(client: &Client, args: Args) -> Result<Report, CommandError> {
    let Args {
        query,
        selector,
        mode,
        limit,
        explain,
        facets,
        as_of,
    } = args;
    let request = SearchRequest {
        query,
        selector,
        mode,
        limit,
        facets,
        as_of,
    };
    let response: SearchResponse = client.post(&["v1", "search"], &request)?;
    let text = text(&response, explain);
    let report = Report::new("search", &response).text(text);
    Ok(report.ids(response.hits.into_iter().map(|hit| hit.id)))
}

fn text(response: &SearchResponse, explain: bool) -> String {
    let hits = response.hits.iter().map(|hit| entry(hit, explain));
    let mut text: String = hits.collect();
    if text.is_empty() {
        text += "Nothing found.\n";
    }
    if let Some(moment) = &response.as_of {
        writeln!(text, "(as of {moment})").expect("writing to a string does not fail");
    }
    if response.gone > 0 {
        let many = memories(response.gone);
        writeln!(text, "({many} of then cannot be shown: purged since)")
            .expect("writing to a string does not fail");
    }
    text.extend(response.facets.iter().map(counted));
    if let Some(chosen) = &response.chosen {
        let line = match response.generation.as_str() {
            "" => format!("(by words only; {}: {})\n", chosen.model, chosen.reason),
            other => format!("(by {other}; {}: {})\n", chosen.model, chosen.reason),
        };
        text += &line;
    }
    if response.vector_lag > 0 && !response.hits.is_empty() {
        let line = format!(
            "(search by meaning is {} events behind)\n",
            response.vector_lag
        );
        text += &line;
    }
    text
}

/// Writes the facets, the most frequent values of each.
fn counted(facets: &Facets) -> String {
    let mut text = format!("{} have the words\n", facets.counted);
    let rows = [
        ("kind", &facets.kinds),
        ("tag", &facets.tags),
        ("from", &facets.from),
        ("year", &facets.years),
    ];
    for (name, values) in rows.iter().filter(|(_, values)| !values.is_empty()) {
        let values = values
            .iter()
            .map(|facet| format!("{} {}", one_line(&facet.value, 30), facet.count));
        let values = values.collect::<Vec<_>>().join(", ");
        writeln!(text, "  {name:<5} {values}").expect("writing to a string does not fail");
    }
    text
}

fn entry(hit: &Hit, explain: bool) -> String {
    let from = if hit.from == "me" {
        String::new()
    } else {
        format!("  from {}", hit.from)
    };
    let mut text = format!("{}  {}{from}\n", short(&hit.id), one_line(&hit.title, 70));
    let snippet = one_line(&hit.snippet, 200);
    writeln!(text, "              {snippet}").expect("writing to a string does not fail");
    if explain {
        let part = |name: &str, score: Option<f32>| {
            score.map_or_else(String::new, |score| format!("  {name} {score:.3}"))
        };
        let (words, meaning) = (part("text", hit.why.text), part("vector", hit.why.vector));
        let (by, score, terms) = (&hit.why.matched_by, hit.score, hit.why.terms.join(" "));
        writeln!(
            text,
            "              score {score:.3}{words}{meaning}  by {by}  {terms}"
        )
        .expect("writing to a string does not fail");
    } else {
        let (by, terms) = (&hit.why.matched_by, hit.why.terms.join(" "));
        writeln!(text, "              why: {by} {terms}")
            .expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::api::search::Why;

    #[test]
    fn hits_tell_where_they_are_from_and_why() {
        let why = Why {
            text: Some(2.0),
            vector: None,
            terms: vec!["milk".into()],
            matched_by: "exact".into(),
        };
        let hit = Hit {
            id: "a".repeat(52),
            title: "Shop".into(),
            snippet: "buy\nmilk".into(),
            highlights: vec![],
            score: 0.5,
            from: "bob".into(),
            why,
        };
        let expect = "aaaaaaaaaaaa  Shop  from bob\n              buy milk\n";
        assert_eq!(
            entry(&hit, false),
            format!("{expect}              why: exact milk\n")
        );
        let explained = "              score 0.500  text 2.000  by exact  milk\n";
        assert_eq!(entry(&hit, true), format!("{expect}{explained}"));
    }
}
