//! Judges which addresses the ports of a service are published on.

use super::{AssignedService, PortConfig, ProjectConfig};
use serde::Deserialize;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Which addresses the ports of a service may be bound to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exposure {
    /// Loopback and private addresses.
    #[default]
    LocalOnly,
    /// Loopback and addresses of the tailnet.
    TailscaleInternal,
    /// Any address, on an ingress node.
    Public,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LocalOnly => "local-only",
            Self::TailscaleInternal => "tailscale-internal",
            Self::Public => "public",
        })
    }
}

/// What a violated exposure leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExposurePolicy {
    /// The deployment is refused.
    #[default]
    Enforce,
    /// A warning in the log and the report.
    Warn,
    /// Nothing is judged.
    Off,
}

impl FromStr for ExposurePolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "enforce" => Ok(Self::Enforce),
            "warn" => Ok(Self::Warn),
            "off" => Ok(Self::Off),
            _ => Err("expected enforce, warn or off".to_owned()),
        }
    }
}

/// What the exposure of a service shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExposureIssue {
    /// The declared exposure does not allow what the service does.
    Violation(String),
    /// The exposure cannot be judged.
    Note(String),
}

/// Judges the published ports of a service. `is_ingress` is that of the node.
pub fn judge_exposure(
    service: &AssignedService,
    config: &ProjectConfig,
    node: &str,
    is_ingress: bool,
) -> Vec<ExposureIssue> {
    let (name, exposure) = (&service.name, service.exposure);
    let mut issues = Vec::new();
    if exposure == Exposure::Public {
        if !is_ingress {
            issues.push(ExposureIssue::Violation(format!(
                "{name} is public, but {node} is not an ingress node: set `ingress: true` in inventory/topology.yaml, or \
                 declare another exposure"
            )));
        }
        if !service.is_exposure_of_host {
            issues.push(ExposureIssue::Violation(format!(
                "{name} is public only by its service.yaml: declare `exposure: public` in hosts/{node}.yaml too, or \
                 another exposure"
            )));
        }
    }
    for config in config.services.values() {
        if config.network_mode.as_deref() == Some("host") {
            issues.push(ExposureIssue::Note(format!(
                "{name} uses the network of the host: its exposure cannot be judged"
            )));
        }
        for port in config.ports().iter().filter(|port| !is_allowed(exposure, port)) {
            issues.push(ExposureIssue::Violation(violation(name, exposure, port)));
        }
    }
    issues
}

fn violation(name: &str, exposure: Exposure, port: &PortConfig) -> String {
    let published = port.published().map_or_else(
        || format!("a port for {}", port.target),
        |(first, last)| if first == last { format!("port {first}") } else { format!("ports {first}-{last}") },
    );
    let address = port.host_ip.as_deref().filter(|ip| !is_all(ip));
    let on = address.map_or_else(|| "all addresses".to_owned(), ToOwned::to_owned);
    let first = port.published().map_or_else(String::new, |(first, _)| first.to_string());
    let suggested = format!("127.0.0.1:{first}:{}", port.target);
    format!(
        "{name} publishes {published} on {on}, but its exposure is {exposure}: bind it to loopback ({suggested}) or declare \
         another exposure"
    )
}

fn is_all(address: &str) -> bool {
    address.is_empty() || parse(address).is_some_and(|address| address.is_unspecified())
}

fn is_allowed(exposure: Exposure, port: &PortConfig) -> bool {
    let address = port.host_ip.as_deref().and_then(parse);
    let Some(address) = address else { return exposure == Exposure::Public };
    match exposure {
        Exposure::Public => true,
        Exposure::LocalOnly => address.is_loopback() || is_private(address),
        Exposure::TailscaleInternal => address.is_loopback() || is_tailscale(address),
    }
}

fn parse(address: &str) -> Option<IpAddr> {
    let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
    Some(address.to_canonical())
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local() && !is_tailscale(address),
    }
}

/// `100.64.0.0/10` and `fd7a:115c:a1e0::/48`.
fn is_tailscale(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64,
        IpAddr::V6(address) => address.segments()[..3] == [0xfd7a, 0x115c, 0xa1e0],
    }
}

#[cfg(test)]
mod tests {
    use super::{Exposure, ExposureIssue, judge_exposure};
    use crate::compose::{AssignedService, ProjectConfig};
    use serde_json::json;

    fn issues(exposure: Exposure, ip: Option<&str>, ingress: bool, of_host: bool) -> Vec<ExposureIssue> {
        let port = json!({"target": 8080, "published": "8080", "protocol": "tcp", "host_ip": ip});
        let config: ProjectConfig =
            serde_json::from_value(json!({"services": {"app": {"ports": [port]}}})).unwrap();
        let service = AssignedService {
            name: "zigbee2mqtt".to_owned(),
            exposure,
            is_exposure_of_host: of_host,
            after: Vec::new(),
            timeout: None,
        };
        judge_exposure(&service, &config, "chelsty", ingress)
    }

    #[test]
    fn each_class_allows_its_addresses_only() {
        use Exposure::{LocalOnly, Public, TailscaleInternal};
        for (ip, local, tailscale) in [
            (Some("127.0.0.1"), true, true),
            (Some("::1"), true, true),
            (Some("192.168.1.2"), true, false),
            (Some("10.0.0.1"), true, false),
            (Some("172.31.0.1"), true, false),
            (Some("172.32.0.1"), false, false),
            (Some("fd00::1"), true, false),
            (Some("100.64.0.1"), false, true),
            (Some("100.127.255.255"), false, true),
            (Some("100.128.0.1"), false, false),
            (Some("fd7a:115c:a1e0::7"), false, true),
            (Some("203.0.113.5"), false, false),
            (Some("0.0.0.0"), false, false),
            (Some("::"), false, false),
            (None, false, false),
        ] {
            assert_eq!(issues(LocalOnly, ip, false, true).is_empty(), local, "{ip:?} local-only");
            assert_eq!(issues(TailscaleInternal, ip, false, true).is_empty(), tailscale, "{ip:?} tailscale");
            assert!(issues(Public, ip, true, true).is_empty(), "{ip:?} public");
        }
    }

    #[test]
    fn public_needs_an_ingress_node_and_the_file_of_the_host() {
        let messages = |ingress, of_host| issues(Exposure::Public, None, ingress, of_host).len();
        assert_eq!([messages(true, true), messages(false, true), messages(true, false)], [0, 1, 1]);
    }

    #[test]
    fn the_message_names_port_address_and_advice() {
        let expected = "zigbee2mqtt publishes port 8080 on all addresses, but its exposure is local-only: bind it to loopback \
                        (127.0.0.1:8080:8080) or declare another exposure";
        for ip in [None, Some("0.0.0.0"), Some("::")] {
            let found = issues(Exposure::LocalOnly, ip, false, true);
            assert_eq!(found, [ExposureIssue::Violation(expected.to_owned())]);
        }
    }

    #[test]
    fn the_network_of_the_host_cannot_be_judged() {
        let config: ProjectConfig =
            serde_json::from_value(json!({"services": {"app": {"network_mode": "host"}}})).unwrap();
        let service = AssignedService {
            name: "home".to_owned(),
            exposure: Exposure::LocalOnly,
            is_exposure_of_host: true,
            after: Vec::new(),
            timeout: None,
        };
        let note = "home uses the network of the host: its exposure cannot be judged";
        let found = judge_exposure(&service, &config, "chelsty", false);
        assert_eq!(found, [ExposureIssue::Note(note.to_owned())]);
    }
}
