//! The listeners of the API: the owner's socket, the loopback addresses, and the token of these.
//!
//! Both lives of a node bind them, the open one and the locked one, while they hold the store's
//! lock. What is answered is the business of `http`.

use super::StartError;
use crate::config::{API_LISTEN_DEFAULT, Config, Places};
use crate::http::{self, Edge, Transport};
use crate::tasks::Tasks;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// Binds the socket, the loopback listeners and the one for metrics, and serves them.
pub(super) async fn serve(
    places: &Places,
    config: &Config,
    (router, metrics): (impl Fn(Edge) -> http::Router, http::Router),
    tasks: &Tasks,
    shutdown: &CancellationToken,
) -> Result<Vec<String>, StartError> {
    let threads = http::Threads::start().map_err(|error| StartError::Threads {
        reason: error.to_string(),
    })?;
    serve_metrics(config, metrics, &threads, tasks, shutdown).await?;
    let token: Arc<str> = api_token(&places.data)?.into();
    let allowed_hosts = config.api.allowed_hosts.clone();
    let mut addresses = Vec::new();
    let unix = bind_unix(&places.socket)?;
    addresses.push(format!("unix:{}", places.socket.display()));
    let edge = Edge {
        transport: Transport::UnixSocket,
        token: Arc::clone(&token),
        allowed_hosts: allowed_hosts.clone(),
    };
    let served = http::serve_unix(unix, router(edge), threads.clone(), shutdown.clone());
    tasks.spawn(served);
    for address in &config.api.listen {
        let listener = bind_loopback(address).await?;
        let local = listener.local_addr().map_err(|error| StartError::Listen {
            address: address.clone(),
            reason: error.to_string(),
        })?;
        addresses.push(format!("http://{local}"));
        let edge = Edge {
            transport: Transport::Loopback { port: local.port() },
            token: Arc::clone(&token),
            allowed_hosts: allowed_hosts.clone(),
        };
        let served = http::serve_tcp(listener, router(edge), threads.clone(), shutdown.clone());
        tasks.spawn(served);
    }
    Ok(addresses)
}

/// Serves the page of metrics, and nothing else, to whoever reaches the address; off by default.
async fn serve_metrics(
    config: &Config,
    router: http::Router,
    threads: &http::Threads,
    tasks: &Tasks,
    shutdown: &CancellationToken,
) -> Result<(), StartError> {
    let address = &config.telemetry.metrics_listen;
    if address.is_empty() {
        return Ok(());
    }
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| StartError::Metrics {
        address: address.clone(),
        reason: error.to_string(),
    })?;
    let local = listener.local_addr().ok();
    let router = match local.filter(|local| local.ip().is_loopback()) {
        // A browser on this machine reaches it, and so does a page that is open there.
        Some(local) => http::guard_open(
            router,
            Edge {
                transport: Transport::Loopback { port: local.port() },
                token: Arc::from(""),
                allowed_hosts: config.api.allowed_hosts.clone(),
            },
        ),
        None => router,
    };
    let served = http::serve_tcp(listener, router, threads.clone(), shutdown.clone());
    tasks.spawn(served);
    Ok(())
}

fn bind_unix(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |error: std::io::Error| StartError::Listen {
        address: format!("unix:{}", path.display()),
        reason: error.to_string(),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // The store's lock is held: whoever left this socket is gone.
    remove_socket(path);
    let listener = UnixListener::bind(path).map_err(failed)?;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).map_err(failed)?;
    Ok(listener)
}

/// Removes the socket; only for who holds the store's lock.
pub(super) fn remove_socket(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the socket could not be removed");
    }
}

async fn bind_loopback(address: &str) -> Result<TcpListener, StartError> {
    let failed = |reason: String| StartError::Listen {
        address: address.to_owned(),
        reason,
    };
    let parsed: std::net::SocketAddr =
        address.parse().map_err(|error: std::net::AddrParseError| {
            failed(format!("it is no address such as 127.0.0.1:7420: {error}"))
        })?;
    if !parsed.ip().is_loopback() {
        let reason = "it is not a loopback address, and this version has no TLS for others";
        return Err(failed(reason.to_owned()));
    }
    match TcpListener::bind(parsed).await {
        Ok(listener) => Ok(listener),
        // Nothing was asked for: any free port will do, and `status` tells it.
        Err(error)
            if address == API_LISTEN_DEFAULT && error.kind() == std::io::ErrorKind::AddrInUse =>
        {
            tracing::info!("port 7420 is taken; taking another");
            TcpListener::bind((parsed.ip(), 0))
                .await
                .map_err(|error| failed(error.to_string()))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Returns the bearer token of the loopback listeners, made at first start in a 0600 file.
fn api_token(data: &Path) -> Result<String, StartError> {
    let path = data.join("api.token");
    let failed = |reason: String| StartError::Folder {
        path: path.clone(),
        reason,
    };
    if let Ok(text) = std::fs::read_to_string(&path)
        && text.trim().len() >= 32
    {
        return Ok(text.trim().to_owned());
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| failed(error.to_string()))?;
    let token = format!("brn_{}", crdt::id::to_base32(&secret));
    let write = || -> std::io::Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(token.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| failed(error.to_string()))?;
    Ok(token)
}
