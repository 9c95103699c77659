//! Why TLS could not be set up, and what to do about it.

/// Why TLS could not be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsFailure {
    /// The certificate was issued by an authority that is not trusted.
    UnknownIssuer,
    /// The certificate has expired or is not valid yet.
    Expired,
    /// The certificate is for another host name.
    WrongName,
    /// The certificate is invalid for another reason.
    InvalidCertificate,
    /// The server does not speak TLS.
    NotSpoken,
    /// The server speaks nothing but TLS, and was called without it.
    Required,
    /// The handshake failed for another reason.
    Handshake,
}

impl TlsFailure {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "tls_unknown_issuer",
            Self::Expired => "tls_expired",
            Self::WrongName => "tls_wrong_name",
            Self::InvalidCertificate => "tls_invalid_certificate",
            Self::NotSpoken => "tls_not_spoken",
            Self::Required => "tls_required",
            Self::Handshake => "tls_handshake",
        }
    }

    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::UnknownIssuer => {
                "the LLM server's certificate was issued by an authority that is not trusted; add the authority to the PEM file in PLANNER_LLM_CA_FILE"
            }
            Self::Expired => {
                "the certificate of the LLM server at PLANNER_LLM_BASE_URL has expired or is not valid yet; renew it, or correct this machine's clock"
            }
            Self::WrongName => {
                "the LLM server's certificate is for another host name; check the host in PLANNER_LLM_BASE_URL"
            }
            Self::InvalidCertificate => {
                "the certificate of the LLM server at PLANNER_LLM_BASE_URL is invalid; replace it, and check the authorities in PLANNER_LLM_CA_FILE"
            }
            Self::NotSpoken => {
                "the LLM server does not speak TLS; PLANNER_LLM_BASE_URL must begin with http:// or name its TLS port"
            }
            Self::Required => "the LLM server requires TLS; PLANNER_LLM_BASE_URL must begin with https://",
            Self::Handshake => {
                "the TLS handshake with the LLM server failed; check PLANNER_LLM_BASE_URL, and that the server supports TLS 1.2 or 1.3 and needs no client certificate"
            }
        }
    }
}
