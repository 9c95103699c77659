//! Against a server that says what it is told, byte for byte.

use std::future::pending;
use std::time::Duration;

use http::header::AUTHORIZATION;
use proptest::prelude::*;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::*;

/// What a server does with a connection: it answers each request with the next of these, and then closes.
type Answers = Vec<&'static str>;

const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"n\":1}";

/// A way to a server that does the first of `connections` with the first connection, and so on; and the requests that
/// it reads, each with the number of its connection.
async fn served(connections: Vec<Answers>) -> (Plain, UnboundedReceiver<(usize, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = plain(&listener, HeaderMap::new());
    let (requests, read) = unbounded_channel();
    tokio::spawn(async move {
        for (number, answers) in connections.into_iter().enumerate() {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let requests = requests.clone();
            tokio::spawn(async move {
                for answer in answers {
                    let Some(request) = request(&mut connection).await else { return };
                    requests.send((number, request)).expect("a listening test");
                    connection.write_all(answer.as_bytes()).await.expect("sent");
                }
            });
        }
        pending::<()>().await;
    });
    (plain, read)
}

fn plain(listener: &TcpListener, headers: HeaderMap) -> Plain {
    let address = listener.local_addr().expect("an address");
    Plain::new(format!("http://{address}/v1/chat/completions").parse().expect("a URI"), headers)
        .expect("a server")
}

/// A whole request; `None` when the peer has gone.
async fn request(connection: &mut TcpStream) -> Option<String> {
    let mut request = String::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let head = request.find("\r\n\r\n").map(|end| &request[..end]);
        let length =
            |head: &str| head.split("content-length: ").nth(1)?.lines().next()?.parse::<usize>().ok();
        if head.and_then(|head| Some(head.len() + 4 + length(head)?)) == Some(request.len()) {
            return Some(request);
        }
        let bytes = connection.read(&mut buffer).await.ok().filter(|bytes| *bytes > 0)?;
        request.push_str(std::str::from_utf8(&buffer[..bytes]).expect("UTF-8"));
    }
}

fn body() -> Pieces {
    Pieces::of(&json!({"ask": "this"}), std::iter::empty())
}

async fn said(plain: &Plain) -> Result<String, CallFailure> {
    let answer = timeout(Duration::from_secs(20), plain.send(body(), None)).await.expect("an end");
    answer.map(|body| String::from_utf8_lossy(&body).into_owned()).map_err(|error| error.failure)
}

#[tokio::test]
async fn a_call_has_its_headers_and_its_body_also_when_these_are_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let key = "k".repeat(5_000);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(&key).expect("a value"))]);
    let plain = plain(&listener, headers);
    let server = tokio::spawn(async move {
        let (mut connection, address) =
            (listener.accept().await.expect("a connection").0, listener.local_addr());
        let request = request(&mut connection).await.expect("a request");
        connection.write_all(WHOLE.as_bytes()).await.expect("sent");
        (request, address.expect("an address"))
    });
    let long = json!("x".repeat(4_000_000));
    plain.send(Pieces::of(&long, std::iter::empty()), None).await.expect("an answer");
    let (request, address) = server.await.expect("no panic");
    let (head, sent) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /v1/chat/completions HTTP/1.1");
    lines.sort_unstable();
    let (host, key) = (format!("host: {address}"), format!("authorization: {key}"));
    let (length, name) =
        (format!("content-length: {}", sent.len()), format!("user-agent: {}", outbound::OUR_NAME));
    assert_eq!(
        lines,
        ["accept-encoding: gzip", &*key, &*length, "content-type: application/json", &*host, &*name]
    );
    assert_eq!(sent, long.to_string());
}

/// Every way to tell where an answer ends.
const FRAMED: [&str; 8] = [
    WHOLE,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"n\r\n4;x=y\r\n\":1}\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n007\r\n{\"n\":1}\r\n0\r\nX-Sum: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n{\"n\":1}",
    "HTTP/1.0 200 OK\r\n\r\n{\"n\":1}",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
    "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
];

#[tokio::test]
async fn an_answer_is_the_same_in_every_framing_and_in_any_pieces() {
    for answer in FRAMED {
        for piece in [1, 2, 3, 7, 50, 1_000] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let plain = plain(&listener, HeaderMap::new());
            tokio::spawn(async move {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                connection.set_nodelay(true).expect("set");
                request(&mut connection).await.expect("a request");
                for bytes in answer.as_bytes().chunks(piece) {
                    connection.write_all(bytes).await.expect("sent");
                    tokio::task::yield_now().await;
                }
            });
            assert_eq!(said(&plain).await.as_deref(), Ok("{\"n\":1}"), "{piece} bytes of {answer}");
        }
    }
}

