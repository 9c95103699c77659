//! An HTTP proxy that leads every host name to one server.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::lock;

pub struct Proxy {
    address: SocketAddr,
    /// The request line of each connection.
    requests: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        Self::start(Some(server)).await
    }

    /// Answers every request with status 502.
    pub async fn refusing() -> Self {
        Self::start(None).await
    }

    async fn start(target: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = requests.clone();
        let server = tokio::spawn(async move {
            while let Ok((peer, _)) = listener.accept().await {
                // An error means that one side has gone.
                tokio::spawn(relay(peer, target, seen.clone()));
            }
        });
        Self { address, requests, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn relay(
    mut peer: TcpStream,
    target: Option<SocketAddr>,
    seen: Arc<Mutex<Vec<String>>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head);
    let line = text.lines().next().unwrap_or_default().to_owned();
    let is_tunnel = line.starts_with("CONNECT ");
    lock(&seen).push(line);
    let Some(target) = target else {
        return peer.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    };
    let mut server = TcpStream::connect(target).await?;
    if is_tunnel {
        peer.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
    } else {
        // The server takes the whole URL for a path.
        server.write_all(&head).await?;
    }
    copy_bidirectional(&mut peer, &mut server).await.map(drop)
}
