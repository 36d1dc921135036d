//! The section `[index]`: which model embeds, and where it is.
//!
//! Texts leave this device only by two decisions: an endpoint is named, and, if it is not on this
//! device, `allow_remote` is set. A key is never a value here, and goes over TLS or stays here. A
//! model from a file runs here.

use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use url::Url;

/// How texts are found by meaning.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Index {
    /// `builtin` (default): the model in the binary. `off`: search by words only. `http`: an
    /// endpoint of your choice beside the built-in model, which answers until the other is ready.
    /// `onnx`: the same with a model from a file.
    pub embeddings: String,
    /// The ONNX file of a BERT-like encoder without upper case, such as all-MiniLM-L6-v2; 512 MiB
    /// at most.
    pub model_file: Option<PathBuf>,
    /// Its words, one piece a line. Default: `vocab.txt` beside the model.
    pub vocab_file: Option<PathBuf>,
    /// The endpoint: its path ends in `/api/embed` (Ollama) or `/embeddings` (OpenAI-compatible).
    pub url: String,
    /// What the endpoint calls the model.
    pub model: String,
    /// A file whose first line is the endpoint's key. Default: none is sent.
    pub key_file: Option<PathBuf>,
    /// Whether texts may leave this device for an endpoint elsewhere. Default: no.
    pub allow_remote: bool,
    /// What the model wants in front of each text, such as `search_document: `.
    pub text_prefix: String,
    /// What the model wants in front of a query, such as `search_query: `.
    pub query_prefix: String,
    /// Seconds an endpoint may take for a batch, and a model from a file for one text. Default: 60.
    /// Raising it makes a dead one known later; too low, and a slow one embeds nothing. A query waits
    /// three seconds, whatever is set.
    pub timeout_s: u64,
    /// Texts in a request, 1 to 256. Default: 16. Raising it helps an endpoint that has a GPU.
    pub batch_texts: usize,
    /// Texts a second at most; 0, the default, is as fast as the model does in half of its time.
    pub texts_per_s: u32,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            embeddings: "builtin".to_owned(),
            model_file: None,
            vocab_file: None,
            url: String::new(),
            model: String::new(),
            key_file: None,
            allow_remote: false,
            text_prefix: String::new(),
            query_prefix: String::new(),
            timeout_s: 60,
            batch_texts: 16,
            texts_per_s: 0,
        }
    }
}

/// How texts are found by meaning, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Embeddings {
    /// Not at all.
    Off,
    /// By the built-in model.
    BuiltIn,
    /// By the built-in model, and by an endpoint once it is ready.
    Http(Endpoint),
    /// By the built-in model, and by one from a file once it is ready.
    Onnx(ModelFiles),
}

/// Where a model from a file is; whole paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// The ONNX file.
    pub model: PathBuf,
    /// Its words.
    pub vocabulary: PathBuf,
}

/// Where an endpoint is and what it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where.
    pub url: Url,
    /// What it speaks.
    pub dialect: Dialect,
    /// Whether it is on this device.
    pub is_local: bool,
}

/// The shape of requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Ollama's `/api/embed`.
    Ollama,
    /// `/v1/embeddings`, as `OpenAI` began it.
    OpenAi,
}

impl Index {
    /// Checks the section; says what is wrong and what would be right.
    pub fn embeddings(&self) -> Result<Embeddings, String> {
        match self.embeddings.as_str() {
            "off" => Ok(Embeddings::Off),
            "builtin" => Ok(Embeddings::BuiltIn),
            "http" => self.endpoint().map(Embeddings::Http),
            "onnx" => self.files().map(Embeddings::Onnx),
            other => Err(format!(
                "embeddings = {other:?}: it is off, builtin, http or onnx"
            )),
        }
    }

