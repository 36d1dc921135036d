//! The client against a listener on loopback that gives prepared answers.

use super::*;
use protocol::api::sync::SyncStatus;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// Gives each answer to one connection and returns the first lines of the requests.
fn node(answers: Vec<(u16, &'static str)>) -> (Client, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut lines = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 8_192];
            let read = stream.read(&mut request).unwrap();
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            lines.push(text.lines().next().unwrap().to_owned());
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n");
            write!(stream, "{head}connection: close\r\n\r\n{body}").unwrap();
        }
        lines
    });
    (
        Client::new(NodeAddress::parse(&url).unwrap(), None, None).unwrap(),
        thread,
    )
}

#[test]
fn a_path_segment_cannot_leave_its_route() {
    let base = Url::parse("http://localhost").unwrap();
    let check = |segment: &str, expect: &str| {
        let url = address(&base, &["v1", "peers", segment], &[("q", "a&b")]).unwrap();
        assert_eq!(
            url.as_str(),
            format!("http://localhost/v1/peers/{expect}?q=a%26b")
        );
    };
    check("did:key:z6Mk", "did:key:z6Mk");
    check("a/../b?c#d", "a%2F..%2Fb%3Fc%23d");
    check("m\u{fc}m:prove", "m%C3%BCm:prove");
    for segment in ["", ".", "..", "..:purge", ":purge"] {
        let error = address(&base, &["v1", segment], &[]).unwrap_err();
        assert_eq!(error.exit().number(), 2, "{segment:?}");
    }
}

#[test]
fn pages_are_followed_to_the_end() {
    let pages = vec![
        (200, r#"{"items":[1,2],"next_cursor":"x"}"#),
        (200, r#"{"items":[3]}"#),
    ];
    let (client, thread) = node(pages);
    let page: Page<u32> = client
        .list(&["v1", "memories"], &[("q", "tag:a")], None)
        .unwrap();
    assert_eq!(page.items, [1, 2, 3]);
    let expect = [
        "GET /v1/memories?q=tag%3Aa&limit=200 HTTP/1.1",
        "GET /v1/memories?q=tag%3Aa&limit=200&cursor=x HTTP/1.1",
    ];
    assert_eq!(thread.join().unwrap(), expect);
}

#[test]
fn a_limit_ends_the_list_and_keeps_the_cursor() {
    let (client, thread) = node(vec![(200, r#"{"items":[1,2],"next_cursor":"x"}"#)]);
    let page: Page<u32> = client.list(&["v1", "memories"], &[], Some(2)).unwrap();
    assert_eq!(
        (page.items.len(), page.next_cursor.as_deref()),
        (2, Some("x"))
    );
    assert_eq!(
        thread.join().unwrap(),
        ["GET /v1/memories?limit=2 HTTP/1.1"]
    );
}

#[test]
fn a_problem_becomes_a_refusal() {
    let problem = r#"{"type":"t","title":"Used","status":410,"detail":"d","code":"ticket_used",
        "hints":["ask for a new one"],"later":1}"#;
    let (client, thread) = node(vec![(410, problem), (502, "<html>"), (200, "[]")]);
    let explain = || {
        client
            .act::<SyncStatus>(&["v1", "sync:now"])
            .unwrap_err()
            .explain()
    };
    let first = explain();
    assert_eq!(
        (first.what.as_str(), first.code.as_str(), first.exit),
        ("Used", "ticket_used", 1)
    );
    assert_eq!(first.hints, ["ask for a new one"]);
    let second = explain();
    assert_eq!((second.code.as_str(), second.exit), ("http_502", 1));
    assert_eq!(explain().code, "unreadable_answer");
    assert_eq!(thread.join().unwrap().len(), 3);
}

#[test]
fn a_missing_socket_is_an_unreachable_node() {
    let address = NodeAddress::Socket("/nowhere/api.sock".into());
    let client = Client::new(address, None, None).unwrap();
    let error = client
        .get::<SyncStatus>(&["v1", "sync"], &[])
        .unwrap_err()
        .explain();
    assert_eq!((error.code.as_str(), error.exit), ("node_unreachable", 6));
    assert!(
        error.what.contains("unix:/nowhere/api.sock"),
        "{}",
        error.what
    );
}
