//! Against a server that says what it is told, byte for byte.

mod connections;
mod early;

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

/// Two ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let ours = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
    (ours, listener.accept().await.expect("a connection").0)
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
    said_to(plain, body()).await
}

async fn said_to(plain: &Plain, body: Pieces) -> Result<String, CallFailure> {
    let answer = within_bounds(plain.send(body, None)).await;
    answer.map(|body| String::from_utf8_lossy(&body).into_owned()).map_err(|error| error.failure)
}

/// Longer than anything takes that comes to an end.
async fn within_bounds<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.expect("an end")
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
    said_to(&plain, Pieces::of(&long, std::iter::empty())).await.expect("an answer");
    let (request, address) = server.await.expect("no panic");
    let (head, sent) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /v1/chat/completions HTTP/1.1");
    lines.sort_unstable();
    let (host, key) = (format!("host: {address}"), format!("authorization: {key}"));
    let (length, name) =
        (format!("content-length: {}", sent.len()), format!("user-agent: {}", http_client::OUR_NAME));
    assert_eq!(
        lines,
        ["accept-encoding: gzip", &*key, &*length, "content-type: application/json", &*host, &*name]
    );
    assert_eq!(sent, long.to_string());
}

/// Every way to tell where an answer ends.
const FRAMED: [&str; 14] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 7, 7\r\n\r\n{\"n\":1}",
    WHOLE,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"n\r\n4;x=y\r\n\":1}\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n007\r\n{\"n\":1}\r\n0\r\nX-Sum: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n{\"n\":1}",
    "HTTP/1.0 200 OK\r\n\r\n{\"n\":1}",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
    "HTTP/1.1 100 Continue\r\nServer: x\r\nContent-Length: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, Chunked\r\nContent-Length: 3\r\n\r\n00000000000000000007 \t;a=\"b\";c=0123456789012345678901234567890\r\n{\"n\":1}\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\nContent-Length: 3\r\n\r\n{\"n\":1}",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{\"n\":1}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n\r\n7\t\r\n{\"n\":1}\r\n0\r\n\r\n",
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
        "HTTP/1.1 200 OK\r\nContent-Length: +7\r\n\r\n{\"n\":1}",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n{\"n\":1}",
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 6\r\n\r\n{\"n\":1}",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 099 What\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
        "HTTP/2 200\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let (plain, _requests) = served(vec![vec![answer]]).await;
        assert_eq!(said(&plain).await, Err(CallFailure::Connection), "{answer:?}");
    }
    for chunks in [
        "7\r\n{\"n\":1}\r\n",
        "seven\r\n{\"n\":1}\r\n0\r\n\r\n",
        "\r\n{\"n\":1}\r\n0\r\n\r\n",
        "+7\r\n{\"n\":1}\r\n0\r\n\r\n",
        ";x\r\n{\"n\":1}\r\n0\r\n\r\n",
        "7;x\n{\"n\":1}\r\n0\r\n\r\n",
        "7\n{\"n\":1}\r\n0\r\n\r\n",
        "3\r\n{\"n\":1}\r\n0\r\n\r\n",
        "7\r\n{\"n\":1}0\r\n\r\n",
        "7\rX{\"n\":1}\r\n0\r\n\r\n",
        "7\r\n{\"n\":1}\rX0\r\n\r\n",
        "7\r\n{\"n\":1}\r\n0\r\n\n",
        "7\r\n{\"n\":1}\r\n0\r\n\rx",
        "10000000000000000\r\n{\"n\":1}\r\n0\r\n\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").leak();
        let (plain, _requests) = served(vec![vec![answer]]).await;
        assert_eq!(said(&plain).await, Err(CallFailure::Connection), "{chunks:?}");
    }
}

/// A server that says `begun`, and then `more` on and on until nobody reads it: how much that was.
async fn read_of(begun: &'static str, more: &str) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = plain(&listener, HeaderMap::new());
    let more = more.repeat(10_000 / more.len());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        request(&mut connection).await.expect("a request");
        connection.write_all(begun.as_bytes()).await.expect("sent");
        let mut sent = 0;
        while connection.write_all(more.as_bytes()).await.is_ok() {
            sent += more.len();
        }
        sent
    });
    assert_eq!(said(&plain).await, Err(CallFailure::Connection), "{begun}");
    within_bounds(server).await.expect("no panic")
}

#[tokio::test]
async fn what_has_no_end_is_given_up_at_once() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n";
    for (begun, more) in [
        ("HTTP/1.1 200 OK\r\nX-Long: ", "x"),
        ("HTTP/1.1 200 OK\r\n", "X-More: y\r\n"),
        ("", "HTTP/1.1 102 Processing\r\n\r\n"),
        (chunked, "0"),
        (chunked, "1;x"),
        (last, "X-Long: "),
        (last, "X-More: y\r\n"),
    ] {
        // As much as systems hold between the two, and a little.
        assert!(read_of(begun, more).await < 16 * 1024 * 1024, "{begun}{more}");
    }
}

