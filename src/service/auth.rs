//! Who calls, and whether they may.

use std::fmt::{Display, Formatter};
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::problem::{ErrorCode, Problem};

/// Who a caller is to the rate limit: the token, or the address it calls from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// The bearer token of this name.
    Token(Arc<str>),
    /// The peer's address; `None` where there is none (in-process tests).
    Address(Option<IpAddr>),
}

impl Display for Caller {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Address(Some(address)) => write!(f, "address:{address}"),
            Self::Address(None) => f.write_str("address:none"),
        }
    }
}

/// A token that opens `/plan`, with a name that is the same for all replicas and does not give it away.
#[derive(Debug)]
pub(crate) struct Token {
    secret: SecretString,
    name: Arc<str>,
}

impl From<SecretString> for Token {
    fn from(secret: SecretString) -> Self {
        let hash = Sha256::digest(secret.expose_secret());
        let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { secret, name: name.into() }
    }
}

/// Checks the bearer token, in a time that does not depend on where it differs.
pub(crate) fn authorize(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    tokens: &[Token],
) -> Result<Caller, Problem> {
    if tokens.is_empty() {
        return Ok(Caller::Address(peer));
    }
    let given = headers
        .get(AUTHORIZATION)
        .map(http::HeaderValue::as_bytes)
        .and_then(|value| value.split_at_checked(7))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, token)| token.trim_ascii());
    let refused = |what: &str| {
        Problem::new(ErrorCode::Unauthorized, format!("{what}; send one as Authorization: Bearer TOKEN."))
    };
    let given = given.ok_or_else(|| refused("This path needs a bearer token"))?;
    // All are compared, so that the time does not tell which one it is either.
    let matching = tokens.iter().fold(None, |found, token| {
        let equal: bool = token.secret.expose_secret().as_bytes().ct_eq(given).into();
        if equal { Some(&token.name) } else { found }
    });
    matching
        .cloned()
        .map(Caller::Token)
        .ok_or_else(|| refused("The bearer token is not one that this service knows"))
}
