//! The transport against servers that send exact bytes, plain and over TLS.

mod connections;
mod tls;

use std::future::pending;

use http::header::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

/// A chat completion with the text `hi`.
const BODY: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;

/// A response with [`BODY`] and its length.
fn whole() -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len())
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

fn transport(listener: &TcpListener) -> Transport {
    transport_of(listener, ServerSettings::default())
}

fn transport_of(listener: &TcpListener, settings: ServerSettings) -> Transport {
    let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    Transport::new(ServerSettings { base_url, ..settings }).expect("a transport")
}

/// A server whose nth connection answers with the nth list, one response to each request, and then closes. It reports
/// each request with the number of its connection.
async fn server(connections: Vec<Vec<String>>) -> (Transport, UnboundedReceiver<(usize, String)>) {
    let listener = listener().await;
    let transport = transport(&listener);
    let (requests, received) = unbounded_channel();
    tokio::spawn(async move {
        for (number, answers) in connections.into_iter().enumerate() {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let requests = requests.clone();
            tokio::spawn(async move {
                for answer in answers {
                    let Some(request) = read_request(&mut connection).await else { return };
                    requests.send((number, request)).expect("a listening test");
                    connection.write_all(answer.as_bytes()).await.expect("sent");
                }
            });
        }
        pending::<()>().await;
    });
    (transport, received)
}

/// A whole request; `None` when the peer has gone.
async fn read_request(connection: &mut (impl AsyncRead + Unpin)) -> Option<String> {
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

async fn send(transport: &Transport) -> Result<String, CallFailure> {
    send_body(transport, &json!({"ask": "this"})).await
}

async fn send_body(transport: &Transport, body: &Value) -> Result<String, CallFailure> {
    let answer = in_time(transport.send(body, None)).await;
    answer.map(|completion| completion.content).map_err(|error| error.failure)
}

/// Longer than anything takes that ends.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.expect("an end")
}

fn header(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))])
}

#[tokio::test]
async fn a_call_has_its_path_query_headers_and_body() {
    let key = Some(SecretString::from("sk-1"));
    for (query, headers, expected) in [
        ("", HeaderMap::new(), "authorization: Bearer sk-1"),
        ("?api-version=2024-10-21&x=a%20b", header("api-key", "k"), "api-key: k"),
        ("", header("authorization", "Basic eA=="), "authorization: Basic eA=="),
    ] {
        let listener = listener().await;
        let address = listener.local_addr().expect("an address");
        let base_url = format!("http://{address}/openai/deployments/x{query}");
        let settings = ServerSettings { base_url, api_key: key.clone(), headers, authorities: None };
        let transport = Transport::new(settings).expect("a transport");
        let server = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let request = read_request(&mut connection).await.expect("a request");
            connection.write_all(whole().as_bytes()).await.expect("sent");
            request
        });
        let body = json!({ "long": "x".repeat(1_000_000) });
        send_body(&transport, &body).await.expect("an answer");
        let request = server.await.expect("no panic");
        let (head, sent) = request.split_once("\r\n\r\n").expect("a head");
        let mut lines: Vec<&str> = head.lines().collect();
        assert_eq!(lines.remove(0), format!("POST /openai/deployments/x/chat/completions{query} HTTP/1.1"));
        lines.sort_unstable();
        let length = format!("content-length: {}", sent.len());
        let (host, agent) =
            (format!("host: {address}"), format!("user-agent: {}", crate::http_client::USER_AGENT));
        let mut all = [
            "accept: */*",
            "accept-encoding: gzip",
            expected,
            &length,
            "content-type: application/json",
            &host,
            &agent,
        ];
        all.sort_unstable();
        assert_eq!(lines, all);
        assert_eq!(sent, body.to_string());
    }
}

/// Responses with [`BODY`] in every framing.
fn framings() -> Vec<String> {
    let (length, (half, rest)) = (BODY.len(), BODY.split_at(7));
    let chunks = format!("7\r\n{half}\r\n{:x};x=y\r\n{rest}\r\n0\r\n", rest.len());
    vec![
        whole(),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}\r\n"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n{chunks}X-Sum: 1\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n\r\n{BODY}"),
        format!("HTTP/1.0 200 OK\r\n\r\n{BODY}"),
        format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n{BODY}"),
        format!("HTTP/1.1 100 Continue\r\n\r\n{}", whole()),
        format!("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n{}", whole()),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Length: {length}\r\n\r\n{BODY}"),
    ]
}

