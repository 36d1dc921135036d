//! A model behind HTTP: Ollama's `/api/embed` or any OpenAI-compatible `/v1/embeddings`.
//!
//! Not the one who decides what may be sent, nor when to try again: that is [`super::chosen`].
//! One request, one answer within the time, or the reason why not.
//!
//! Invariants: texts go to the configured address and nowhere else (no redirects, no proxies,
//! `localhost` is pinned to loopback); no word of an answer gets into an error or the log, for it
//! may repeat the text; an accepted answer has one finite vector per text, all of one size.

use super::{EmbedError, Embedder, Purpose};
use crate::client::{self, Client, Unread};
use crate::config::{Dialect, Endpoint, Index};
use hyper::Response;
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use storage::projection::vectors::DIMENSIONS_MAX;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// How long a query waits for its vector; then the built-in model answers.
const QUERY_MAX: Duration = Duration::from_secs(3);
/// The most bytes of an answer: 257 vectors of 4,096 numbers of 16 characters are 17 MB.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// The longest that an endpoint can ask to be left alone.
const WAIT_MAX: Duration = Duration::from_mins(10);

/// A model behind HTTP.
#[derive(Debug)]
pub struct HttpEmbedder {
    name: String,
    model: String,
    endpoint: Endpoint,
    key_file: Option<PathBuf>,
    timeout: Duration,
    http: Client,
    runtime: Handle,
    shutdown: CancellationToken,
}

impl HttpEmbedder {
    /// Makes the client and reads the key once, to say early that it cannot be read; says nothing
    /// to the endpoint yet. Must be called within a runtime.
    pub fn new(
        endpoint: Endpoint,
        index: &Index,
        shutdown: CancellationToken,
    ) -> Result<Self, EmbedError> {
        let http = Client::new(&endpoint.url).map_err(EmbedError::Client)?;
        let embedder = Self {
            name: format!("http:{}", index.model),
            model: index.model.clone(),
            endpoint,
            key_file: index.key_file.clone(),
            timeout: Duration::from_secs(index.timeout_s),
            http,
            runtime: Handle::current(),
            shutdown,
        };
        embedder.key()?;
        Ok(embedder)
    }

    /// Reads the key; it is read for each request, so that it can be changed.
    fn key(&self) -> Result<Option<String>, EmbedError> {
        let Some(path) = &self.key_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path).map_err(|source| EmbedError::Key {
            path: path.clone(),
            source,
        })?;
        Ok(text.lines().next().map(|line| line.trim().to_owned()))
    }

    async fn ask(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let body = match self.endpoint.dialect {
            Dialect::Ollama => json!({"model": self.model, "input": texts, "truncate": true}),
            Dialect::OpenAi => {
                json!({"model": self.model, "input": texts, "encoding_format": "float"})
            }
        };
        let body = body.to_string().into_bytes();
        let url = &self.endpoint.url;
        let response = self.http.post(url, self.key()?, body).await;
        let response = response.map_err(|reason| self.unreachable(reason))?;
        if !response.status().is_success() {
            return Err(refused(&response));
        }
        let bytes = client::read(response, ANSWER_BYTES_MAX).await;
        let bytes = bytes.map_err(|unread| match unread {
            Unread::TooLong => EmbedError::Answer {
                what: "it has more than 32 MiB",
            },
            Unread::Broken(reason) => self.unreachable(reason),
        })?;
        let vectors = match self.endpoint.dialect {
            Dialect::Ollama => parse::<Ollama>(&bytes)?.embeddings,
            Dialect::OpenAi => {
                let mut data = parse::<OpenAi>(&bytes)?.data;
                data.sort_by_key(|item| item.index);
                data.into_iter().map(|item| item.embedding).collect()
            }
        };
        checked(vectors, texts.len())
    }

    fn unreachable(&self, reason: String) -> EmbedError {
        let url = &self.endpoint.url;
        let port = url.port_or_known_default().unwrap_or_default();
        EmbedError::Unreachable {
            host: format!("{}:{port}", url.host_str().unwrap_or_default()),
            reason,
        }
    }
}

