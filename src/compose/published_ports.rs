//! Finds ports of the host that more than one container would be published on.

use super::ProjectConfig;
use std::net::IpAddr;

/// A published port.
struct PublishedPort<'a> {
    service: &'a str,
    container: &'a str,
    address: Option<IpAddr>,
    range: (u16, u16),
    protocol: &'a str,
}

/// A message for each port that is published twice.
pub fn port_conflicts<'a>(services: impl IntoIterator<Item = (&'a str, &'a ProjectConfig)>) -> Vec<String> {
    let mut ports: Vec<PublishedPort<'_>> = Vec::new();
    let mut conflicts = Vec::new();
    for (service, config) in services {
        for (container, config) in &config.services {
            for port in config.ports() {
                let Some(range) = port.published() else { continue };
                let address = port.host_ip.as_deref().and_then(|ip| ip.trim_matches(['[', ']']).parse().ok());
                let address = address.filter(|address: &IpAddr| !address.is_unspecified());
                let new = PublishedPort { service, container, address, range, protocol: port.protocol() };
                // A range is for one of its ports only, which docker chooses.
                let is_fixed = range.0 == range.1;
                if let Some(other) = ports.iter().find(|other| is_fixed && new.overlaps(other)) {
                    conflicts.push(format!(
                        "port {}/{} is published twice, by {} and {}: choose another port for one of them",
                        range.0,
                        new.protocol,
                        other.describe(),
                        new.describe(),
                    ));
                }
                if is_fixed {
                    ports.push(new);
                }
            }
        }
    }
    conflicts
}

impl PublishedPort<'_> {
    fn overlaps(&self, other: &Self) -> bool {
        let same_address = match (self.address, other.address) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        };
        same_address && self.protocol == other.protocol && self.range.0 == other.range.0
    }

    fn describe(&self) -> String {
        if self.service == self.container {
            return self.service.to_owned();
        }
        format!("{} ({})", self.service, self.container)
    }
}

#[cfg(test)]
mod tests {
    use super::port_conflicts;
    use crate::compose::ProjectConfig;
    use serde_json::json;

    fn config(ports: &[(Option<&str>, &str, &str)]) -> ProjectConfig {
        let port = |(ip, published, protocol): &(Option<&str>, &str, &str)| json!({"target": 80, "published": published, "protocol": protocol, "host_ip": ip});
        let ports: Vec<_> = ports.iter().map(port).collect();
        serde_json::from_value(json!({"services": {"app": {"ports": ports}}})).unwrap()
    }

    #[test]
    fn a_port_on_overlapping_addresses_is_a_conflict() {
        let conflicts = |a, b| port_conflicts([("a", &config(&[a])), ("b", &config(&[b]))]);
        let found = conflicts((Some("127.0.0.1"), "8080", "tcp"), (None, "8080", "tcp"));
        let expected =
            "port 8080/tcp is published twice, by a (app) and b (app): choose another port for one of them";
        assert_eq!(found, [expected]);
        for (one, two) in [
            ((Some("127.0.0.1"), "8080", "tcp"), (Some("192.168.1.1"), "8080", "tcp")),
            ((None, "8080", "tcp"), (None, "8080", "udp")),
            ((None, "8080", "tcp"), (None, "8081", "tcp")),
            ((None, "8080-8090", "tcp"), (None, "8080", "tcp")),
        ] {
            assert_eq!(conflicts(one, two), [""; 0], "{one:?} {two:?}");
        }
    }
}
