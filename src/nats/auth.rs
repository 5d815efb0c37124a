//! Authentication with a NATS server: the only thing that a server can make us sign is a nonce.

use super::{ConnectionSettings, Nkey};
use async_nats::{Auth, AuthError, ConnectOptions};

/// The maximum length of a nonce that is signed. Servers send 15 to 43 characters.
const MAX_NONCE: usize = 128;
/// The reason for a failed authentication, which also identifies it among the client library's errors.
pub(super) const INVALID_NONCE: &str = "the server sent something other than a nonce to sign";

/// Returns options that authenticate with `settings`. The client library alone would sign anything that the server
/// sends.
pub(super) fn auth_options(settings: &ConnectionSettings) -> ConnectOptions {
    let (nkey, login) = (settings.nkey.clone(), settings.login());
    if nkey.is_none() && login.is_none() {
        return ConnectOptions::new();
    }
    ConnectOptions::with_auth_callback(move |nonce| {
        std::future::ready(match (&login, &nkey) {
            (Some(login), _) => Ok(login.auth()),
            (None, Some(nkey)) => sign_nonce(nkey, &nonce),
            (None, None) => Ok(Auth::new()),
        })
    })
}

/// The user information of a URL.
#[derive(Clone)]
pub(super) enum Login {
    Password { user: String, password: String },
    Token(String),
}

impl Login {
    fn auth(&self) -> Auth {
        let mut auth = Auth::new();
        match self {
            Self::Password { user, password } => {
                (auth.username, auth.password) = (Some(user.clone()), Some(password.clone()));
            }
            Self::Token(token) => auth.token = Some(token.clone()),
        }
        auth
    }
}

fn sign_nonce(nkey: &Nkey, nonce: &[u8]) -> Result<Auth, AuthError> {
    if nonce.is_empty() {
        // A server without nkeys sends no nonce. A server with nkeys then rejects the authentication.
        return Ok(Auth::new());
    }
    if !is_nonce(nonce) {
        return Err(AuthError::new(INVALID_NONCE));
    }
    let mut auth = Auth::new();
    auth.nkey = Some(nkey.public_key().to_owned());
    auth.jwt = nkey.jwt().map(ToOwned::to_owned);
    auth.signature = Some(nkey.sign_raw(nonce).map_err(AuthError::new)?);
    Ok(auth)
}

/// Whether the server's data may be signed: 1 to 128 characters of base64url. No other data that is signed with an
/// nkey, such as a request, consists only of these characters.
fn is_nonce(nonce: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_NONCE).contains(&nonce.len()) && nonce.iter().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::is_nonce;
    use crate::protocol::{Purpose, signed_bytes};
    use proptest::prelude::*;
    use strum::VariantArray as _;

    #[test]
    fn only_nonces_are_signed() {
        for nonce in ["a", "PXoWU7zWAMt75FY", "G9-_x2JDz1vmm3HxP8bXn0yvbLCQVoYcqxQGgZGQ2yo", &"x".repeat(128)]
        {
            assert!(is_nonce(nonce.as_bytes()), "{nonce}");
        }
        for other in [
            "",
            &"x".repeat(129),
            "a b",
            "a\n",
            "homelab-deploy-v1\ndeploy.prod.ns1\n{}",
            "{\"a\":1}",
            "a=",
            "é",
        ] {
            assert!(!is_nonce(other.as_bytes()), "{other}");
        }
    }

    proptest! {
        /// A signed message is not valid UTF-8, so it cannot be a nonce, which is part of a JSON string.
        #[test]
        fn signed_messages_are_not_nonces(subject in ".{0,40}", payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            for purpose in Purpose::VARIANTS.iter().copied() {
                let signed = signed_bytes(purpose, None, &subject, &payload);
                prop_assert!(!is_nonce(&signed));
                prop_assert!(String::from_utf8(signed).is_err());
            }
        }
    }
}
