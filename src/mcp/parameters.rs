//! The arguments of the tools, and their conversion from what clients send.

use super::result::ToolError;
use super::tools::TOOLS;
use crate::protocol::{Action, Id, Name, Revision};
use crate::text::{closest_matches, printable};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;

/// Maximum length of an argument name that is ignored.
const MAX_NAME: usize = 100;

/// Parses the arguments of a call. An argument that the tool does not have is an error, because it is probably a
/// mistake.
pub(super) fn read<T: DeserializeOwned>(tool: &str, arguments: Option<JsonObject>) -> Result<T, ToolError> {
    let arguments = Value::Object(arguments.unwrap_or_default());
    serde_path_to_error::deserialize(arguments).map_err(|error| {
        let at = match error.path().to_string() {
            path if path == "." => String::new(),
            path => format!("{path}: "),
        };
        ToolError::new(format!("invalid arguments for {tool}: {at}{}", error.inner()))
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployParameters {
    /// Name of the host to deploy to, as in list_hosts. Give exactly one of hostname, all and role.
    #[schemars(with = "Option<String>")]
    hostname: Option<Name>,
    /// true: all hosts of the tier test.
    all: Option<bool>,
    /// All hosts of the tier test with this role.
    #[schemars(with = "Option<String>")]
    role: Option<Name>,
    /// Branch, tag or full commit of the flake. Default: the branch that the operator has set, usually master.
    #[schemars(with = "Option<String>")]
    branch: Option<Revision>,
    /// What to do with the revision. Default: switch, which builds it and activates it now and at every boot.
    action: Option<DeployAction>,
    /// true: deploy the commit even if it is older than the last one that a host deployed from its branch. Use it only
    /// if a host rejected the commit as older and the person wants to go back to it.
    allow_older: Option<bool>,
    /// Only these services of a host with Docker Compose, as in the components of list_hosts. Default: all of them.
    #[schemars(with = "Option<Vec<String>>")]
    services: Option<Vec<Name>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminParameters {
    /// The tier of the hosts. Hosts of other tiers are not changed.
    #[schemars(with = "String")]
    tier: Name,
    /// Name of the host to deploy to, as in list_hosts. Give exactly one of hostname, all and role.
    #[schemars(with = "Option<String>")]
    hostname: Option<Name>,
    /// true: all hosts of the tier.
    all: Option<bool>,
    /// All hosts of the tier with this role.
    #[schemars(with = "Option<String>")]
    role: Option<Name>,
    /// Branch, tag or full commit of the flake. Default: the branch that the operator has set, usually master.
    #[schemars(with = "Option<String>")]
    branch: Option<Revision>,
    /// What to do with the revision. Default: switch, which builds it and activates it now and at every boot.
    action: Option<DeployAction>,
    /// true: deploy the commit even if it is older than the last one that a host deployed from its branch. Use it only
    /// if a host rejected the commit as older and the person wants to go back to it.
    allow_older: Option<bool>,
    /// Only these services of a host with Docker Compose, as in the components of list_hosts. Default: all of them.
    #[schemars(with = "Option<Vec<String>>")]
    services: Option<Vec<Name>>,
    /// The code from an earlier refusal; use it only after the person has agreed to exactly the question in that
    /// refusal. A code is valid once, for that question only, and only if the client cannot ask the person itself.
    #[schemars(with = "Option<String>")]
    pub(super) confirm: Option<Confirm>,
}

/// The argument that replaces a person's answer.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the code from an earlier refusal, as a string")]
pub(super) enum Confirm {
    Code(String),
    /// Accepted by earlier versions; now rejected because it does not identify a question.
    Flag(bool),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BuildParameters {
    /// Name of the repository in the builder's configuration. Default: the builder's default repository.
    #[schemars(with = "Option<String>")]
    pub(super) repo: Option<Name>,
    /// What to build: the name of a host in the flake, or all for every host.
    pub(super) target: BuildTarget,
    /// Branch, tag or full commit. Default: the default branch of the repository.
    #[schemars(with = "Option<String>")]
    pub(super) branch: Option<Revision>,
}

/// A hostname, or `all`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct BuildTarget(String);

impl BuildTarget {
    /// The host; empty for `all`.
    pub(super) fn host(&self) -> Result<Vec<Name>, ToolError> {
        if self.0 == "all" {
            return Ok(Vec::new());
        }
        let name = Name::new(self.0.as_str());
        name.map(|name| vec![name]).map_err(|error| ToolError::new(format!("target: {:?}: {error}", self.0)))
    }
}

impl fmt::Display for BuildParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "build {}", printable(&self.target.0))?;
        let repo = self.repo.as_ref().map(|repo| format!(" of {repo}")).unwrap_or_default();
        let branch = self.branch.as_ref().map(|branch| format!(" at {}", printable(branch.as_str())));
        write!(f, "{repo}{}", branch.unwrap_or_default())
    }
}

/// The action of a deployment.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum DeployAction {
    /// Activate the system now and at every boot.
    #[default]
    Switch,
    /// Activate the system from the next boot on.
    Boot,
    /// Activate the system now, but not after a reboot.
    Test,
    /// Show what would change, without changing anything.
    DryActivate,
    /// Build the system, without activating it.
    Build,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParameters {
    /// Only hosts of this tier.
    #[schemars(with = "Option<String>")]
    pub(super) tier: Option<Name>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusParameters {
    /// Name of the host, as in list_hosts.
    #[schemars(with = "String")]
    pub(super) hostname: Name,
    /// Id of the deployment. Default: the running one, or else the last one.
    #[schemars(with = "Option<String>")]
    pub(super) deployment: Option<Id>,
    /// If the job is running: wait for its end, at most this many seconds (up to 3600). Default: return at once.
    #[schemars(range(min = 0, max = 3600))]
    pub(super) wait_s: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsParameters {
    /// Name of the host, as in list_hosts.
    #[schemars(with = "String")]
    pub(super) hostname: Name,
    /// Id of the deployment. Default: the running one, or else the last one.
    #[schemars(with = "Option<String>")]
    pub(super) deployment: Option<Id>,
    /// Maximum number of lines, 1 to 1000. Default: 100.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) lines: Option<usize>,
    /// Read from this byte of the log: 0 for the start, or the next_offset of an earlier result. Default: the last
    /// lines.
    pub(super) offset: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryParameters {
    /// Name of the host, as in list_hosts.
    #[schemars(with = "String")]
    pub(super) hostname: Name,
    /// Maximum number of jobs, 1 to 200, newest first. Default: 10.
    #[schemars(range(min = 1, max = 200))]
    pub(super) limit: Option<usize>,
}

/// Rejects a number outside its range.
pub(super) fn in_range(name: &str, number: u64, least: u64, most: u64) -> Result<(), ToolError> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(ToolError::new(format!("invalid {name} {number}: expected {least} to {most}")))
}

/// What to deploy, and on which hosts.
#[derive(Debug)]
pub(super) struct DeploySpec {
    pub(super) tier: Name,
    pub(super) hosts: HostSelector,
    pub(super) branch: Option<Revision>,
    pub(super) action: Action,
    /// Whether the commit may be older than the last deployed one.
    pub(super) allow_older: bool,
    /// Only these services; empty for all.
    pub(super) services: Vec<Name>,
}

impl fmt::Display for DeploySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.action)?;
        if let Some(branch) = &self.branch {
            write!(f, "{} ", printable(branch.as_str()))?;
        }
        match &self.hosts {
            HostSelector::One(host) => write!(f, "on {host} ")?,
            HostSelector::All => f.write_str("on all hosts ")?,
            HostSelector::Role(role) => write!(f, "on the hosts of role {role} ")?,
        }
        write!(f, "of tier {}", self.tier)?;
        if !self.services.is_empty() {
            write!(f, ", only {}", service_names(&self.services))?;
        }
        if self.allow_older { f.write_str(", even if it is older") } else { Ok(()) }
    }
}

/// `the services mosquitto, zigbee2mqtt`
pub(super) fn service_names(services: &[Name]) -> String {
    let names: Vec<_> = services.iter().map(Name::as_str).collect();
    let word = if names.len() == 1 { "service" } else { "services" };
    format!("the {word} {}", names.join(", "))
}

/// The selected hosts of a tier.
#[derive(Debug)]
pub(super) enum HostSelector {
    One(Name),
    All,
    Role(Name),
}

impl HostSelector {
    fn of(hostname: Option<Name>, all: Option<bool>, role: Option<Name>) -> Result<Self, ToolError> {
        match (hostname, all == Some(true), role) {
            (Some(host), false, None) => Ok(Self::One(host)),
            (None, true, None) => Ok(Self::All),
            (None, false, Some(role)) => Ok(Self::Role(role)),
            (hostname, all, role) => {
                let given = [("hostname", hostname.is_some()), ("all", all), ("role", role.is_some())];
                let given: Vec<_> =
                    given.into_iter().filter_map(|(name, given)| given.then_some(name)).collect();
                let given = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
                Err(ToolError::new(format!(
                    "expected exactly one of hostname, all and role, got {given}; nothing was sent"
                )))
            }
        }
    }
}

impl DeployParameters {
    pub(super) fn into_spec(self, tier: Name) -> Result<DeploySpec, ToolError> {
        let hosts = HostSelector::of(self.hostname, self.all, self.role)?;
        let allow_older = self.allow_older == Some(true);
        Ok(DeploySpec {
            tier,
            hosts,
            branch: self.branch,
            action: self.action.unwrap_or_default().into(),
            allow_older,
            services: self.services.unwrap_or_default(),
        })
    }
}

impl AdminParameters {
    /// What to deploy, and the argument that replaces a person's answer.
    pub(super) fn into_spec(self) -> Result<(DeploySpec, Option<Confirm>), ToolError> {
        let hosts = HostSelector::of(self.hostname, self.all, self.role)?;
        let allow_older = self.allow_older == Some(true);
        let (tier, action) = (self.tier, self.action.unwrap_or_default().into());
        let services = self.services.unwrap_or_default();
        let spec = DeploySpec { tier, hosts, branch: self.branch, action, allow_older, services };
        Ok((spec, self.confirm))
    }
}

impl From<DeployAction> for Action {
    fn from(action: DeployAction) -> Self {
        match action {
            DeployAction::Switch => Self::Switch,
            DeployAction::Boot => Self::Boot,
            DeployAction::Test => Self::Test,
            DeployAction::DryActivate => Self::DryActivate,
            DeployAction::Build => Self::Build,
        }
    }
}

/// Removes arguments that the client added on its own, and returns a note about them. Null and an empty string count
/// as absent, because some clients send every argument. A whole number may be written as 5.0.
///
/// An argument of another tool, or one similar to an argument of this tool, stays and is rejected later: it was
/// probably not added by accident.
pub(super) fn normalize(tool: &str, arguments: &mut JsonObject) -> Option<String> {
    let names = |schema: &Map<String, Value>| -> Vec<String> {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flat_map(Map::keys).cloned().collect()
    };
    let of_all: Vec<_> = TOOLS.iter().flat_map(|tool| names(&tool.input_schema)).collect();
    let of_this = TOOLS.iter().find(|other| other.name == tool).map(|tool| names(&tool.input_schema))?;
    // An empty code is not the absence of a person's answer.
    arguments.retain(|name, value| !value.is_null() && (value.as_str() != Some("") || name == "confirm"));
    arguments.values_mut().for_each(make_whole);
    let is_added = |name: &str| {
        name.len() <= MAX_NAME
            && !of_all.iter().any(|known| known == name)
            && closest_matches(name, of_this.iter().map(String::as_str)).is_empty()
    };
    let added: Vec<_> = arguments.keys().filter(|name| is_added(name)).cloned().collect();
    arguments.retain(|name, _| !added.contains(name));
    let (first, others) = added.split_first()?;
    let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    Some(format!("note: {tool} has no argument {:?}{others}; ignored", printable(first)))
}

fn make_whole(value: &mut Value) {
    /// Below this number, every whole number has its own float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(number) =
        value.as_f64().filter(|number| value.is_f64() && number.fract() == 0.0 && number.abs() < EXACT)
    {
        #[expect(clippy::cast_possible_truncation, reason = "the number is whole and in range")]
        let whole = number as i64;
        *value = whole.into();
    }
}
