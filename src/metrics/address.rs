//! Where metrics are served.

use std::fmt;
use std::io;
use std::str::FromStr;
use tokio::net::TcpListener;

/// A port of all addresses of this machine, or of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// An address or a name; `None` for all.
    host: Option<String>,
    port: u16,
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write :PORT for all addresses, or one with its port as in 127.0.0.1:9972 or [::1]:9972")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError)?;
        let port = port.parse().map_err(|_| AddressError)?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // Without brackets nobody could tell where an IPv6 address ends.
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
    /// Listens there.
    pub async fn bind(&self) -> io::Result<TcpListener> {
        if let Some(host) = &self.host {
            return TcpListener::bind((host.as_str(), self.port)).await;
        }
        // It takes IPv4 as well, but is not to be had where IPv6 is switched off.
        match TcpListener::bind(("::", self.port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(("0.0.0.0", self.port)).await
            }
            bound => bound,
        }
    }
}
