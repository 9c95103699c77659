//! The fake LLM in HTTP/1.1.

use std::io;
use std::str::FromStr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, split};

use super::acts::Act;
use super::{Connection, Request, Server};

/// What a TLS connection begins with (RFC 8446, section 5.1). Servers in plain HTTP answer it with status 400.
const TLS_HANDSHAKE: u8 = 22;

/// Answers one request after the other.
pub(super) async fn serve(connection: Box<dyn Connection>, server: &Server) -> io::Result<()> {
    let (read, mut write) = split(connection);
    let mut read = BufReader::new(read);
    if read.fill_buf().await?.first() == Some(&TLS_HANDSHAKE) {
        return write.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    }
    loop {
        let Some(request) = read_request(&mut read).await? else { return Ok(()) };
        let (call, acts) = server.answer(request);
        let mut is_chunked = false;
        for act in acts.into_iter().flat_map(Act::steps) {
            let done = async {
                act.wait().await;
                let bytes = encoded(&act, server.keeps_alive, &mut is_chunked);
                write.write_all(&bytes).await?;
                write.flush().await
            };
            let done = tokio::select! {
                biased;
                done = done => done,
                () = has_gone(&mut read) => Err(io::ErrorKind::ConnectionReset.into()),
            };
            if let Err(error) = done {
                server.peer_left(call);
                return Err(error);
            }
            if matches!(act, Act::Close | Act::Reset) {
                if matches!(act, Act::Close) {
                    write.shutdown().await?;
                }
                // After an orderly shutdown everything has been sent, and a reset does no harm.
                return read.into_inner().unsplit(write).tcp().set_zero_linger();
            }
        }
        if !server.keeps_alive {
            return write.shutdown().await;
        }
    }
}

fn encoded(act: &Act, keeps_alive: bool, is_chunked: &mut bool) -> Vec<u8> {
    match act {
        Act::Head(status, headers) => {
            *is_chunked = *status != 204 && !headers.to_ascii_lowercase().contains("content-length:");
            let framing = if *is_chunked { "transfer-encoding: chunked\r\n" } else { "" };
            let connection = if keeps_alive { "" } else { "connection: close\r\n" };
            format!("HTTP/1.1 {status} As Scripted\r\n{headers}{framing}{connection}\r\n").into()
        }
        Act::Body(bytes) if *is_chunked => {
            [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
        }
        Act::End if *is_chunked => b"0\r\n\r\n".to_vec(),
        Act::Body(bytes) | Act::Raw(bytes) => bytes.clone(),
        _ => Vec::new(),
    }
}

/// Resolves when the peer closes or resets the connection.
async fn has_gone(read: &mut BufReader<ReadHalf<Box<dyn Connection>>>) {
    // The peer does not send a second request before the first is answered.
    while matches!(read.read(&mut [0]).await, Ok(1)) {}
}

/// The next request; `None` where the peer has none.
async fn read_request(read: &mut (impl AsyncRead + AsyncBufReadExt + Unpin)) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if read.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let [method, path] = [words.next(), words.next()].map(|word| word.unwrap_or_default().to_owned());
    let mut headers = HeaderMap::new();
    loop {
        line.clear();
        read.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.append(
            HeaderName::from_str(name).map_err(io::Error::other)?,
            HeaderValue::from_str(value.trim()).map_err(io::Error::other)?,
        );
    }
    let length = headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    read.read_exact(&mut body).await?;
    Ok(Some(Request { method, path, headers, body: Bytes::from(body) }))
}
