//! Configuration: what can be set, where it is read from, and where things lie.
//!
//! Order: environment (`BRAIN_SECTION__KEY`) over `config.toml` over defaults. Nothing has to be
//! set. An unknown key is an error that names those there are. Secrets are never values here;
//! a file that holds one can be named.

mod index;

pub use index::{Dialect, Embeddings, Endpoint, Index, ModelFiles};

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Everything that can be set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// This node.
    pub node: Node,
    /// How secrets are unlocked.
    pub unlock: Unlock,
    /// The local API.
    pub api: Api,
    /// The peer network.
    pub network: Network,
    /// How texts are found by meaning.
    pub index: Index,
    /// Imports.
    pub import: Import,
    /// Attachments.
    pub attachments: Attachments,
    /// What the node tells of itself.
    pub telemetry: Telemetry,
}

/// This node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// What peers see as its name. Default: `brain` and the first safety word.
    pub alias: String,
}

/// How secrets are unlocked.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Unlock {
    /// What opens the master key. Default: `auto`.
    pub method: Method,
    /// A file whose first line is the passphrase. Default: none.
    pub passphrase_file: Option<PathBuf>,
    /// A file elsewhere, such as on a stick, that holds the wrapping key. Default: none.
    pub key_file: Option<PathBuf>,
    /// The name of the systemd credential whose first line is the passphrase.
    pub credential: String,
    /// Locks the node when nobody has used it for so long, such as `15m` or `8h`. Default: `never`.
    pub auto_lock: String,
    /// Where systemd puts credentials; the service manager says so, not the configuration.
    #[serde(skip)]
    pub credentials_directory: Option<PathBuf>,
}

/// The word for a time that does not come.
const NEVER: &str = "never";

/// What opens the master key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The passphrase file if one is named, else the credential if there is one, else the key
    /// file, elsewhere if one is named, else the OS keyring if the key lies under a key there; a key
    /// that none of these opens leaves the node locked until `brainctl node unlock`.
    #[default]
    Auto,
    /// The key file elsewhere if one is named, else the plain one of the data folder.
    File,
    /// The passphrase file if one is named, else a person with `brainctl node unlock`.
    Passphrase,
    /// The systemd credential; a start without it is refused.
    SystemdCreds,
    /// The OS keyring of the person who runs the node; one that is locked leaves the node locked
    /// until `brainctl node unlock`.
    Keyring,
}

impl Default for Unlock {
    fn default() -> Self {
        Self {
            method: Method::Auto,
            passphrase_file: None,
            key_file: None,
            credential: "brain-node.passphrase".to_owned(),
            auto_lock: NEVER.to_owned(),
            credentials_directory: None,
        }
    }
}

impl Unlock {
    /// Returns after how long without use the node locks itself, if it does.
    pub fn auto_lock(&self) -> Result<Option<Duration>, String> {
        if self.auto_lock == NEVER {
            return Ok(None);
        }
        let wrong = || {
            format!(
                "auto_lock = {:?}: neither never nor a time such as 15m or 8h",
                self.auto_lock
            )
        };
        let unit = self.auto_lock.chars().last().and_then(|unit| {
            let seconds = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
            seconds.into_iter().find(|(known, _)| *known == unit)
        });
        let (name, seconds) = unit.ok_or_else(wrong)?;
        let number = self.auto_lock.strip_suffix(name);
        let number = number.and_then(|number| number.parse::<u64>().ok());
        let number = number.filter(|number| *number > 0);
        let time = number.and_then(|number| number.checked_mul(seconds));
        time.map(|time| Some(Duration::from_secs(time)))
            .ok_or_else(wrong)
    }

    /// Returns where the systemd credential is, if the service manager gives any.
    pub fn credential_path(&self) -> Option<PathBuf> {
        let folder = self.credentials_directory.as_ref()?;
        Some(folder.join(&self.credential))
    }
}

/// The local API.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Loopback addresses beside the Unix socket. Default: `127.0.0.1:7420`; another free port
    /// if that is taken and nothing was set. Port 0 takes any free one.
    pub listen: Vec<String>,
    /// Host names, beside `localhost` and the address itself, that requests may name.
    pub allowed_hosts: Vec<String>,
}

