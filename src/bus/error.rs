//! What can go wrong between us and a server, in sentences that say what to do next.

use super::Refusal;
use std::time::Duration;

/// Why no connection came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// A URL that is none.
    #[error(
        "{url:?} is not the URL of a NATS server: {reason}; give --nats-url nats://host:4222 or tls://host:4222"
    )]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error("could not connect to {url}: {reason}; is a NATS server running there?")]
    Unreachable {
        /// Every server that was tried.
        url: String,
        /// The operating system's or the library's reason.
        reason: String,
    },
    /// The server has no room for another client.
    #[error("could not connect to {url}: {reason}")]
    Full {
        /// Every server that was tried.
        url: String,
        /// What it says, and what to do.
        reason: String,
    },
    /// The server does not know the key.
    #[error("the server at {url} refused the key{key}; add its public key to the server's authorization")]
    KeyRefused {
        /// The server.
        url: String,
        /// ` U…`, or `: none was given`.
        key: String,
    },
    /// The server does not know the user, the password or the token of the URL.
    #[error(
        "the server at {url} refused the user and password, or the token, in its URL; correct them there, or use a key (--nkey-file)"
    )]
    LoginRefused {
        /// The server.
        url: String,
    },
    /// The server wants something signed that is not a nonce.
    #[error(
        "{url} sent something other than a nonce to sign, and a signature of it could be misused, so none was given; check \
         who runs that server and use tls:// on a network that is not yours alone"
    )]
    NotANonce {
        /// The server.
        url: String,
    },
    /// Certificates.
    #[error("could not set up TLS with {url}: {reason}")]
    Tls {
        /// The server.
        url: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// Why a message did not go out or a round trip did not come back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not connected.
    #[error("not connected to the server{}", reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())]
    Down {
        /// Why, where that is known.
        reason: Option<String>,
    },
    /// The server did not answer a ping.
    #[error("the server did not answer within {} s", within.as_secs_f32())]
    NoAnswer {
        /// How long we waited.
        within: Duration,
    },
    /// The server refused a subject.
    #[error("{0}")]
    Refused(Refusal),
    /// The client library did not take a message.
    #[error("could not publish on {subject:?}: {reason}")]
    Send {
        /// Where to.
        subject: String,
        /// The library's reason.
        reason: String,
    },
    /// The client library did not take a subscription.
    #[error("could not subscribe to {subject:?}: {reason}")]
    Subscribe {
        /// To what.
        subject: String,
        /// The library's reason.
        reason: String,
    },
}
