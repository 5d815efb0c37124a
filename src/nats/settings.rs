//! The servers to connect to, and the credentials for them.

use super::auth::Login;
use super::{Capacity, ConnectError, Nkey};
use crate::protocol::Name;
use crate::text::holds_seed;
use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use tokio::net::lookup_host;

/// The settings of a connection.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    servers: Vec<ServerAddr>,
    /// The key to authenticate with; only optional for loopback servers and URLs with a password or token.
    pub nkey: Option<Nkey>,
    /// The certificates for TLS.
    pub tls: TlsFiles,
    /// The name of this connection in the server's monitoring.
    pub name: String,
    /// A subject that this key may subscribe to, for pings.
    pub ping_subject: String,
    /// The fleet's name, which is part of all signed data.
    pub fleet: Option<Name>,
    /// The limits on unread messages of each subscription; [`Capacity::OPERATOR`] by default.
    pub capacity: Capacity,
}

/// The certificate files for TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate authorities to trust in place of the system's, in PEM.
    pub ca: Option<PathBuf>,
    /// The client certificate and its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Invalid connection settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionSettingsError {
    /// A server URL is invalid.
    #[error(transparent)]
    Url(#[from] ConnectError),
    /// A server on another machine needs a key or a password.
    #[error(
        "no key for {0}: give one with --nkey-file; only a server on this machine may be used without a key"
    )]
    NoKey(String),
}

impl ConnectionSettings {
    /// Creates settings. `urls` is one URL or a comma-separated list.
    pub fn new(
        urls: &str,
        nkey: Option<Nkey>,
        name: &str,
        ping_subject: &str,
    ) -> Result<Self, ConnectionSettingsError> {
        let servers = parse_servers(urls)?;
        if nkey.is_none()
            && url_login(&servers).is_none()
            && let Some(remote) = servers.iter().find(|server| !is_loopback(server))
        {
            return Err(ConnectionSettingsError::NoKey(display_server(remote)));
        }
        let (name, ping_subject) = (name.to_owned(), ping_subject.to_owned());
        let capacity = Capacity::OPERATOR;
        Ok(Self { servers, nkey, tls: TlsFiles::default(), name, ping_subject, fleet: None, capacity })
    }

    /// The servers, for the client library.
    pub(super) fn servers(&self) -> &[ServerAddr] {
        &self.servers
    }

    /// The user and password, or the token, of the first URL that has them. If there is one, the key only signs
    /// messages and is not used to authenticate.
    pub(super) fn login(&self) -> Option<Login> {
        url_login(&self.servers)
    }

    /// Whether all connections must use TLS.
    pub(super) fn requires_tls(&self) -> bool {
        self.servers.iter().all(ServerAddr::tls_required)
    }

    /// Explains why TLS failed, if the client library's reason is about TLS.
    pub(super) fn explain_tls(&self, reason: &str) -> Option<String> {
        let is_requested =
            self.tls != TlsFiles::default() || self.servers.iter().any(ServerAddr::tls_required);
        self.tls.explain(reason, is_requested)
    }

    /// The host names of the servers: the first label of each name, and this machine's name if a server is on it. A
    /// server that is given by address has none.
    pub fn server_hostnames(&self) -> Vec<String> {
        let machine = |server: &ServerAddr| {
            if is_loopback(server) {
                return Some(rustix::system::uname().nodename().to_string_lossy().into_owned());
            }
            let host = server.host().trim_matches(['[', ']']);
            host.parse::<IpAddr>().is_err().then(|| host.to_owned())
        };
        let server_hostnames = self.servers.iter().filter_map(machine);
        server_hostnames.map(|name| name.split('.').next().unwrap_or_default().to_ascii_lowercase()).collect()
    }

    /// The servers for messages, without passwords.
    pub fn display_servers(&self) -> String {
        join_servers(&self.servers)
    }

    /// Whether one of the servers is on this host, even if its URL has a public host name. A name that cannot be
    /// resolved at the moment does not count. A connection to such a server does not show that the network works.
    pub async fn has_local_server(&self) -> bool {
        for server in self.servers() {
            let host = server.host().trim_matches(['[', ']']).to_owned();
            let found = lookup_host((host, server.port())).await;
            if found.into_iter().flatten().any(|address| is_local_address(address.ip())) {
                return true;
            }
        }
        false
    }
}

/// A URL or a comma-separated list of URLs for messages, without passwords.
pub fn display_servers(urls: &str) -> Result<String, ConnectError> {
    Ok(join_servers(&parse_servers(urls)?))
}

fn parse_servers(urls: &str) -> Result<Vec<ServerAddr>, ConnectError> {
    urls.split(',').map(|url| parse_server(url.trim())).collect()
}

fn join_servers(servers: &[ServerAddr]) -> String {
    servers.iter().map(display_server).collect::<Vec<_>>().join(", ")
}

fn parse_server(url: &str) -> Result<ServerAddr, ConnectError> {
    let bad = |reason: String| ConnectError::InvalidUrl { url: redact_url(url), reason };
    if holds_seed(url) {
        return Err(bad(
            "it contains a seed: write the seed into a file, and pass that file with --nkey-file".to_owned(),
        ));
    }
    if url.is_empty() {
        return Err(bad("it is empty".to_owned()));
    }
    let server: ServerAddr = url.parse().map_err(|error: std::io::Error| {
        let text = error.to_string();
        bad(text.trim_start_matches("NATS server URL is invalid: ").to_owned())
    })?;
    match server.scheme() {
        "nats" | "tls" => Ok(server),
        other => Err(bad(format!("{other}:// is not supported"))),
    }
}

/// Redacts an invalid URL. The part before `@`, a port that is not a number, and everything after the host may be
/// secret.
fn redact_url(url: &str) -> String {
    if holds_seed(url) {
        return "…".to_owned();
    }
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let scheme = if scheme.contains(['@', ':', '/']) { "…" } else { scheme };
    let (userinfo, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("…@", rest));
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (address, more) = (&rest[..end], if end < rest.len() { "/…" } else { "" });
    let address = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') && !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // A user and a password without a host look the same.
            let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
            format!("{host}:…")
        }
        _ => address.to_owned(),
    };
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{userinfo}{address}{more}")
}

fn url_login(servers: &[ServerAddr]) -> Option<Login> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    servers.iter().find_map(|server| {
        let user = decoded(server.username()?);
        Some(match server.password() {
            Some(password) => Login::Password { user, password: decoded(password) },
            None => Login::Token(user),
        })
    })
}

fn is_loopback(server: &ServerAddr) -> bool {
    let host = server.host();
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn display_server(server: &ServerAddr) -> String {
    let host = server.host();
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    format!("{}://{host}:{}", server.scheme(), server.port())
}

/// Whether an address belongs to this host. The kernel uses a local address as the source for packets to itself, so the
/// source address of the socket is compared. No packet is sent.
fn is_local_address(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = || {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    };
    source().is_ok_and(|source: SocketAddr| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::is_local_address;

    #[test]
    fn local_addresses_are_recognized() {
        for own in ["127.0.0.1", "127.0.0.53", "::1", "0.0.0.0"] {
            assert!(is_local_address(own.parse().unwrap()), "{own}");
        }
        // These addresses are reserved for documentation.
        for other in ["192.0.2.1", "2001:db8::1"] {
            assert!(!is_local_address(other.parse().unwrap()), "{other}");
        }
    }
}
