//! Calls to other services: HTTP clients that are set up alike, and answers within bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HeaderValue;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

/// The longest time for setting up a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most idle connections kept open: enough for steady traffic, so that a burst does not leave thousands behind.
const MAX_IDLE: usize = 256;
/// How long one is kept; shorter than most servers on the Internet do, which would close it under a call.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// What this program calls itself to other services.
pub(crate) const USER_AGENT: &str = concat!("planner-arm/", env!("CARGO_PKG_VERSION"));

/// A client for the service at `base_url`: no redirects, and no proxy for this machine.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn http_client(base_url: &str) -> Result<reqwest::Client, String> {
    trusting_http_client(base_url, None)
}

/// As [`http_client`], trusting `authorities` in addition to those of the system.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn trusting_http_client(
    base_url: &str,
    authorities: Option<&CertificateFile>,
) -> Result<reqwest::Client, String> {
    let client = client_builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_merge(authorities.map(|file| file.certificates.clone()).unwrap_or_default());
    let client = if is_on_this_machine(base_url) { client.no_proxy() } else { client };
    client.build().map_err(|error| format!("the HTTP client cannot be set up: {error}"))
}

/// A builder of HTTP clients in a process whose TLS has its cryptography.
pub(crate) fn client_builder() -> reqwest::ClientBuilder {
    // Fails when the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// A PEM file of certificate authorities, read and checked.
#[derive(Debug, Clone)]
pub struct CertificateFile {
    /// Its path.
    pub path: String,
    certificates: Vec<reqwest::Certificate>,
}

impl CertificateFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// What the file must be and is not, as the end of a sentence that begins with "it".
    pub fn read(path: String) -> Result<Self, &'static str> {
        let pem = std::fs::read(&path)
            .map_err(|_| "must name a file that can be read; check the path and its permissions")?;
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate =
                certificate.map_err(|_| "must name a PEM file; a block in this one is damaged")?;
            // Whatever cannot become a trust anchor would stop the client, or never match.
            let is_authority = RootCertStore::empty().add(certificate.clone()).is_ok();
            let certificate = reqwest::Certificate::from_der(&certificate).ok().filter(|_| is_authority);
            certificates.push(certificate.ok_or("must contain valid X.509 certificates only")?);
        }
        if certificates.is_empty() {
            return Err(
                "must name a PEM file with a certificate (-----BEGIN CERTIFICATE-----); this one has none",
            );
        }
        Ok(Self { path, certificates })
    }
}

/// The header value that carries `token`, kept out of logs; `None` if it cannot be a header value (RFC 6750: ASCII).
pub(crate) fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    value.to_str().is_ok().then_some(value)
}

/// Whether `url` has no user, password, query or fragment.
pub(crate) fn has_no_credentials_or_query(url: &url::Url) -> bool {
    url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none()
}

/// Whether the host in `base_url` is this machine, which is not reached through a proxy.
pub(crate) fn is_on_this_machine(base_url: &str) -> bool {
    match url::Url::parse(base_url).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The body of an answer; `None` when it is longer than `max_bytes`, which is then not read to its end.
///
/// # Errors
/// When the connection fails before its end.
pub(crate) async fn body_within(
    response: &mut reqwest::Response,
    max_bytes: usize,
) -> reqwest::Result<Option<Bytes>> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max_bytes {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}
