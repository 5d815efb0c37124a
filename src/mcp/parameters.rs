//! The arguments of each tool.

use super::error::ToolError;
use crate::protocol::{Action, Id, Name, Revision, printable};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// Reads the arguments of a call. An argument that no tool has is an error: whoever wrote it meant something by it.
pub(super) fn read<T: DeserializeOwned>(tool: &str, arguments: Option<JsonObject>) -> Result<T, ToolError> {
    let arguments = Value::Object(arguments.unwrap_or_default());
    serde_path_to_error::deserialize(arguments).map_err(|error| {
        let at = match error.path().to_string() {
            path if path == "." => String::new(),
            path => format!("{path}: "),
        };
        ToolError::new(format!("{tool} was called wrongly: {at}{}", error.inner()))
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployParameters {
    /// The one host to deploy to, by its name in list_hosts. Give exactly one of hostname, all and role.
    #[schemars(with = "Option<String>")]
    hostname: Option<Name>,
    /// true: every host of the tier test.
    all: Option<bool>,
    /// Every host of the tier test with this role.
    #[schemars(with = "Option<String>")]
    role: Option<Name>,
    /// Branch, tag or full commit of the flake; without it, the branch that the operator has set, usually master.
    #[schemars(with = "Option<String>")]
    branch: Option<Revision>,
    /// What to do with it: switch, the default, builds it and makes it run now and at every boot.
    action: Option<DeployAction>,
    /// true: also a commit that is older than the last one that a host deployed from its branch. Only if the person wants to go
    /// back to it, after a host has refused it as older.
    allow_older: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminParameters {
    /// The tier of the hosts. No host of another tier is touched.
    #[schemars(with = "String")]
    tier: Name,
    /// The one host to deploy to, by its name in list_hosts. Give exactly one of hostname, all and role.
    #[schemars(with = "Option<String>")]
    hostname: Option<Name>,
    /// true: every host of the tier.
    all: Option<bool>,
    /// Every host of the tier with this role.
    #[schemars(with = "Option<String>")]
    role: Option<Name>,
    /// Branch, tag or full commit of the flake; without it, the branch that the operator has set, usually master.
    #[schemars(with = "Option<String>")]
    branch: Option<Revision>,
    /// What to do with it: switch, the default, builds it and makes it run now and at every boot.
    action: Option<DeployAction>,
    /// true: also a commit that is older than the last one that a host deployed from its branch. Only if the person wants to go
    /// back to it, after a host has refused it as older.
    allow_older: Option<bool>,
    /// The code that the refusal of an earlier call named, only after the person has agreed to the exact question beside it.
    /// It is good once, for that question alone, and counts only where the client cannot ask the person itself.
    #[schemars(with = "Option<String>")]
    pub(super) confirm: Option<Confirm>,
}

/// What replaces the answer of a person.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the code that a refusal named, as a text")]
pub(super) enum Confirm {
    Code(String),
    /// Once enough, now refused: it names no question.
    Flag(bool),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BuildParameters {
    /// The repository, as the builder calls it; without it, the builder's default one.
    #[schemars(with = "Option<String>")]
    pub(super) repo: Option<Name>,
    /// What to build: a host, by its name in the flake, or all, which is every host of it.
    pub(super) target: Target,
    /// Branch, tag or full commit; without it, the default branch of the repository.
    #[schemars(with = "Option<String>")]
    pub(super) branch: Option<Revision>,
}

/// A host, or all of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Target(String);

impl Target {
    /// The host; none for all.
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

/// What a deployment may do.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum DeployAction {
    /// Run it now and at every boot.
    #[default]
    Switch,
    /// Run it from the next boot on.
    Boot,
    /// Run it now, and not after a reboot.
    Test,
    /// Show what would change, and change nothing.
    DryActivate,
    /// Build it, and run nothing.
    Build,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParameters {
    /// Only the hosts of this tier.
    #[schemars(with = "Option<String>")]
    pub(super) tier: Option<Name>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusParameters {
    /// The host, by its name in list_hosts.
    #[schemars(with = "String")]
    pub(super) hostname: Name,
    /// The deployment to tell of; without it, the running or else the last one.
    #[schemars(with = "Option<String>")]
    pub(super) deployment: Option<Id>,
    /// Where the job still runs: wait for its end, at most so many seconds (up to 3600); without it, answer at once.
    #[schemars(range(min = 0, max = 3600))]
    pub(super) wait_s: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsParameters {
    /// The host, by its name in list_hosts.
    #[schemars(with = "String")]
    pub(super) hostname: Name,
    /// The deployment whose log it shall be; without it, the running or else the last one.
    #[schemars(with = "Option<String>")]
    pub(super) deployment: Option<Id>,
    /// How many lines at most, 1 to 1000; 100 without it.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) lines: Option<usize>,
    /// Read on from this byte of the log: 0 for its beginning, or the next_offset of an earlier answer. Without it, the
    /// last lines.
    pub(super) offset: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryParameters {
    /// The host, by its name in list_hosts.
    #[schemars(with = "String")]
    pub(super) hostname: Name,
    /// How many jobs at most, 1 to 200, the newest first; 10 without it.
    #[schemars(range(min = 1, max = 200))]
    pub(super) limit: Option<usize>,
}

/// Refuses a number that is out of its range.
pub(super) fn in_range(name: &str, number: u64, least: u64, most: u64) -> Result<(), ToolError> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(ToolError::new(format!("{name} is {number}; it must be {least} to {most}")))
}

/// What a deployment shall do, and on which hosts.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) tier: Name,
    pub(super) hosts: Hosts,
    pub(super) branch: Option<Revision>,
    pub(super) action: Action,
    /// Whether a commit may be older than the last one.
    pub(super) allow_older: bool,
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.action)?;
        if let Some(branch) = &self.branch {
            write!(f, "{} ", printable(branch.as_str()))?;
        }
        match &self.hosts {
            Hosts::One(host) => write!(f, "on {host} ")?,
            Hosts::All => f.write_str("on all hosts ")?,
            Hosts::Role(role) => write!(f, "on the hosts of role {role} ")?,
        }
        write!(f, "of tier {}", self.tier)?;
        if self.allow_older { f.write_str(", also if that is older") } else { Ok(()) }
    }
}

/// The hosts of a tier that are meant.
#[derive(Debug)]
pub(super) enum Hosts {
    One(Name),
    All,
    Role(Name),
}

impl Hosts {
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
                    "give exactly one of hostname, all and role; given: {given}. Nothing was sent"
                )))
            }
        }
    }
}

impl DeployParameters {
    pub(super) fn wish(self, tier: Name) -> Result<Wish, ToolError> {
        let hosts = Hosts::of(self.hostname, self.all, self.role)?;
        let allow_older = self.allow_older == Some(true);
        Ok(Wish {
            tier,
            hosts,
            branch: self.branch,
            action: self.action.unwrap_or_default().into(),
            allow_older,
        })
    }
}

impl AdminParameters {
    /// What shall be done, and what replaces the answer of a person.
    pub(super) fn wish(self) -> Result<(Wish, Option<Confirm>), ToolError> {
        let hosts = Hosts::of(self.hostname, self.all, self.role)?;
        let allow_older = self.allow_older == Some(true);
        let (tier, action) = (self.tier, self.action.unwrap_or_default().into());
        let wish = Wish { tier, hosts, branch: self.branch, action, allow_older };
        Ok((wish, self.confirm))
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
