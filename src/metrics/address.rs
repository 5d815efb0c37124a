//! The listen address of the metrics server.

use std::fmt;
use std::io;
use std::str::FromStr;
use tokio::net::TcpListener;

/// A port on all addresses of this machine, or on one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// An IP address or a host name; `None` for all addresses.
    host: Option<String>,
    port: u16,
}

/// An invalid listen address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected :PORT for all addresses, or ADDRESS:PORT such as 127.0.0.1:9972 or [::1]:9972")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError)?;
        let port = port.parse().map_err(|_| AddressError)?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // Without brackets the end of an IPv6 address is ambiguous.
        if inner.is_none() && host.contains([':', '[', ']']) || inner == Some("") {
            return Err(AddressError);
        }
        let host = Some(inner.unwrap_or(host)).filter(|host| !host.is_empty());
        Ok(Self { host: host.map(str::to_owned), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => write!(f, ":{}", self.port),
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
        }
    }
}

impl Address {
    /// Listens on the address.
    pub async fn bind(&self) -> io::Result<TcpListener> {
        if let Some(host) = &self.host {
            return TcpListener::bind((host.as_str(), self.port)).await;
        }
        // Accepts IPv4 as well, but fails if IPv6 is disabled.
        match TcpListener::bind(("::", self.port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(("0.0.0.0", self.port)).await
            }
            bound => bound,
        }
    }
}
