//! Which connections are used again.

use super::*;

#[tokio::test]
async fn a_connection_is_used_for_one_call_after_the_other() {
    for answer in [WHOLE, FRAMED[2], FRAMED[3], FRAMED[6], FRAMED[7], FRAMED[9]] {
        let (plain, mut requests) = served(vec![vec![answer; 4]]).await;
        for _ in 0..3 {
            said(&plain).await.expect("an answer");
            assert_eq!(requests.recv().await.expect("a request").0, 0, "{answer}");
        }
        let connection = plain.connections.get_ref().0.idle.take().expect("a connection that waits");
        assert!(connection.nodelay().expect("known"), "small writes would wait");
    }
    // Errors and redirections are answers, and so is one without a body.
    let answers = [
        "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 302 There\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 The Same\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 204 Nothing\r\n\r\n",
        WHOLE,
    ];
    let (plain, mut requests) = served(vec![answers.to_vec()]).await;
    for _ in 0..3 {
        said(&plain).await.expect_err("no answer of use");
    }
    assert_eq!(said(&plain).await.as_deref(), Ok(""));
    said(&plain).await.expect("an answer");
    for _ in answers {
        assert_eq!(requests.recv().await.expect("a request").0, 0);
    }
}

#[tokio::test]
async fn a_connection_of_which_the_server_wants_no_more_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
        "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 7\r\n\r\n{\"n\":1}",
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

#[tokio::test(start_paused = true)]
async fn connections_that_are_of_no_use_any_more_are_closed() {
    let idle = Arc::new(Idle::default());
    // Twice, since whoever looks after them goes when there are none left.
    for _ in 0..2 {
        let (ours, mut theirs) = pair().await;
        let began = tokio::time::Instant::now();
        idle.clone().put(ours);
        assert_eq!(theirs.read(&mut [0]).await.expect("the end"), 0);
        let took = began.elapsed();
        assert!(took >= idle::IDLE_TIMEOUT && took < 2 * idle::IDLE_TIMEOUT, "{took:?}");
    }
    // One that its server has closed, or over which it says what nobody asked for, goes sooner.
    for said in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let (ours, mut theirs) = pair().await;
        theirs.write_all(said).await.expect("sent");
        theirs.shutdown().await.expect("closed");
        ours.readable().await.expect("that");
        let began = tokio::time::Instant::now();
        idle.clone().put(ours);
        // Closed with something unread, it is reset.
        assert_eq!(theirs.read(&mut [0]).await.unwrap_or_default(), 0);
        assert!(began.elapsed() < idle::IDLE_TIMEOUT, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_of_no_use_any_more_are_not_taken() {
    let idle = Arc::new(Idle::default());
    let (ours, _theirs) = pair().await;
    idle.clone().put(ours);
    assert!(idle.take().is_some());
    assert!(idle.take().is_none(), "it is taken");
    for said in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let ((open, _theirs), (ours, mut theirs)) = (pair().await, pair().await);
        let address = open.local_addr().expect("an address");
        theirs.write_all(said).await.expect("sent");
        theirs.shutdown().await.expect("closed");
        ours.readable().await.expect("that");
        idle.clone().put(open);
        idle.clone().put(ours);
        assert_eq!(idle.take().expect("the open one").local_addr().expect("an address"), address);
    }
    let (ours, _theirs) = pair().await;
    idle.clone().put(ours);
    // Not by whoever looks after them: they have not had their session.
    tokio::time::advance(idle::IDLE_TIMEOUT).await;
    assert!(idle.take().is_none(), "it is too old");
    let mut pairs = Vec::new();
    for _ in 0..=http_client::MOST_IDLE {
        let (ours, theirs) = pair().await;
        idle.clone().put(ours);
        pairs.push(theirs);
    }
    assert_eq!(std::iter::from_fn(|| idle.take()).count(), http_client::MOST_IDLE);
}