#[tokio::test]
async fn what_is_cut_or_is_no_http_is_a_failed_connection() {
    for answer in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"n\":1}",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{\"n\":1}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"n\":1}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nseven\r\n{\"n\":1}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"n\":1}\r\n0\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let (plain, _requests) = served(vec![vec![answer]]).await;
        assert_eq!(said(&plain).await, Err(CallFailure::Connection), "{answer:?}");
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = plain(&listener, HeaderMap::new());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        request(&mut connection).await.expect("a request");
        let mut sent = 0;
        connection.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ").await.expect("sent");
        while connection.write_all(&[b'x'; 1_024]).await.is_ok() {
            sent += 1_024;
            assert!(sent < 64 * 1_024 * 1_024, "somebody reads all that");
        }
    });
    assert_eq!(said(&plain).await, Err(CallFailure::Connection));
    drop(plain);
    server.await.expect("the connection is closed");
}

#[tokio::test]
async fn a_connection_is_used_for_one_call_after_the_other() {
    for answer in [FRAMED[0], FRAMED[1], FRAMED[2], FRAMED[5], FRAMED[6]] {
        let (plain, mut requests) = served(vec![vec![answer, answer, answer]]).await;
        for _ in 0..3 {
            said(&plain).await.expect("an answer");
            assert_eq!(requests.recv().await.expect("a request").0, 0, "{answer}");
        }
    }
    // An error is an answer, and so is one without a body.
    let answers = ["HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 204 Nothing\r\n\r\n", WHOLE];
    let (plain, mut requests) = served(vec![answers.to_vec()]).await;
    assert!(said(&plain).await.is_err());
    assert_eq!(said(&plain).await.as_deref(), Ok(""));
    said(&plain).await.expect("an answer");
    assert_eq!(
        [requests.recv().await, requests.recv().await, requests.recv().await].map(|of| of.expect("one").0),
        [0; 3]
    );
}

#[tokio::test]
async fn a_connection_of_which_the_server_wants_no_more_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
        "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
        // More than was asked for.
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"n\":1}HTTP/1.1 200 OK\r\n",
    ] {
        // It would answer once more.
        let (plain, mut requests) = served(vec![vec![answer, answer], vec![WHOLE]]).await;
        for number in [0, 1] {
            said(&plain).await.expect("an answer");
            assert_eq!(requests.recv().await.expect("a request").0, number, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_not_used_again() {
    let (plain, mut requests) = served(vec![vec![WHOLE], vec![WHOLE]]).await;
    said(&plain).await.expect("an answer");
    let idle = &plain.connections.get_ref().0.idle;
    if let Some(connection) = idle.take() {
        connection.readable().await.expect("the end");
        idle.clone().put(connection);
    }
    said(&plain).await.expect("an answer");
    assert_eq!([requests.recv().await, requests.recv().await].map(|of| of.expect("one").0), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn connections_that_nobody_uses_are_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = plain(&listener, HeaderMap::new());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        request(&mut connection).await.expect("a request");
        connection.write_all(WHOLE.as_bytes()).await.expect("sent");
        connection.read(&mut [0]).await.expect("the end")
    });
    plain.send(body(), None).await.expect("an answer");
    let began = tokio::time::Instant::now();
    assert_eq!(server.await.expect("no panic"), 0);
    let took = began.elapsed();
    assert!(took >= outbound::IDLE_TIMEOUT && took <= 2 * outbound::IDLE_TIMEOUT, "{took:?}");
}

#[tokio::test]
async fn an_answer_that_comes_before_all_was_sent_is_heard_and_ends_the_connection() {
    let refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = plain(&listener, HeaderMap::new());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        connection.read_exact(&mut [0; 1_000]).await.expect("a part of it");
        connection.write_all(refusal).await.expect("sent");
        // What is on its way is read, and then there is no more.
        connection.read_to_end(&mut Vec::new()).await.map(|bytes| bytes < 64_000_000)
    });
    let long = Pieces::of(&"x".repeat(64_000_000), std::iter::empty());
    let failure = plain.send(long, None).await.expect_err("a refusal").failure;
    assert_eq!(failure, CallFailure::ContextTooLong);
    assert!(plain.connections.get_ref().0.idle.take().is_none());
    assert!(server.await.expect("no panic").unwrap_or(true));
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = plain(&listener, HeaderMap::new());
    let call = tokio::spawn(async move { plain.send(body(), None).await });
    let (mut connection, _) = listener.accept().await.expect("a connection");
    request(&mut connection).await.expect("a request");
    call.abort();
    assert_eq!(connection.read(&mut [0]).await.expect("the end"), 0);
}

#[tokio::test]
async fn a_call_that_waits_holds_little() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = plain(&listener, HeaderMap::new());
    let outgoing = Outgoing::of(plain.request(body())).expect("a request");
    let held = size_of_val(&*outgoing.call) + size_of_val(&plain.connections.get_ref().0.exchange(outgoing));
    assert!(held <= 1_536, "{held} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_a_server_says_a_call_ends(
        head in 0..FRAMED.len(), cut in 0..200_usize, said in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let plain = plain(&listener, HeaderMap::new());
            tokio::spawn(async move {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                request(&mut connection).await.expect("a request");
                let _ = connection.write_all(&FRAMED[head].as_bytes()[..cut.min(FRAMED[head].len())]).await;
                let _ = connection.write_all(&said).await;
            });
            timeout(Duration::from_secs(20), plain.send(body(), None)).await.map(drop).expect("an end");
        });
    }
}