#[tokio::test]
async fn an_answer_is_the_same_in_every_framing_and_split_anywhere() {
    for answer in framings() {
        for size in [1, 7, 1_000] {
            let listener = listener().await;
            let transport = transport(&listener);
            let bytes = answer.clone();
            tokio::spawn(async move {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                connection.set_nodelay(true).expect("set");
                read_request(&mut connection).await.expect("a request");
                for bytes in bytes.as_bytes().chunks(size) {
                    connection.write_all(bytes).await.expect("sent");
                    tokio::task::yield_now().await;
                }
            });
            assert_eq!(send(&transport).await.as_deref(), Ok("hi"), "{size} bytes of {answer}");
        }
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_or_is_malformed_is_a_typed_failure() {
    use CallFailure::{Connection, NotHttp};
    let length = BODY.len();
    let chunked = |chunks: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    for (answer, failure) in [
        (String::new(), Connection),
        ("HTTP/1.1 200".into(), Connection),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", length + 1), Connection),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{BODY}"), NotHttp),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 6\r\n\r\n{BODY}"), NotHttp),
        ("HTTP/2 200\r\n\r\n".into(), NotHttp),
        ("SSH-2.0-OpenSSH_9.2\r\n".into(), NotHttp),
        // A TLS alert, as from a server that was called without TLS.
        ("\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{32}".into(), NotHttp),
        (chunked(&format!("{length:x}\r\n{BODY}\r\n")), Connection),
        (chunked(&format!("seven\r\n{BODY}\r\n0\r\n\r\n")), Connection),
        (chunked(&format!("3\r\n{BODY}\r\n0\r\n\r\n")), Connection),
        (format!("HTTP/1.1 200 OK\r\nX-Long: {}", "x".repeat(1_000_000)), NotHttp),
    ] {
        let (transport, _requests) = server(vec![vec![answer.clone()]]).await;
        assert_eq!(send(&transport).await, Err(failure), "{:?}", &answer[..answer.len().min(100)]);
    }
}

#[tokio::test]
async fn an_answer_of_more_than_4_mib_is_not_read_to_its_end() {
    let listener = listener().await;
    let transport = transport(&listener);
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        read_request(&mut connection).await.expect("a request");
        connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("sent");
        let (spaces, mut sent) = (vec![b' '; 64 * 1024], 0);
        while sent < 128 * 1024 * 1024 && connection.write_all(&spaces).await.is_ok() {
            sent += spaces.len();
        }
        sent
    });
    assert_eq!(send(&transport).await, Err(CallFailure::Malformed));
    // With what the system's buffers hold in between: Linux lets them grow to 32 MiB.
    assert!(in_time(server).await.expect("no panic") < 64 * 1024 * 1024);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let there = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
    let (transport, mut requests) = server(vec![vec![there.into(), whole()]]).await;
    assert_eq!(send(&transport).await, Err(CallFailure::Redirect));
    requests.recv().await.expect("a request");
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_sent_is_read() {
    let refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}";
    for (early, expected) in
        [(refusal.to_owned(), Err(CallFailure::ContextTooLong)), (whole(), Ok("hi".into()))]
    {
        let listener = listener().await;
        let transport = transport(&listener);
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            connection.read_exact(&mut [0; 1_000]).await.expect("a part of it");
            connection.write_all(early.as_bytes()).await.expect("sent");
            pending::<()>().await;
        });
        let long = json!("x".repeat(16_000_000));
        assert_eq!(send_body(&transport, &long).await, expected);
    }
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection() {
    let listener = listener().await;
    let transport = transport(&listener);
    let call = tokio::spawn(async move { transport.send(&json!({}), None).await });
    let (mut connection, _) = listener.accept().await.expect("a connection");
    read_request(&mut connection).await.expect("a request");
    call.abort();
    assert_eq!(in_time(connection.read(&mut [0])).await.expect("the end"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_call_ends_whatever_the_server_sends(
        framing in 0..framings().len(), cut in 0..200_usize, noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = listener().await;
            let transport = transport(&listener);
            tokio::spawn(async move {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                read_request(&mut connection).await.expect("a request");
                let answer = framings().swap_remove(framing);
                let _ = connection.write_all(&answer.as_bytes()[..cut.min(answer.len())]).await;
                let _ = connection.write_all(&noise).await;
            });
            let _ = send(&transport).await;
        });
    }
}
