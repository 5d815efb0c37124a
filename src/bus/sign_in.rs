//! The sign-in: what a NATS server may have signed, which is a nonce and nothing else.

use super::{Seed, Settings};
use async_nats::{Auth, AuthError, ConnectOptions};

/// The longest nonce that is signed. Servers send 15 to 43 characters.
const MAX_NONCE: usize = 128;
/// Why a sign-in was given up; for people, and to recognise it among the client library's errors.
pub(super) const NOT_A_NONCE: &str = "the server sent something other than a nonce to sign";

/// Signs in as `settings` say. The client library itself would sign whatever the server sends.
pub(super) fn options(settings: &Settings) -> ConnectOptions {
    let (seed, login) = (settings.seed.clone(), settings.login());
    if seed.is_none() && login.is_none() {
        return ConnectOptions::new();
    }
    ConnectOptions::with_auth_callback(move |nonce| {
        std::future::ready(match (&login, &seed) {
            (Some(login), _) => Ok(login.auth()),
            (None, Some(seed)) => answer(seed, &nonce),
            (None, None) => Ok(Auth::new()),
        })
    })
}

/// What a URL has before its host.
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

fn answer(seed: &Seed, nonce: &[u8]) -> Result<Auth, AuthError> {
    if nonce.is_empty() {
        // A server without keys sends none; one that has some then refuses the sign-in.
        return Ok(Auth::new());
    }
    if !is_nonce(nonce) {
        return Err(AuthError::new(NOT_A_NONCE));
    }
    let mut auth = Auth::new();
    auth.nkey = Some(seed.public_key().to_owned());
    auth.jwt = seed.jwt().map(ToOwned::to_owned);
    auth.signature = Some(seed.sign_raw(nonce).map_err(AuthError::new)?);
    Ok(auth)
}

/// Whether a server may have this signed: 1 to 128 characters of base64url. Neither a request nor anything else that is
/// signed elsewhere consists of these alone.
fn is_nonce(nonce: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_NONCE).contains(&nonce.len()) && nonce.iter().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::is_nonce;
    use crate::protocol::{Purpose, signed_bytes};
    use proptest::prelude::*;

    #[test]
    fn nonces_of_servers_are_signed_and_nothing_else() {
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
        /// What a nonce can hold is JSON text, so UTF-8, whatever else a client checks.
        #[test]
        fn no_nonce_is_a_signed_message(subject in ".{0,40}", payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            for purpose in Purpose::ALL {
                let signed = signed_bytes(purpose, None, &subject, &payload);
                prop_assert!(!is_nonce(&signed));
                prop_assert!(String::from_utf8(signed).is_err());
            }
        }
    }
}
