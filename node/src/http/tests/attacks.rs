//! The head of a request: hosts, origins, tokens, routes.

use super::{PORT, TOKEN, answer, answer_on, good};
use crate::http::Transport;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};

/// Answers `GET /healthz`, which needs no token, with these headers.
async fn probe(headers: &[(&str, &str)]) -> String {
    let request = headers
        .iter()
        .fold(Request::get("/healthz"), |r, (k, v)| r.header(*k, *v));
    answer(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn only_the_exact_hosts_are_answered() {
    for host in [
        "localhost:4242",
        "127.0.0.1:4242",
        "[::1]:4242",
        "brain.lan",
        "brain.lan:4242",
        "box:99",
    ] {
        assert_eq!(probe(&[("host", host)]).await, "ok", "{host}");
    }
    for host in [
        "",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "localhost:80",
        "localhost:4243",
        "localhost:04242",
        "localhost:4242 ",
        "LOCALHOST:4242",
        "localhost.:4242",
        "localhost:4242.",
        "evil.example",
        "evil.example:4242",
        "localhost.evil.example:4242",
        "evil-localhost:4242",
        "localhost:4242@evil.example",
        "user@localhost:4242",
        "[::ffff:127.0.0.1]:4242",
        "[0:0:0:0:0:0:0:1]:4242",
        "::1:4242",
        "2130706433:4242",
        "0x7f.1:4242",
        "0177.0.0.1:4242",
        "127.1:4242",
        "127.0.0.2:4242",
        "0.0.0.0:4242",
        "localhost:4242,evil.example",
        "localhost:4242/",
        "brain.lan:80",
        "box",
        "box:4242",
        "xbrain.lan",
        "brain.lan.",
    ] {
        assert_eq!(probe(&[("host", host)]).await, "wrong_host", "{host}");
    }
    assert_eq!(probe(&[]).await, "wrong_host");
    let twice = [("host", "localhost:4242"), ("host", "localhost:4242")];
    assert_eq!(probe(&twice).await, "wrong_host");
    let bytes = Request::get("/healthz").header("host", HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(
        answer(bytes.body(Body::empty()).unwrap()).await,
        "wrong_host"
    );
}

#[tokio::test]
async fn the_host_of_the_target_counts_too() {
    let of = |target: &str| {
        let request = Request::get(target).header(header::HOST, "localhost:4242");
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(answer(of("http://localhost:4242/healthz")).await, "ok");
    assert_eq!(
        answer(of("http://evil.example/healthz")).await,
        "wrong_host"
    );
}

#[tokio::test]
async fn only_our_own_origin_may_ask() {
    let host = ("host", "localhost:4242");
    assert_eq!(
        probe(&[host, ("origin", "http://localhost:4242")]).await,
        "ok"
    );
    for origin in [
        "",
        "null",
        "http://localhost",
        "http://localhost:4243",
        "https://localhost:4242",
        "http://127.0.0.1:4242",
        "http://localhost:4242/",
        "http://localhost:4242.evil.example",
        "http://evil.example",
        "http://evil.example:4242",
        "http://localhost:4242@evil.example",
        "file://",
        "HTTP://localhost:4242",
        "http://localhost:4242 http://evil.example",
        "moz-extension://abc",
        "localhost:4242",
    ] {
        assert_eq!(
            probe(&[host, ("origin", origin)]).await,
            "forbidden",
            "{origin}"
        );
    }
    let own = ("origin", "http://localhost:4242");
    assert_eq!(probe(&[host, own, own]).await, "forbidden");
}

#[tokio::test]
async fn what_a_browser_says_of_the_page_counts() {
    let host = ("host", "localhost:4242");
    for (site, expected) in [
        ("none", "ok"),
        ("same-origin", "ok"),
        ("same-site", "forbidden"),
        ("cross-site", "forbidden"),
        ("", "forbidden"),
        ("None", "forbidden"),
    ] {
        assert_eq!(
            probe(&[host, ("sec-fetch-site", site)]).await,
            expected,
            "{site}"
        );
    }
}

#[tokio::test]
async fn every_method_and_upgrade_from_elsewhere_is_refused() {
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = good(method, "/v1/things").header("origin", "http://evil.example");
        let response = answer_head(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response, 403, "{method}");
    }
    let socket = good("GET", "/v1/things?name=a")
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("origin", "http://evil.example");
    assert_eq!(
        answer(socket.body(Body::empty()).unwrap()).await,
        "forbidden"
    );
}

/// Returns the status alone: the answer to a HEAD has no body to read a code from.
async fn answer_head(request: Request<Body>) -> u16 {
    use tower::ServiceExt as _;
    let router = super::small(Transport::Loopback { port: PORT });
    router.oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn tcp_needs_the_token() {
    let ask = |headers: Vec<String>, target: &str| {
        let request = Request::get(target).header(header::HOST, "127.0.0.1:4242");
        let request = headers
            .iter()
            .fold(request, |r, v| r.header(header::AUTHORIZATION, v));
        request.body(Body::empty()).unwrap()
    };
    let target = "/v1/things?name=a";
    for admitted in [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}")] {
        assert_eq!(answer(ask(vec![admitted], target)).await, "ok");
    }
    for refused in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        TOKEN.to_owned(),
        format!("Basic {TOKEN}"),
        format!("Bearer  {TOKEN}"),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {TOKEN} "),
        "Bearer correct-hors".to_owned(),
    ] {
        assert_eq!(
            answer(ask(vec![refused.clone()], target)).await,
            "unauthorized",
            "{refused:?}"
        );
    }
    assert_eq!(answer(ask(vec![], target)).await, "unauthorized");
    let twice = vec![format!("Bearer {TOKEN}"), format!("Bearer {TOKEN}")];
    assert_eq!(answer(ask(twice, target)).await, "unauthorized");
    let in_query = ask(vec![], "/v1/things?name=a&token=correct-horse");
    assert_eq!(answer(in_query).await, "unauthorized");
    for unknown in ["/nowhere", "/healthz/", "//healthz", "/openapi.json"] {
        assert_eq!(
            answer(ask(vec![], unknown)).await,
            "unauthorized",
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn an_empty_token_admits_nobody() {
    let transport = Transport::Loopback { port: PORT };
    let edge = crate::http::Edge {
        transport,
        token: "".into(),
        allowed_hosts: Vec::new(),
    };
    let request = Request::get("/v1/things")
        .header(header::HOST, "localhost:4242")
        .header(header::AUTHORIZATION, "Bearer ");
    let (head, ()) = request.body(()).unwrap().into_parts();
    assert!(crate::http::edge::admit(&edge, &head).is_err());
}

#[tokio::test]
async fn the_unix_socket_needs_no_token_but_refuses_pages() {
    let on_socket = async |request: axum::http::request::Builder| {
        answer_on(Transport::UnixSocket, request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(on_socket(Request::get("/v1/things?name=a")).await, "ok");
    assert_eq!(
        on_socket(Request::get("/v1/things?name=a").header("host", "x")).await,
        "ok"
    );
    let page = Request::get("/v1/things?name=a").header("origin", "http://localhost");
    assert_eq!(on_socket(page).await, "forbidden");
}

#[tokio::test]
async fn what_is_not_routed_is_a_problem_too() {
    for (method, target, expected) in [
        ("GET", "/nowhere", "no_route"),
        ("GET", "/v1/things/", "no_route"),
        ("DELETE", "/v1/things", "method_not_allowed"),
        ("OPTIONS", "/v1/things", "method_not_allowed"),
        ("BREW", "/v1/things", "method_not_allowed"),
        ("GET", "/v1/panic", "internal"),
        ("GET", "/v1/things/%ff", "invalid_utf8"),
        ("GET", "/v1/things?name=%C3%28", "invalid_utf8"),
        ("GET", "/v1/things?name=%C3%A4%", "ok"),
        ("GET", "/v1/things?name=a&name=b", "bad_request"),
        ("GET", "/v1/things?name=a&colour=red", "bad_request"),
        ("GET", "/v1/things", "bad_request"),
    ] {
        let request = good(method, target).body(Body::empty()).unwrap();
        assert_eq!(answer(request).await, expected, "{method} {target}");
    }
    let long = |prefix: &str, bytes: usize| {
        good("GET", &format!("{prefix}{}", "a".repeat(bytes)))
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(answer(long("/v1/things/", 256)).await, "ok");
    assert_eq!(answer(long("/v1/things/", 257)).await, "limit_exceeded");
    assert_eq!(answer(long("/v1/things?name=", 4_080)).await, "ok");
    assert_eq!(
        answer(long("/v1/things?name=", 4_081)).await,
        "limit_exceeded"
    );
}
