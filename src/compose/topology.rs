//! `inventory/topology.yaml`: the nodes of the fleet and their place in the network.

use super::yaml::{YamlError, YamlFile};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The path in the repository.
const PATH: &str = "inventory/topology.yaml";
const KEYS: [&str; 5] = ["nodes", "role", "link", "wan", "ingress"];

/// The nodes of the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Topology {
    nodes: BTreeMap<String, Option<Node>>,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Node {
    /// What the node is for.
    pub role: Option<String>,
    /// How it is connected, for example `lte`.
    pub link: Option<String>,
    /// How it is reached from the internet, for example `nat`.
    pub wan: Option<String>,
    /// Whether public services may run on it.
    pub ingress: bool,
}

impl Topology {
    /// Reads the topology of a work tree.
    pub fn read(tree: &Path) -> Result<YamlFile<Self>, YamlError> {
        YamlFile::read(tree, PATH, &KEYS)
    }

    /// The node of this name. An error if the topology does not list it.
    pub fn node(&self, name: &str) -> Result<Node, YamlError> {
        match self.nodes.get(name) {
            Some(node) => Ok(node.clone().unwrap_or_default()),
            None => {
                let names: Vec<&str> = self.nodes.keys().map(String::as_str).collect();
                let advice = crate::text::did_you_mean(&crate::text::closest_matches(name, names));
                let reason = format!("{name} is not one of its nodes{advice}; add it to `nodes`");
                Err(YamlError::Invalid(PATH.to_owned(), reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEYS, Topology};
    use crate::compose::YamlFile;

    fn parse(text: &str) -> Result<YamlFile<Topology>, String> {
        YamlFile::parse(text, "inventory/topology.yaml", &KEYS).map_err(|error| error.to_string())
    }

    #[test]
    fn nodes_are_read_and_unknown_keys_are_warnings() {
        let text = "nodes:\n  chelsty: { role: home-automation, link: lte, wan: nat }\n  vps: { role: edge, ingress: true, ingres: 1 }\n  bare:\nsites: []\n";
        let file = parse(text).unwrap();
        assert!(file.content.node("vps").unwrap().ingress && !file.content.node("bare").unwrap().ingress);
        assert_eq!(file.content.node("chelsty").unwrap().link.as_deref(), Some("lte"));
        assert_eq!(
            file.warnings,
            [
                "inventory/topology.yaml: unknown key nodes.vps.ingres (did you mean ingress?)",
                "inventory/topology.yaml: unknown key sites",
            ]
        );
        let error = file.content.node("vpx").unwrap_err().to_string();
        assert_eq!(
            error,
            "inventory/topology.yaml: vpx is not one of its nodes (did you mean vps?); add it to `nodes`"
        );
    }

    #[test]
    fn an_error_names_the_line() {
        for (text, error) in [
            ("nodes:\n  vps:\n    ingress: maybe\n", "inventory/topology.yaml, line 3: "),
            ("nodes:\n  vps: []\n", "inventory/topology.yaml, line 2: "),
            ("nodes:\n  a: {}\n  a: {}\n", "inventory/topology.yaml, line 3: "),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