impl Embedder for HttpEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let within = match purpose {
            Purpose::Text => self.timeout,
            Purpose::Query => QUERY_MAX.min(self.timeout),
        };
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => Err(EmbedError::Stopping),
                answer = tokio::time::timeout(within, self.ask(texts)) => {
                    answer.unwrap_or(Err(EmbedError::Slow { within }))
                }
            }
        })
    }
}

#[derive(Deserialize)]
struct Ollama {
    embeddings: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct OpenAi {
    data: Vec<OpenAiItem>,
}

#[derive(Deserialize)]
struct OpenAiItem {
    #[serde(default)]
    index: usize,
    embedding: Vec<f32>,
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, EmbedError> {
    serde_json::from_slice(bytes).map_err(|error| {
        // The position tells a person with the endpoint's log enough; the bytes stay out of ours.
        let (line, column) = (error.line(), error.column());
        tracing::debug!(line, column, "an answer with embeddings does not read");
        EmbedError::Answer {
            what: "it is no list of vectors of numbers",
        }
    })
}

/// Passes on one finite vector per text, all of one size.
fn checked(vectors: Vec<Vec<f32>>, texts: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
    let size = vectors.first().map_or(0, Vec::len);
    let what = if vectors.len() != texts {
        "it has another number of vectors than texts were sent"
    } else if vectors.iter().any(|vector| vector.len() != size) {
        "its vectors differ in size"
    } else if !(1..=DIMENSIONS_MAX).contains(&size) && texts > 0 {
        "its vectors are empty or larger than this version keeps"
    } else if vectors.iter().flatten().any(|part| !part.is_finite()) {
        "a vector has something that is not a number"
    } else {
        return Ok(vectors);
    };
    Err(EmbedError::Answer { what })
}

fn refused<B>(response: &Response<B>) -> EmbedError {
    let status = response.status().as_u16();
    let hint = match status {
        300..=399 => "redirects are not followed; set index.url to where it leads",
        401 | 403 => "set index.key_file to a file with a valid key",
        404 => "check index.url and index.model; Ollama needs `ollama pull MODEL` first",
        408 | 429 => "it has too much to do; index.texts_per_s makes this node slower",
        500..=599 => "see its own log",
        _ => "check index.model, and see its own log",
    };
    let wait = response.headers().get("retry-after");
    let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
    EmbedError::Refused {
        status,
        hint,
        wait: wait.map(|seconds| Duration::from_secs(seconds).min(WAIT_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_answers_of_numbers_are_taken() {
        let ollama = |text: &str| parse::<Ollama>(text.as_bytes()).map(|it| it.embeddings);
        let good = ollama(r#"{"model":"m","embeddings":[[1,2.5],[0,-3]]}"#).expect("reads");
        assert_eq!(checked(good.clone(), 2).expect("fits"), good);
        let bad = |vectors, texts| checked(vectors, texts).expect_err("refused").to_string();
        assert!(bad(good.clone(), 3).contains("number of vectors"));
        assert!(bad(vec![vec![1.0], vec![1.0, 2.0]], 2).contains("size"));
        assert!(bad(vec![vec![]], 1).contains("empty"));
        assert!(bad(vec![vec![1.0; DIMENSIONS_MAX + 1]], 1).contains("larger"));
        assert!(bad(vec![vec![f32::NAN]], 1).contains("not a number"));
        // Larger than a number of this size can be.
        assert!(bad(ollama(r#"{"embeddings":[[1e39]]}"#).expect("reads"), 1).contains("number"));
        for text in [
            r#"{"embeddings":[[NaN]]}"#,
            r#"{"embeddings":[[null]]}"#,
            "{}",
            "secret",
        ] {
            let error = ollama(text).expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
