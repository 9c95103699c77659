//! Which connections are used again, and what becomes of those that the server has closed.

use super::*;

#[tokio::test]
async fn a_connection_is_used_for_one_call_after_the_other() {
    let failed = "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}".to_owned();
    let (transport, mut requests) = server(vec![vec![whole(), failed, whole(), whole()]]).await;
    for answer in [Ok("hi".into()), Err(CallFailure::ServerError), Ok("hi".into()), Ok("hi".into())] {
        assert_eq!(send(&transport).await, answer);
        assert_eq!(requests.recv().await.expect("a request").0, 0);
    }
}

#[tokio::test]
async fn a_connection_that_the_server_wants_closed_is_not_used_again() {
    let length = BODY.len();
    for answer in [
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{BODY}"),
        format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{BODY}"),
        format!("{}HTTP/1.1 200 OK\r\n", whole()),
    ] {
        // It would answer a second request.
        let (transport, mut requests) = server(vec![vec![answer.clone(), answer], vec![whole()]]).await;
        for number in [0, 1] {
            assert_eq!(send(&transport).await.as_deref(), Ok("hi"));
            assert_eq!(requests.recv().await.expect("a request").0, number);
        }
    }
}

/// A server that answers once on each of its first two connections. It reads one more request on both, and closes them
/// without an answer, as when it closes an idle connection at the moment of a send. The third connection answers.
#[tokio::test]
async fn a_call_that_meets_closed_idle_connections_is_sent_again_on_a_fresh_one() {
    let listener = listener().await;
    let transport = transport(&listener);
    let server = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.expect("a connection");
        let (mut second, _) = listener.accept().await.expect("a connection");
        for connection in [&mut first, &mut second] {
            read_request(connection).await.expect("a request");
        }
        for connection in [&mut first, &mut second] {
            connection.write_all(whole().as_bytes()).await.expect("sent");
        }
        let met = async |mut connection: tokio::net::TcpStream| read_request(&mut connection).await.is_some();
        let ((mut third, _), met) =
            tokio::join!(async { listener.accept().await.expect("a connection") }, async {
                [met(first).await, met(second).await]
            },);
        read_request(&mut third).await.expect("a request");
        third.write_all(whole().as_bytes()).await.expect("sent");
        met
    });
    let (one, other) = tokio::join!(send(&transport), send(&transport));
    assert_eq!((one, other), (Ok("hi".into()), Ok("hi".into())));
    assert_eq!(send(&transport).await.as_deref(), Ok("hi"));
    assert_eq!(in_time(server).await.expect("no panic"), [true, true]);
}

#[tokio::test]
async fn a_call_that_meets_a_fresh_connection_which_closes_has_failed() {
    let (transport, mut requests) = server(vec![vec![String::new()], vec![whole()]]).await;
    assert_eq!(send(&transport).await, Err(CallFailure::Connection));
    assert_eq!(requests.recv().await.expect("a request").0, 0);
    assert!(requests.try_recv().is_err(), "a retry is for others to decide");
}

#[tokio::test]
async fn a_call_that_breaks_off_within_its_answer_is_not_sent_again() {
    let cut = whole()[..40].to_owned();
    let (transport, mut requests) = server(vec![vec![whole(), cut], vec![whole()]]).await;
    send(&transport).await.expect("an answer");
    assert_eq!(send(&transport).await, Err(CallFailure::Connection));
    assert_eq!(
        [requests.recv().await.expect("a request").0, requests.recv().await.expect("a request").0],
        [0, 0]
    );
    assert!(requests.try_recv().is_err());
}
