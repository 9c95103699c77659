//! Servers that do not wait for the end of a request.

use tokio::net::TcpSocket;

use super::*;

/// What a server does that has read a part of a long request and said something.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// It reads what is still sent.
    Read,
    /// It reads all of the request, and says this.
    Say(&'static str),
    /// It neither reads nor says any more, but does not go.
    Hold,
    /// Likewise, and it lets that be known.
    HalfClose,
}

/// What comes of a long request to a server with little room that says `early` once it has read a part of it.
/// With it, whether all of it was sent and whether its connection is used again.
async fn interrupted(early: &'static str, then: Then) -> (Result<String, CallFailure>, bool, bool) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("set");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(8).expect("a listener");
    let plain = plain(&listener, HeaderMap::new());
    let long = Pieces::of(&"x".repeat(16_000_000), std::iter::empty());
    let length = long.bytes();
    let (gone, is_gone) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        connection.read_exact(&mut [0; 1_000]).await.expect("a part of it");
        connection.write_all(early.as_bytes()).await.expect("sent");
        let (mut read, mut buffer) = (1_000, vec![0; 64 * 1024]);
        match then {
            Then::Read => {
                while let Ok(bytes @ 1..) = connection.read(&mut buffer).await {
                    read += bytes;
                }
            }
            Then::Say(more) => {
                while read < length {
                    read += connection.read(&mut buffer).await.expect("the rest");
                }
                connection.write_all(more.as_bytes()).await.expect("sent");
            }
            Then::HalfClose => connection.shutdown().await.expect("closed"),
            Then::Hold => {}
        }
        let _ = is_gone.await;
        read >= length
    });
    let said = said_to(&plain, long).await;
    let is_kept = plain.connections.get_ref().0.idle.take().is_some();
    drop((gone, plain));
    (said, within_bounds(server).await.expect("no panic"), is_kept)
}

#[tokio::test]
async fn a_refusal_is_heard_and_ends_the_connection() {
    for early in [
        "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 302 There\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let (said, is_whole, is_kept) = interrupted(early, Then::Read).await;
        assert!(said.is_err_and(|failure| failure != CallFailure::Connection), "{early}");
        assert!(!is_whole && !is_kept, "{early}");
    }
}

#[tokio::test]
async fn what_is_no_answer_does_not_stop_the_request() {
    for early in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n", "\r\n", "HTTP/1.1 20"] {
        let rest = if early.ends_with("20") { &WHOLE[11..] } else { WHOLE };
        let (said, is_whole, is_kept) = interrupted(early, Then::Say(rest)).await;
        assert_eq!(said.as_deref(), Ok("{\"n\":1}"), "{early:?}");
        assert!(is_whole && is_kept, "{early:?}");
    }
}

#[tokio::test]
async fn an_answer_that_has_begun_does_not_stop_the_request_either() {
    let (head, body) = WHOLE.split_at(WHOLE.len() - 7);
    let (said, is_whole, is_kept) = interrupted(head, Then::Say(body)).await;
    assert_eq!(said.as_deref(), Ok("{\"n\":1}"));
    assert!(is_whole && is_kept);
}

#[tokio::test]
async fn a_server_need_not_read_what_it_answers() {
    for then in [Then::Hold, Then::HalfClose] {
        for answer in [WHOLE, FRAMED[2]] {
            let (said, is_whole, is_kept) = interrupted(answer, then).await;
            assert_eq!(said.as_deref(), Ok("{\"n\":1}"), "{then:?} {answer}");
            assert!(!is_whole && !is_kept, "{then:?} {answer}");
        }
    }
    for begun in ["", "HTTP/1.1 200 OK\r\n"] {
        let (said, ..) = interrupted(begun, Then::HalfClose).await;
        assert_eq!(said, Err(CallFailure::Connection), "{begun}");
    }
}

#[tokio::test]
async fn a_server_that_closes_while_it_is_written_to_is_heard() {
    let refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    let (ours, mut theirs) = pair().await;
    // It has answered before anything was sent, and is gone.
    theirs.write_all(refusal).await.expect("sent");
    drop(theirs);
    ours.readable().await.expect("that");
    let request = Request::new(Pieces::of(&"x".repeat(16_000_000), std::iter::empty()));
    let (mut outgoing, mut heads) = (Outgoing::new(request), Heads::default());
    let answer = poll_fn(|context| {
        outgoing.send(&ours, context);
        heads.poll_answer(&ours, context)
    });
    assert_eq!(within_bounds(answer).await.expect("an answer").status(), 413);
    assert!(!outgoing.is_sent());
}
