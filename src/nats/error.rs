//! Errors of the NATS connection, with the next step for the operator.

use super::PermissionViolation;
use std::time::Duration;

/// An error from connecting to a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The URL is invalid.
    #[error(
        "{url:?} is not the URL of a NATS server: {reason}; give --nats-url nats://host:4222 or tls://host:4222"
    )]
    InvalidUrl {
        /// The URL as given, without secrets.
        url: String,
        /// Why the URL is invalid.
        reason: String,
    },
    /// No server can be reached.
    #[error("could not connect to {url}: {reason}; is a NATS server running there?")]
    Unreachable {
        /// All servers that were tried.
        url: String,
        /// The reason from the operating system or the client library.
        reason: String,
    },
    /// The server has reached one of its limits.
    #[error("could not connect to {url}: {reason}")]
    LimitReached {
        /// All servers that were tried.
        url: String,
        /// The server's message, with advice.
        reason: String,
    },
    /// The server does not know the key.
    #[error("the server at {url} refused the key{key}; add its public key to the server's authorization")]
    KeyRejected {
        /// The URL of the server.
        url: String,
        /// ` U…`, or `: none was given`.
        key: String,
    },
    /// The server rejects the user, the password or the token of the URL.
    #[error(
        "the server at {url} refused the user and password, or the token, in its URL; correct the URL, or use a key (--nkey-file)"
    )]
    LoginRejected {
        /// The URL of the server.
        url: String,
    },
    /// The server asked for a signature of something other than a nonce.
    #[error(
        "{url} sent something other than a nonce to sign; it was not signed, because the signature could be misused; check \
         who runs that server, and use tls:// on a network that you do not control"
    )]
    InvalidNonce {
        /// The URL of the server.
        url: String,
    },
    /// The TLS handshake failed.
    #[error("could not set up TLS with {url}: {reason}")]
    Tls {
        /// The URL of the server.
        url: String,
        /// The reason, with advice.
        reason: String,
    },
}

/// An error from publishing, subscribing or pinging.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NatsError {
    /// The client is not connected.
    #[error("not connected to the server{}", reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())]
    Disconnected {
        /// Why the client is disconnected, if known.
        reason: Option<String>,
    },
    /// The server did not reply to a ping.
    #[error("the server did not answer within {} s", within.as_secs_f32().round())]
    PingTimeout {
        /// How long the client waited.
        within: Duration,
    },
    /// The server refused a subject.
    #[error("{0}")]
    PermissionViolation(PermissionViolation),
    /// The client library rejected a message.
    #[error("could not publish on {subject:?}: {reason}")]
    Send {
        /// The subject of the message.
        subject: String,
        /// The library's reason.
        reason: String,
    },
    /// The client library rejected a subscription.
    #[error("could not subscribe to {subject:?}: {reason}")]
    Subscribe {
        /// The subject of the subscription.
        subject: String,
        /// The library's reason.
        reason: String,
    },
}
