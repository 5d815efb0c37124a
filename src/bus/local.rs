//! Whether a NATS server is reached over an address of this host: such a connection says nothing about the network.

use super::Settings;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use tokio::net::lookup_host;

impl Settings {
    /// Whether one of the servers is on this host, also if its URL has the host's public name. An address that cannot be
    /// looked up now is not.
    pub async fn has_local_server(&self) -> bool {
        for server in self.servers() {
            let host = server.host().trim_matches(['[', ']']).to_owned();
            let found = lookup_host((host, server.port())).await;
            if found.into_iter().flatten().any(|address| is_own(address.ip())) {
                return true;
            }
        }
        false
    }
}

/// Whether this host has this address. The kernel sends from an address to itself, so it chooses that for the source; no
/// packet is sent.
fn is_own(address: IpAddr) -> bool {
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
    use super::is_own;

    #[test]
    fn own_addresses_are_told_from_those_of_others() {
        for own in ["127.0.0.1", "127.0.0.53", "::1", "0.0.0.0"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        // Addresses for documentation: nobody has them.
        for other in ["192.0.2.1", "2001:db8::1"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }
}