/// The default address of the API on loopback.
pub const API_LISTEN_DEFAULT: &str = "127.0.0.1:7420";

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: vec![API_LISTEN_DEFAULT.to_owned()],
            allowed_hosts: Vec::new(),
        }
    }
}

/// The peer network.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Multiaddrs to listen on. Default: QUIC and TCP on all interfaces; the ports of the first
    /// start are kept.
    pub listen: Vec<String>,
}

impl Default for Network {
    fn default() -> Self {
        let listen = ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"];
        Self {
            listen: listen.map(str::to_owned).to_vec(),
        }
    }
}

/// Imports.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Import {
    /// Files above so many bytes are skipped. Raising it costs memory while they are read.
    pub max_file_bytes: u64,
}

impl Default for Import {
    fn default() -> Self {
        Self {
            max_file_bytes: 50 << 20,
        }
    }
}

/// Attachments.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attachments {
    /// Files above so many bytes are not attached, and not fetched from others. At most 4 GiB.
    pub max_file_bytes: u64,
    /// How many bytes of attachments a second are sent to peers, all together; 0 is no limit.
    pub max_bytes_per_s: u64,
}

impl Default for Attachments {
    fn default() -> Self {
        Self {
            max_file_bytes: 1 << 30,
            max_bytes_per_s: 0,
        }
    }
}

