//! Where the node is: a Unix socket or a loopback URL.

use crate::environment::Environment;
use reqwest::Url;
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// The reason why text is no address of a node.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no address of a node; write unix:/path/to/api.sock or http://127.0.0.1:PORT")]
pub(crate) struct AddressError(String);

/// The address of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeAddress {
    /// Its Unix socket.
    Socket(PathBuf),
    /// Its HTTP listener.
    Http(Url),
}

impl NodeAddress {
    /// Reads `unix:PATH` or `http://HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(error())
            } else {
                Ok(Self::Socket(path.into()))
            };
        }
        let url = Url::parse(text)
            .ok()
            .filter(|url| url.scheme() == "http" && url.has_host());
        url.map(Self::Http).ok_or_else(error)
    }

    /// Returns where a node listens that was started in this environment.
    pub(crate) fn usual(environment: &Environment) -> Self {
        if let Some(home) = &environment.brain_home {
            return Self::Socket(home.join("api.sock"));
        }
        let folder = environment
            .runtime_dir
            .clone()
            .or_else(|| environment.data_home.clone());
        let folder = folder.unwrap_or_else(|| {
            environment
                .home
                .clone()
                .unwrap_or_else(|| PathBuf::from("."))
                .join(".local/share")
        });
        Self::Socket(folder.join("brain-node").join("api.sock"))
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Http(url) => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in [
            "unix:/run/brain/api.sock",
            "unix:api.sock",
            "http://127.0.0.1:4711",
        ] {
            assert_eq!(NodeAddress::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "unix:",
            "127.0.0.1:4711",
            "https://127.0.0.1:1",
            "ftp://127.0.0.1",
        ] {
            assert_eq!(
                NodeAddress::parse(text),
                Err(AddressError(text.to_owned())),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_usual_place_follows_the_environment() {
        let mut environment = Environment {
            home: Some("/h".into()),
            ..Environment::default()
        };
        let mut check = |change: fn(&mut Environment), place: &str| {
            change(&mut environment);
            assert_eq!(NodeAddress::usual(&environment).to_string(), place);
        };
        check(|_| (), "unix:/h/.local/share/brain-node/api.sock");
        check(
            |e| e.data_home = Some("/d".into()),
            "unix:/d/brain-node/api.sock",
        );
        check(
            |e| e.runtime_dir = Some("/r".into()),
            "unix:/r/brain-node/api.sock",
        );
        check(|e| e.brain_home = Some("/b".into()), "unix:/b/api.sock");
    }
}
