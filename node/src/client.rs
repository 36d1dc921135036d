//! The HTTP client of an endpoint that was set: requests to one address, plain or over TLS.
//!
//! Not a general client: it follows no redirect and uses no proxy, and `localhost` is loopback
//! whatever a resolver says. Certificates of the system are read only if the endpoint has TLS: a
//! machine without any can still use one on loopback.

use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tower::util::ServiceFn;
use url::Url;

/// How long it may take until a connection stands.
const CONNECT_MAX: Duration = Duration::from_secs(5);

type Addresses = std::vec::IntoIter<SocketAddr>;
type Resolve = fn(Name) -> BoxFuture<'static, io::Result<Addresses>>;
type Connector = HttpsConnector<HttpConnector<ServiceFn<Resolve>>>;

/// A client with its connections.
#[derive(Debug, Clone)]
pub(crate) struct Client(Pool<Connector, Full<Bytes>>);

impl Client {
    /// Makes the client for an address; reads the certificates of the system if it needs any.
    pub(crate) fn new(url: &Url) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        if url.scheme() == "https" {
            let (known, _unread) =
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if known == 0 {
                return Err("this system has no certificates to trust".to_owned());
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connector = HttpConnector::new_with_resolver(tower::service_fn(resolve as Resolve));
        connector.set_connect_timeout(Some(CONNECT_MAX));
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self(Pool::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends a document and returns the answer's head; the error is the innermost reason.
    pub(crate) async fn post(
        &self,
        url: &Url,
        key: Option<String>,
        document: Vec<u8>,
    ) -> Result<Response<Incoming>, String> {
        let mut request = Request::post(url.as_str()).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(Full::new(Bytes::from(document)));
        let request = request.map_err(|error| innermost(&error))?;
        self.send(request).await
    }

    /// Sends a request and returns the answer's head; the error is the innermost reason.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, String> {
        let answer = self.0.request(request).await;
        answer.map_err(|error| innermost(&error))
    }
}

/// Why the body of an answer was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It has more bytes than are taken.
    TooLong,
    /// The connection broke, and why.
    Broken(String),
}

/// Reads the body of an answer, up to so many bytes.
pub(crate) async fn read(answer: Response<Incoming>, bytes_max: usize) -> Result<Bytes, Unread> {
    let body = Limited::new(answer.into_body(), bytes_max).collect().await;
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLong),
        Err(error) => Err(Unread::Broken(innermost(&*error))),
    }
}

fn resolve(name: Name) -> BoxFuture<'static, io::Result<Addresses>> {
    Box::pin(async move {
        if name.as_str().eq_ignore_ascii_case("localhost") {
            let loopback = vec![
                SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
            ];
            return Ok(loopback.into_iter());
        }
        let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
        Ok(found.collect::<Vec<_>>().into_iter())
    })
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