/// What the node tells of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// The log filter, such as `info` or `node=debug`.
    pub log: String,
    /// How a line of the log looks.
    pub log_format: LogFormat,
    /// An address such as `127.0.0.1:9464` that serves `/metrics` and nothing else, without a token,
    /// to whoever reaches it. They name nobody, but they count. Default: none.
    pub metrics_listen: String,
    /// A collector that traces are sent to over OTLP, such as `http://127.0.0.1:4318`. Default: what
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` says, else none, and then nothing is recorded.
    pub otlp_endpoint: String,
    /// Whether peers who do the same are told to which trace a memory belongs that is sent to them,
    /// and theirs are gone on with: two random numbers. Default: no.
    pub trace_peers: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log: "info,libp2p_swarm=warn".to_owned(),
            log_format: LogFormat::Text,
            metrics_listen: String::new(),
            otlp_endpoint: String::new(),
            trace_peers: false,
        }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For a person.
    #[default]
    Text,
    /// One JSON object a line, for a program.
    Json,
}

/// The reason why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is there but cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key or value is wrong.
    #[error("{origin}: {message}")]
    Invalid {
        /// The file or the environment.
        origin: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// No folder can be found.
    #[error("no data folder: set BRAIN_HOME, or HOME")]
    NoHome,
}

/// Where things lie.
#[derive(Debug, Clone)]
pub struct Places {
    /// The data folder.
    pub data: PathBuf,
    /// The Unix socket of the API.
    pub socket: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Places {
    /// Finds the places: `BRAIN_HOME` for everything, else the XDG folders.
    pub fn find() -> Result<Self, ConfigError> {
        if let Some(home) = variable("BRAIN_HOME") {
            let home = PathBuf::from(home);
            return Ok(Self {
                socket: home.join("api.sock"),
                config: home.join("config.toml"),
                data: home,
            });
        }
        let in_home = |rest: &str| variable("HOME").map(|home| Path::new(&home).join(rest));
        let folder = |name: &str, rest: &str| {
            let base = variable(name).map(PathBuf::from).or_else(|| in_home(rest));
            base.map(|base| base.join("brain-node"))
                .ok_or(ConfigError::NoHome)
        };
        let data = folder("XDG_DATA_HOME", ".local/share")?;
        let runtime = variable("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("brain-node"));
        Ok(Self {
            socket: runtime.unwrap_or_else(|| data.clone()).join("api.sock"),
            config: folder("XDG_CONFIG_HOME", ".config")?.join("config.toml"),
            data,
        })
    }
}

impl Config {
    /// Reads the file, if there is one, and the environment.
    pub fn load(places: &Places) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(&places.config) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                return Err(ConfigError::Read {
                    path: places.config.clone(),
                    source,
                });
            }
        };
        let variables = std::env::vars();
        let origin = places.config.display().to_string();
        let mut config = Self::read(&text, &origin, variables)?;
        config.unlock.credentials_directory = variable("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        if config.telemetry.otlp_endpoint.is_empty() {
            let standard = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
            config.telemetry.otlp_endpoint = standard.unwrap_or_default();
        }
        if let Err(message) = config.unlock.auto_lock() {
            return Err(ConfigError::Invalid {
                origin: "[unlock]".to_owned(),
                message,
            });
        }
        if let Err(message) = config.index.embeddings() {
            return Err(ConfigError::Invalid {
                origin: "[index]".to_owned(),
                message,
            });
        }
        Ok(config)
    }

    fn read(
        text: &str,
        origin: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let invalid = |origin: &str, error: toml::de::Error| ConfigError::Invalid {
            origin: origin.to_owned(),
            message: error.message().to_owned(),
        };
        let mut table: toml::Table = toml::from_str(text).map_err(|e| invalid(origin, e))?;
        // The file is checked alone first, so that its errors are not blamed on the environment.
        let _checked: Self = table.clone().try_into().map_err(|e| invalid(origin, e))?;
        for (name, value) in variables {
            let Some(path) = name
                .strip_prefix("BRAIN_")
                .filter(|path| path.contains("__"))
            else {
                continue;
            };
            let path = path.to_lowercase();
            let Some((section, key)) = path.split_once("__") else {
                continue;
            };
            let entry = table
                .entry(section)
                .or_insert_with(|| toml::Table::new().into());
            if let Some(section) = entry.as_table_mut() {
                section.insert(key.to_owned(), parse_value(key, &value));
            }
            let _checked: Self = table.clone().try_into().map_err(|e| invalid(&name, e))?;
        }
        table.try_into().map_err(|e| invalid(origin, e))
    }
}

fn parse_value(key: &str, value: &str) -> toml::Value {
    if matches!(key, "listen" | "allowed_hosts") {
        let items = value
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        return toml::Value::Array(items.map(|item| item.to_owned().into()).collect());
    }
    if matches!(key, "allow_remote" | "trace_peers")
        && let Ok(value) = value.parse::<bool>()
    {
        return value.into();
    }
    value
        .parse::<i64>()
        .map_or_else(|_| value.to_owned().into(), toml::Value::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::read(text, "config.toml", variables)
    }

    #[test]
    fn environment_goes_over_file_over_default() {
        let config = read("[node]\nalias = \"ana\"", &[]).expect("reads");
        assert_eq!(config.node.alias, "ana");
        assert_eq!(config.api.listen, [API_LISTEN_DEFAULT]);
        let over = [
            ("BRAIN_NODE__ALIAS", "eve"),
            ("BRAIN_API__LISTEN", "127.0.0.1:0, [::1]:0"),
        ];
        let config = read("[node]\nalias = \"ana\"", &over).expect("reads");
        assert_eq!(config.node.alias, "eve");
        assert_eq!(config.api.listen, ["127.0.0.1:0", "[::1]:0"]);
    }

    #[test]
    fn a_time_until_the_lock_has_a_unit() {
        let read = |text: &str| {
            let auto_lock = text.to_owned();
            let unlock = Unlock {
                auto_lock,
                ..Unlock::default()
            };
            unlock.auto_lock()
        };
        assert_eq!(read("never"), Ok(None));
        assert_eq!(read("15m"), Ok(Some(Duration::from_mins(15))));
        assert_eq!(read("8h"), Ok(Some(Duration::from_hours(8))));
        for wrong in [
            "",
            "15",
            "m",
            "0m",
            "-1m",
            "1.5h",
            "15mm",
            "15 m",
            "99999999999999999999h",
        ] {
            assert!(read(wrong).is_err_and(|why| why.contains(wrong)), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_those_there_are() {
        let message = read("[node]\nalais = \"x\"", &[])
            .expect_err("unknown")
            .to_string();
        assert!(
            message.contains("alais") && message.contains("alias"),
            "{message}"
        );
        let message = read("", &[("BRAIN_API__LISEN", "x")])
            .expect_err("unknown")
            .to_string();
        assert!(
            message.starts_with("BRAIN_API__LISEN") && message.contains("listen"),
            "{message}"
        );
    }
}
