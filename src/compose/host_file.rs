//! `hosts/<node>.yaml`: the services of a node, and `service.yaml`: a service's defaults.

use super::exposure::Exposure;
use super::yaml::{YamlError, YamlFile};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::path::Path;

const KEYS: [&str; 4] = ["services", "exposure", "after", "timeout"];

/// The services of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct HostFile {
    /// The services in the order of the file.
    #[serde(default)]
    services: ServiceList,
}

/// The settings of a service. An unset one has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceSettings {
    /// Which addresses its ports may be bound to.
    pub exposure: Option<Exposure>,
    /// The services that are deployed before it.
    pub after: Option<Vec<String>>,
    /// How long it may take to become healthy, in seconds.
    pub timeout: Option<u64>,
}

/// The file `service.yaml` in the directory of a service.
pub type ServiceFile = ServiceSettings;

/// A service that a node runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedService {
    /// The name, which is that of its directory and of its project.
    pub name: String,
    /// Which addresses its ports may be bound to.
    pub exposure: Exposure,
    /// Whether the node's own file declares the exposure.
    pub is_exposure_of_host: bool,
    /// The services that are deployed before it.
    pub after: Vec<String>,
    /// How long it may take to become healthy, in seconds, if this is set.
    pub timeout: Option<u64>,
}

impl HostFile {
    /// The path in the repository.
    pub fn path(node: &str) -> String {
        format!("hosts/{node}.yaml")
    }

    /// Reads the file of a node.
    pub fn read(tree: &Path, node: &str) -> Result<YamlFile<Self>, YamlError> {
        YamlFile::read(tree, &Self::path(node), &KEYS)
    }

    /// The services of a node, with the defaults of each service's own file, and the warnings of all files.
    pub fn assigned(tree: &Path, node: &str) -> Result<YamlFile<Vec<AssignedService>>, YamlError> {
        let YamlFile { content, mut warnings } = Self::read(tree, node)?;
        let mut services = Vec::new();
        for (name, settings) in content.services.0 {
            let defaults = YamlFile::read(tree, &format!("services/{name}/service.yaml"), &KEYS[1..]);
            let defaults: ServiceFile = match defaults {
                Ok(file) => {
                    warnings.extend(file.warnings);
                    file.content
                }
                Err(YamlError::Missing(_)) => ServiceFile::default(),
                Err(error) => return Err(error),
            };
            services.push(AssignedService {
                name,
                is_exposure_of_host: settings.exposure.is_some(),
                exposure: settings.exposure.or(defaults.exposure).unwrap_or_default(),
                after: settings.after.or(defaults.after).unwrap_or_default(),
                timeout: settings.timeout.or(defaults.timeout),
            });
        }
        Ok(YamlFile { content: services, warnings })
    }
}

/// A map of services to settings, or a list of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ServiceList(Vec<(String, ServiceSettings)>);

impl<'de> Deserialize<'de> for ServiceList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ServiceListVisitor)
    }
}

struct ServiceListVisitor;

impl<'de> Visitor<'de> for ServiceListVisitor {
    type Value = ServiceList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of services to their settings, or a list of names")
    }

    fn visit_unit<E>(self) -> Result<ServiceList, E> {
        Ok(ServiceList::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<ServiceList, A::Error> {
        let mut services = Vec::new();
        while let Some(name) = names.next_element::<String>()? {
            add(&mut services, name, ServiceSettings::default()).map_err(A::Error::custom)?;
        }
        Ok(ServiceList(services))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<ServiceList, A::Error> {
        let mut services = Vec::new();
        while let Some((name, settings)) = entries.next_entry::<String, Option<ServiceSettings>>()? {
            add(&mut services, name, settings.unwrap_or_default()).map_err(A::Error::custom)?;
        }
        Ok(ServiceList(services))
    }
}

fn add(
    services: &mut Vec<(String, ServiceSettings)>,
    name: String,
    settings: ServiceSettings,
) -> Result<(), String> {
    if !super::Project::is_valid_name(&name) {
        return Err(format!(
            "invalid service name {name:?}: expected lower-case letters, digits, - and _, starting with a letter or digit"
        ));
    }
    if services.iter().any(|(known, _)| *known == name) {
        return Err(format!("the service {name} is listed twice"));
    }
    services.push((name, settings));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{HostFile, KEYS};
    use crate::compose::{Exposure, YamlFile};

    fn parse(text: &str) -> Result<YamlFile<HostFile>, String> {
        YamlFile::parse(text, "hosts/chelsty.yaml", &KEYS).map_err(|error| error.to_string())
    }

    #[test]
    fn a_map_keeps_its_order_and_a_list_of_names_is_enough() {
        let text = "services:\n  zigbee: { exposure: local-only, after: [mosquitto] }\n  mosquitto:\n  home: { exposure: tailscale-internal, timeout: 180, expose: 1 }\n";
        let file = parse(text).unwrap();
        let names: Vec<_> = file.content.services.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["zigbee", "mosquitto", "home"]);
        assert_eq!(file.content.services.0[2].1.exposure, Some(Exposure::TailscaleInternal));
        assert_eq!(
            file.warnings,
            ["hosts/chelsty.yaml: unknown key services.home.expose (did you mean exposure?)"]
        );
        let list = parse("services: [b, a]\n").unwrap().content;
        assert_eq!(list.services.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert!(parse("services:\n").unwrap().content.services.0.is_empty());
    }

    #[test]
    fn errors_name_the_line_and_what_was_expected() {
        for (text, line, reason) in [
            ("services:\n  a: { exposure: lan }\n", 2, "local-only"),
            ("services: [a, a]\n", 1, "the service a is listed twice"),
            ("services: [../a]\n", 1, "invalid service name \"../a\""),
            ("services: 5\n", 1, "a map of services to their settings, or a list of names"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("hosts/chelsty.yaml, line {line}: ")), "{error}");
            assert!(error.contains(reason), "{error}");
        }
    }
}
