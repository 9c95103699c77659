//! Servers that do not wait for the end of a request.

use super::*;

/// A server with little room that says `early` once it has read a part of a long request, and then goes on as it
/// is told; what it makes of the rest of the request.
async fn interrupted(early: &'static str, reads_on: bool) -> (Result<String, CallFailure>, Plain, bool) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("set");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(8).expect("a listener");
    let plain = plain(&listener, HeaderMap::new());
    let long = Pieces::of(&"x".repeat(16_000_000), std::iter::empty());
    let length = long.bytes();
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        connection.read_exact(&mut [0; 1_000]).await.expect("a part of it");
        connection.write_all(early.as_bytes()).await.expect("sent");
        if !reads_on {
            // What is on its way is read, and then there is no more.
            let rest = connection.read_to_end(&mut Vec::new()).await;
            return rest.is_ok_and(|bytes| bytes + 1_000 > length);
        }
        let mut read = 1_000;
        let mut buffer = vec![0; 64 * 1024];
        while read < length {
            read += connection.read(&mut buffer).await.expect("the rest");
        }
        connection.write_all(WHOLE.as_bytes()).await.expect("sent");
        connection.read(&mut [0; 1_000]).await.is_ok()
    });
    let said = said_to(&plain, long).await;
    // Over an idle connection there is nothing more to come.
    let is_whole = if reads_on { true } else { within_bounds(server).await.expect("no panic") };
    (said, plain, is_whole)
}

#[tokio::test]
async fn a_refusal_that_comes_before_all_was_sent_is_heard_and_ends_the_connection() {
    let refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}";
    let (said, plain, is_whole) = interrupted(refusal, false).await;
    assert_eq!(said, Err(CallFailure::ContextTooLong));
    assert!(plain.connections.get_ref().0.idle.take().is_none());
    assert!(!is_whole, "all was sent");
}

#[tokio::test]
async fn what_comes_before_all_was_sent_and_is_no_refusal_does_not_stop_that() {
    for early in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n", "\r\n"] {
        assert_eq!(interrupted(early, true).await.0.as_deref(), Ok("{\"n\":1}"), "{early:?}");
    }
}

#[tokio::test]
async fn a_server_that_closes_while_it_is_written_to_is_heard() {
    let (ours, mut theirs) = pair().await;
    // It has answered before anything was sent, and is gone.
    theirs
        .write_all(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        .await
        .expect("sent");
    theirs.shutdown().await.expect("closed");
    ours.readable().await.expect("that");
    let mut heads = Heads::default();
    drop(theirs);
    let long = vec![b'x'; 1_000_000];
    let pieces = std::iter::repeat_n(&long[..], 100);
    assert!(!within_bounds(send(&ours, pieces, &mut heads)).await.expect("no error"));
}