#[tokio::test]
async fn heads_and_what_is_beside_a_body_may_be_long_but_not_longer() {
    let interim = "HTTP/1.1 103 Hints\r\n\r\n";
    for (bytes, is_read) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let head =
            |filler: &str| format!("{interim}HTTP/1.1 200 OK\r\nX: {filler}\r\nContent-Length: 7\r\n\r\n");
        let filler = "x".repeat(bytes - head("").len());
        let answer = format!("{}{{\"n\":1}}", head(&filler)).leak();
        assert_eq!(said(&served(vec![vec![answer]]).await.0).await.is_ok(), is_read, "{bytes}");
    }
    let read = |said: &str| {
        let (mut chunks, mut body) = (chunks::Chunks::default(), Vec::new());
        chunks.read(said.as_bytes(), &mut body).is_ok()
    };
    for (bytes, is_read) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        assert_eq!(read(&format!("1;{}\r\n", "x".repeat(bytes - 4))), is_read, "{bytes}");
        assert_eq!(
            read(&format!("200\r\n{}\r\n0\r\n{}", "x".repeat(512), "x".repeat(bytes - 5))),
            is_read,
            "{bytes}"
        );
    }
    assert!(read(&"1\r\n{\r\n".repeat(100_000)), "the smallest chunks");
    assert!(read(&format!("1;{}\r\n{{\r\n", "x".repeat(50)).repeat(100_000)), "with something said of each");
    assert!(
        !read(&format!("1;{}\r\n{{\r\n", "x".repeat(100)).repeat(1_000)),
        "with more said than is in them"
    );
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = plain(&listener, HeaderMap::new());
    let call = tokio::spawn(async move { plain.send(body(), None).await });
    let (mut connection, _) = listener.accept().await.expect("a connection");
    request(&mut connection).await.expect("a request");
    call.abort();
    assert_eq!(within_bounds(connection.read(&mut [0])).await.expect("the end"), 0);
}

#[tokio::test]
async fn a_call_that_waits_holds_no_buffers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = plain(&listener, HeaderMap::new());
    let constant: Arc<serde_json::value::RawValue> =
        serde_json::value::to_raw_value(&"long".repeat(1_000)).expect("JSON").into();
    let outgoing = Outgoing::new(plain.request(Pieces::of(&&constant, [&constant].into_iter())));
    assert_eq!(Arc::strong_count(&constant), 2, "it is shared");
    let exchange = plain.connections.get_ref().0.exchange(outgoing);
    assert!(size_of_val(&exchange) <= 768, "{} bytes", size_of_val(&exchange));
    let mut exchange = std::pin::pin!(exchange);
    let (mut connection, _) = tokio::select! {
        _ = &mut exchange => panic!("nobody has answered"),
        connection = listener.accept() => connection.expect("a connection"),
    };
    let mut sent = [0; 4_000];
    tokio::select! {
        _ = &mut exchange => panic!("nobody has answered"),
        read = connection.read_exact(&mut sent) => drop(read.expect("the request")),
    }
    assert_eq!(Arc::strong_count(&constant), 1, "what was sent is let go");
    let (ours, mut theirs) = pair().await;
    assert!(try_read(&ours).expect("no error").is_none());
    theirs.write_all(b"{").await.expect("sent");
    ours.readable().await.expect("that");
    let read = try_read(&ours).expect("no error").expect("that");
    assert!(read.capacity() < 64, "one byte takes up {}", read.capacity());
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
            within_bounds(plain.send(body(), None)).await.map(drop).unwrap_or_default();
        });
    }

    #[test]
    fn chunks_are_read_alike_in_any_pieces(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
        cuts in prop::collection::vec(1..20_usize, 1..10),
    ) {
        let mut said = Vec::new();
        for part in &parts {
            said.extend_from_slice(format!("{:x};n={}\r\n", part.len(), part.len()).as_bytes());
            said.extend_from_slice(part);
            said.extend_from_slice(b"\r\n");
        }
        said.extend_from_slice(b"0\r\nX-Sum: 1\r\n\r\nbehind");
        let (mut chunks, mut body, mut read) = (chunks::Chunks::default(), Vec::new(), 0);
        for cut in cuts.iter().cycle() {
            let piece = &said[read..said.len().min(read + cut)];
            let taken = chunks.read(piece, &mut body).expect("chunks");
            read += taken;
            if chunks.are_over() {
                break;
            }
            prop_assert_eq!(taken, piece.len());
        }
        prop_assert_eq!(&said[read..], b"behind");
        prop_assert_eq!(body, parts.concat());
    }
}
