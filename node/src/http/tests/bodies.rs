//! The body of a request: media types, sizes, bytes that are not text, JSON that does not fit.

use super::{answer, good};
use crate::http::extract::read;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse as _;
use std::time::Duration;

async fn post(target: &str, content_type: &[&str], body: impl Into<Body>) -> String {
    let request = content_type
        .iter()
        .fold(good("POST", target), |request, kind| {
            request.header(header::CONTENT_TYPE, *kind)
        });
    answer(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn only_json_is_read() {
    let body = r#"{"name":"a"}"#;
    for kind in [
        "application/json",
        "Application/JSON",
        "application/json;charset=UTF-8",
        "application/json; charset=utf-8",
    ] {
        assert_eq!(post("/v1/things", &[kind], body).await, "ok", "{kind}");
    }
    for kind in [
        "",
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "application/jsonp",
        "text/json",
    ] {
        let code = post("/v1/things", &[kind], body).await;
        assert_eq!(code, "unsupported_media_type", "{kind}");
    }
    assert_eq!(
        post("/v1/things", &[], body).await,
        "unsupported_media_type"
    );
    let two = ["application/json", "text/plain"];
    assert_eq!(
        post("/v1/things", &two, body).await,
        "unsupported_media_type"
    );
}

#[tokio::test]
async fn json_must_fit_exactly() {
    let deep = "[".repeat(60);
    for body in [
        "",
        "{",
        "null",
        "[]",
        "\"a\"",
        r#"{"name":1}"#,
        r#"{"name":"a","name":"b"}"#,
        r#"{"name":"a","colour":"red"}"#,
        r#"{"name":"a"} x"#,
        r#"{"name":"\ud800"}"#,
        "\u{feff}{\"name\":\"a\"}",
        &deep,
    ] {
        let code = post("/v1/things", &["application/json"], body.to_owned()).await;
        assert_eq!(code, "bad_request", "{body:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_text_are_refused() {
    for name in [
        &b"\xff"[..],
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\xf8\x88\x80\x80\x80",
    ] {
        let body = [&b"{\"name\":\""[..], name, b"\"}"].concat();
        let code = post("/v1/things", &["application/json"], body).await;
        assert_eq!(code, "invalid_utf8", "{name:x?}");
    }
}

#[tokio::test]
async fn a_body_ends_at_its_limit_whether_announced_or_not() {
    let of = |bytes: usize| format!("{{\"name\":\"{}\"}}", "a".repeat(bytes - 11));
    let json = ["application/json"];
    assert_eq!(post("/v1/things", &json, of(64)).await, "ok");
    assert_eq!(post("/v1/things", &json, of(65)).await, "too_large");
    let chunks = of(65)
        .into_bytes()
        .into_iter()
        .map(|byte| Ok::<_, std::io::Error>(vec![byte]));
    let unannounced = Body::from_stream(futures::stream::iter(chunks));
    assert_eq!(post("/v1/things", &json, unannounced).await, "too_large");
    let announced = good("POST", "/v1/things")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, "99999999999")
        .body(Body::from_stream(futures::stream::pending::<
            Result<Vec<u8>, std::io::Error>,
        >()));
    assert_eq!(answer(announced.unwrap()).await, "too_large");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let given_up = read(&HeaderMap::new(), never, 64, Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(given_up.into_response().status(), 504);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let broken = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("gone"))]);
    let code = post(
        "/v1/things",
        &["application/json"],
        Body::from_stream(broken),
    )
    .await;
    assert_eq!(code, "bad_request");
}

#[tokio::test]
async fn a_verb_without_a_body_needs_no_content_type() {
    let json = ["application/json"];
    assert_eq!(post("/v1/things:count", &[], "").await, "ok");
    assert_eq!(post("/v1/things:count", &json, "").await, "ok");
    assert_eq!(post("/v1/things:count", &json, "{}").await, "ok");
    assert_eq!(post("/v1/things:count", &json, "null").await, "ok");
    assert_eq!(
        post("/v1/things:count", &json, "{\"a\":1}").await,
        "bad_request"
    );
    assert_eq!(
        post("/v1/things:count", &[], "{}").await,
        "unsupported_media_type"
    );
    assert_eq!(
        post("/v1/things:count", &["text/plain"], "").await,
        "unsupported_media_type"
    );
}
