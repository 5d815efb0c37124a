//! Where to connect, and as whom.

use super::sign_in::Login;
use super::{Capacity, ConnectError, Seed};
use crate::protocol::{Name, holds_seed};
use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use std::path::PathBuf;

/// Everything a connection needs.
#[derive(Debug, Clone)]
pub struct Settings {
    servers: Vec<ServerAddr>,
    /// As whom; `None` only towards loopback.
    pub seed: Option<Seed>,
    /// Certificates.
    pub tls: Tls,
    /// What the server shows as the name of this connection.
    pub name: String,
    /// A subject this key may subscribe to, for round trips.
    pub ping_subject: String,
    /// The fleet's name, which is part of everything that is signed.
    pub fleet: Option<Name>,
    /// How much of each subscription may wait to be read; [`Capacity::OPERATOR`] unless it is changed.
    pub capacity: Capacity,
}

/// Certificate files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities to trust instead of the system's, PEM.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why the settings make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A bad URL.
    #[error(transparent)]
    Url(#[from] ConnectError),
    /// Neither a key nor a password towards another machine.
    #[error("no key for {0}: give one with --nkey-file; only a server on this machine may be used without")]
    NoKey(String),
}

impl Settings {
    /// `urls` is one URL or a comma list of them.
    pub fn new(
        urls: &str,
        seed: Option<Seed>,
        name: &str,
        ping_subject: &str,
    ) -> Result<Self, SettingsError> {
        let servers = parse_all(urls)?;
        if seed.is_none()
            && login(&servers).is_none()
            && let Some(far) = servers.iter().find(|server| !is_loopback(server))
        {
            return Err(SettingsError::NoKey(show(far)));
        }
        let (name, ping_subject) = (name.to_owned(), ping_subject.to_owned());
        let capacity = Capacity::OPERATOR;
        Ok(Self { servers, seed, tls: Tls::default(), name, ping_subject, fleet: None, capacity })
    }

    /// The servers, for the client library.
    pub(super) fn servers(&self) -> &[ServerAddr] {
        &self.servers
    }

    /// The user and password, or the token, of the first URL that has them. With one the key signs messages and does not
    /// sign in.
    pub(super) fn login(&self) -> Option<Login> {
        login(&self.servers)
    }

    /// Whether nobody is spoken to without TLS.
    pub(super) fn insists_on_tls(&self) -> bool {
        self.servers.iter().all(ServerAddr::tls_required)
    }

    /// Why TLS did not come about, in words, where that is what the client library's reason is about.
    pub(super) fn explain_tls(&self, reason: &str) -> Option<String> {
        let asked = self.tls != Tls::default() || self.servers.iter().any(ServerAddr::tls_required);
        self.tls.explain(reason, asked)
    }

    /// The machines that the servers are named by: the first label of each name, and what this machine is called where a
    /// server is on it. An address names none.
    pub fn machines(&self) -> Vec<String> {
        let machine = |server: &ServerAddr| {
            if is_loopback(server) {
                return Some(rustix::system::uname().nodename().to_string_lossy().into_owned());
            }
            let host = server.host().trim_matches(['[', ']']);
            host.parse::<IpAddr>().is_err().then(|| host.to_owned())
        };
        let machines = self.servers.iter().filter_map(machine);
        machines.map(|name| name.split('.').next().unwrap_or_default().to_ascii_lowercase()).collect()
    }

    /// The servers as a person reads them, without passwords.
    pub fn shown(&self) -> String {
        show_all(&self.servers)
    }
}

/// One URL or a comma list of them as a person reads it, without passwords.
pub fn shown_servers(urls: &str) -> Result<String, ConnectError> {
    Ok(show_all(&parse_all(urls)?))
}

fn parse_all(urls: &str) -> Result<Vec<ServerAddr>, ConnectError> {
    urls.split(',').map(|url| parse(url.trim())).collect()
}

fn show_all(servers: &[ServerAddr]) -> String {
    servers.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn parse(url: &str) -> Result<ServerAddr, ConnectError> {
    let bad = |reason: String| ConnectError::BadUrl { url: recognisable(url), reason };
    if holds_seed(url) {
        return Err(bad("it holds a seed, which belongs into the file of --nkey-file".to_owned()));
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

/// A text that is no URL as it may be shown: what stands before an `@`, what is no number where the port belongs, and
/// all that follows the host may be secret.
fn recognisable(url: &str) -> String {
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
            // A user and a password without a host look just so.
            let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
            format!("{host}:…")
        }
        _ => address.to_owned(),
    };
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{userinfo}{address}{more}")
}

fn login(servers: &[ServerAddr]) -> Option<Login> {
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

fn show(server: &ServerAddr) -> String {
    let host = server.host();
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    format!("{}://{host}:{}", server.scheme(), server.port())
}
