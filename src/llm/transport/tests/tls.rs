//! TLS: which certificates are trusted, and what is reported of those that are not.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::llm::TlsFailure;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// The settings that trust it, by a file.
    fn settings(&self) -> ServerSettings {
        let path = std::env::temp_dir().join(format!("planner-arm-ca-{}.pem", uuid::Uuid::new_v4()));
        std::fs::write(&path, self.0.pem()).expect("a file");
        let authorities = CertificateFile::read(path.to_str().expect("UTF-8").to_owned());
        std::fs::remove_file(&path).expect("removed");
        ServerSettings { authorities: Some(authorities.expect("certificates")), ..ServerSettings::default() }
    }

    /// A server for `host` with one certificate of this authority, which ends in `year`.
    async fn server(&self, host: &str, year: i32, protocols: &[&[u8]]) -> TcpListenerWithTls {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a configuration");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TcpListenerWithTls { listener: listener().await, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

struct TcpListenerWithTls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TcpListenerWithTls {
    fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    /// Answers one request on each connection.
    fn answer(self) {
        tokio::spawn(async move {
            loop {
                let (stream, _) = self.listener.accept().await.expect("a connection");
                let Ok(mut stream) = self.acceptor.accept(stream).await else { continue };
                if read_request(&mut stream).await.is_some() {
                    stream.write_all(whole().as_bytes()).await.expect("sent");
                }
            }
        });
    }
}

async fn send_to(scheme: &str, port: u16, settings: ServerSettings) -> Result<String, CallFailure> {
    let base_url = format!("{scheme}://localhost:{port}/v1");
    send(&Transport::new(ServerSettings { base_url, ..settings }).expect("a transport")).await
}

#[tokio::test]
async fn a_certificate_of_an_authority_in_the_file_is_trusted() {
    let authority = Authority::new();
    let server = authority.server("localhost", 2100, &[b"http/1.1"]).await;
    let port = server.port();
    server.answer();
    assert_eq!(send_to("https", port, authority.settings()).await.as_deref(), Ok("hi"));
}

#[tokio::test]
async fn an_invalid_certificate_is_a_typed_failure_that_names_the_setting() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (host, year, trusted, failure, setting) in [
        ("localhost", 2100, None, TlsFailure::UnknownIssuer, "PLANNER_LLM_CA_FILE"),
        ("localhost", 2100, Some(&stranger), TlsFailure::UnknownIssuer, "PLANNER_LLM_CA_FILE"),
        ("localhost", 2021, Some(&authority), TlsFailure::Expired, "PLANNER_LLM_BASE_URL"),
        ("elsewhere.example.com", 2100, Some(&authority), TlsFailure::WrongName, "PLANNER_LLM_BASE_URL"),
    ] {
        let server = authority.server(host, year, &[]).await;
        let port = server.port();
        server.answer();
        let settings = trusted.map(Authority::settings).unwrap_or_default();
        let failed = send_to("https", port, settings).await.expect_err("an invalid certificate");
        assert_eq!(failed, CallFailure::Tls(failure), "{host} {year}");
        assert!(!failed.is_transient() && failed.sentence().contains(setting), "{}", failed.sentence());
    }
}

#[tokio::test]
async fn https_to_a_server_without_tls_is_a_typed_failure() {
    let listener = listener().await;
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        connection.read_exact(&mut [0; 5]).await.expect("a handshake");
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.expect("sent");
        pending::<()>().await;
    });
    let failed = send_to("https", port, ServerSettings::default()).await;
    assert_eq!(failed, Err(CallFailure::Tls(TlsFailure::NotSpoken)));
}

#[tokio::test]
async fn http_to_a_server_with_tls_is_a_typed_failure() {
    let server = Authority::new().server("localhost", 2100, &[]).await;
    let port = server.port();
    server.answer();
    let failed = send_to("http", port, ServerSettings::default()).await.expect_err("no HTTP");
    assert!(
        failed == CallFailure::NotHttp && failed.sentence().contains("PLANNER_LLM_BASE_URL"),
        "{failed:?}"
    );
    // nginx, in a page.
    let page = "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>";
    let answer = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    let (transport, _requests) = super::server(vec![vec![answer]]).await;
    assert_eq!(send(&transport).await, Err(CallFailure::Tls(TlsFailure::Required)));
}