    fn files(&self) -> Result<ModelFiles, String> {
        self.check_bounds()?;
        let Some(model) = &self.model_file else {
            return Err("set model_file to an ONNX file, with its vocab.txt beside it".to_owned());
        };
        let beside = || model.with_file_name("vocab.txt");
        let vocabulary = self.vocab_file.clone().unwrap_or_else(beside);
        let whole = |path: &Path| {
            std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(ModelFiles {
            model: whole(model)?,
            vocabulary: whole(&vocabulary)?,
        })
    }

    fn check_bounds(&self) -> Result<(), String> {
        if !(1..=256).contains(&self.batch_texts) || !(1..=3_600).contains(&self.timeout_s) {
            return Err("batch_texts is 1 to 256, timeout_s 1 to 3600".to_owned());
        }
        Ok(())
    }

    fn endpoint(&self) -> Result<Endpoint, String> {
        if self.model.is_empty() {
            return Err("set model to what the endpoint calls it, such as all-minilm".to_owned());
        }
        self.check_bounds()?;
        let url = Url::parse(&self.url).map_err(|error| {
            let example = "http://127.0.0.1:11434/api/embed";
            format!("url = {:?}: {error}; for example {example}", self.url)
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("url begins with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err("no secrets in url: name a file with the key in key_file".to_owned());
        }
        let path = url.path().trim_end_matches('/');
        let dialect = if path.ends_with("/api/embed") {
            Dialect::Ollama
        } else if path.ends_with("/embeddings") {
            Dialect::OpenAi
        } else {
            return Err("url ends in /api/embed (Ollama) or /v1/embeddings (others)".to_owned());
        };
        let is_local = is_local(&url);
        if !is_local && !self.allow_remote {
            let host = url.host_str().unwrap_or_default();
            return Err(format!(
                "{host} is not this device: all texts would leave it; set allow_remote = true if \
                 they may, or use an endpoint on 127.0.0.1"
            ));
        }
        if !is_local && url.scheme() == "http" && self.key_file.is_some() {
            return Err("a key is not sent in plain text: use https".to_owned());
        }
        Ok(Endpoint {
            url,
            dialect,
            is_local,
        })
    }
}

/// Tells whether an address is on this device; of names only `localhost`, which the endpoint pins.
fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Option<&str> = Some("/k");

    fn check(url: &str, allow_remote: bool, key: Option<&str>) -> Result<(bool, Dialect), String> {
        let index = Index {
            embeddings: "http".to_owned(),
            url: url.to_owned(),
            model: "m".to_owned(),
            allow_remote,
            key_file: key.map(PathBuf::from),
            ..Index::default()
        };
        index.embeddings().map(|found| match found {
            Embeddings::Http(endpoint) => (endpoint.is_local, endpoint.dialect),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn only_addresses_of_this_device_need_no_further_word() {
        use Dialect::{Ollama, OpenAi};
        for (url, dialect) in [
            ("http://127.0.0.1:11434/api/embed", Ollama),
            ("http://127.9.9.9/v1/embeddings/", OpenAi),
            ("http://[::1]:1/v1/embeddings", OpenAi),
            ("http://localhost:1/api/embed", Ollama),
        ] {
            assert_eq!(check(url, false, KEY), Ok((true, dialect)), "{url}");
        }
        for url in [
            "http://10.0.0.2/api/embed",
            "http://localhost.evil.example/api/embed",
            "http://127.0.0.1.evil.example/api/embed",
            "https://embed.example/v1/embeddings",
            "http://0.0.0.0/api/embed",
            "http://[::ffff:10.0.0.2]/api/embed",
        ] {
            let error = check(url, false, None).expect_err(url);
            assert!(error.contains("allow_remote"), "{error}");
            assert!(!check(url, true, None).expect("allowed").0, "{url}");
        }
    }

    #[test]
    fn a_model_from_a_file_has_its_words_beside_it_unless_they_are_named() {
        let mut index = Index {
            embeddings: "onnx".to_owned(),
            ..Index::default()
        };
        let error = index.embeddings().expect_err("no file");
        assert!(error.contains("model_file"), "{error}");
        index.model_file = Some("/m/onnx/model.onnx".into());
        let words = |index: &Index| match index.embeddings() {
            Ok(Embeddings::Onnx(files)) => files.vocabulary,
            other => panic!("{other:?}"),
        };
        assert_eq!(words(&index), PathBuf::from("/m/onnx/vocab.txt"));
        index.vocab_file = Some("/m/vocab.txt".into());
        assert_eq!(words(&index), PathBuf::from("/m/vocab.txt"));
        index.vocab_file = Some("vocab.txt".into());
        assert!(words(&index).is_absolute(), "{index:?}");
        index.batch_texts = 0;
        assert!(index.embeddings().is_err());
    }

    #[test]
    fn secrets_are_neither_in_the_address_nor_in_plain_text() {
        let in_plain = check("http://10.0.0.2/api/embed", true, KEY);
        assert!(in_plain.expect_err("plain").contains("https"));
        for url in [
            "http://u:p@127.0.0.1/api/embed",
            "http://127.0.0.1/api/embed?key=x",
        ] {
            assert!(check(url, false, None).expect_err(url).contains("key_file"));
        }
        assert!(check("http://127.0.0.1/x", false, None).is_err());
        assert!(check("file:///api/embed", false, None).is_err());
    }
}
