//! Who calls, and whether they may plan.

use std::fmt::{Display, Formatter};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::problem::{ErrorCode, Problem};
use crate::text::hex;

/// Who a caller is to the rate limit: the token, or the address it calls from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// The bearer token of this name.
    Token(Arc<str>),
    /// The address of the peer, see [`Caller::at`]; `None` if there is none (in-process tests, standard input).
    Address(Option<IpAddr>),
}

impl Caller {
    /// The caller at `address`. Of IPv6 the first 64 bits count: one subscriber has at least that many addresses,
    /// and could otherwise use another one for each request.
    pub(crate) fn at(address: Option<IpAddr>) -> Self {
        Self::Address(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address @ IpAddr::V4(_) => address,
        }))
    }
}

impl Display for Caller {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Address(Some(IpAddr::V6(network))) => write!(f, "address:{network}/64"),
            Self::Address(Some(address)) => write!(f, "address:{address}"),
            Self::Address(None) => f.write_str("address:none"),
        }
    }
}

/// A bearer token that is accepted, with a name that is the same on all replicas and does not reveal it.
#[derive(Debug)]
pub(crate) struct Token {
    secret: SecretString,
    name: Arc<str>,
}

impl From<SecretString> for Token {
    fn from(secret: SecretString) -> Self {
        let hash = Sha256::digest(secret.expose_secret());
        Self { secret, name: hex(&hash[..16]).into() }
    }
}

/// Checks the bearer token, in a time that does not depend on where it differs.
pub(crate) fn authorize(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    tokens: &[Token],
) -> Result<Caller, Problem> {
    if tokens.is_empty() {
        return Ok(Caller::at(peer));
    }
    let given = headers
        .get(AUTHORIZATION)
        .map(http::HeaderValue::as_bytes)
        .and_then(|value| value.split_at_checked(7))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, token)| token.trim_ascii());
    let refused = |what: &str| {
        Problem::new(
            ErrorCode::Unauthorized,
            format!("{what}; send a valid one as Authorization: Bearer TOKEN."),
        )
    };
    let given = given.ok_or_else(|| refused("This path needs a bearer token"))?;
    // All are compared, so that the time does not reveal which one matches either.
    let matching = tokens.iter().fold(None, |found, token| {
        let equal: bool = token.secret.expose_secret().as_bytes().ct_eq(given).into();
        if equal { Some(&token.name) } else { found }
    });
    matching.cloned().map(Caller::Token).ok_or_else(|| refused("The bearer token is invalid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_apart_by_ipv4_address_and_by_ipv6_network() {
        let caller = |address: &str| Caller::at(Some(address.parse().expect("an address"))).to_string();
        assert_eq!(caller("192.0.2.7"), "address:192.0.2.7");
        assert_eq!(caller("::ffff:192.0.2.7"), "address:192.0.2.7");
        assert_eq!(caller("2001:db8:1:2:3:4:5:6"), "address:2001:db8:1:2::/64");
        assert_eq!(caller("2001:db8:1:2::1"), caller("2001:db8:1:2:ffff::"));
        assert_ne!(caller("2001:db8:1:3::1"), caller("2001:db8:1:2::1"));
    }
}
