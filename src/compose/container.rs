//! A container of a Compose project, as `docker inspect` describes it.

use serde::Deserialize;
use std::collections::BTreeMap;

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const NUMBER: &str = "com.docker.compose.container-number";
const CONFIG_HASH: &str = "com.docker.compose.config-hash";
const ONE_OFF: &str = "com.docker.compose.oneoff";
/// The number of hexadecimal digits that Compose puts before the name of a container that it is about to replace.
const REPLACED_PREFIX: usize = 12;

/// Exit codes after SIGINT, SIGKILL and SIGTERM, and after success.
const ENDED: [i64; 4] = [0, 130, 137, 143];

/// The state of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// No check has succeeded yet, and the start period or the retries are not used up.
    Starting,
    /// The last check succeeded.
    Healthy,
    /// Too many checks in a row failed.
    Unhealthy,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The complete id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The project.
    pub project: String,
    /// The service of the Compose file.
    pub service: String,
    /// The number among the containers of the service, from 1.
    pub number: u32,
    /// The hash of the configuration that it was created with.
    pub config_hash: Option<String>,
    /// The id of its image.
    pub image: String,
    /// `created`, `running`, `restarting`, `paused`, `exited` and so on.
    pub status: String,
    /// The exit status of the last run.
    pub exit_code: i64,
    /// Why it could not be started.
    pub error: String,
    /// When the last run started, as docker prints it.
    pub started_at: String,
    /// How often docker has restarted it.
    pub restarts: u64,
    /// `no`, `always`, `unless-stopped` or `on-failure`.
    pub restart_policy: String,
    /// The state of its health check, if it has one.
    pub health: Option<Health>,
    /// The output of the last health checks, oldest first.
    pub health_output: Vec<String>,
}

impl Container {
    /// Parses the output of `docker inspect`, without one-off containers of `compose run`.
    pub(super) fn parse_all(json: &str) -> Result<Vec<Self>, serde_json::Error> {
        let all: Vec<Inspected> = serde_json::from_str(json)?;
        let mut containers: Vec<_> = all.into_iter().filter_map(Inspected::container).collect();
        containers
            .sort_unstable_by(|a, b| (&a.service, a.number, &a.name).cmp(&(&b.service, b.number, &b.name)));
        Ok(containers)
    }

    /// Whether it runs or docker is about to start it again. A paused container counts as running.
    pub fn is_running(&self) -> bool {
        matches!(self.status.as_str(), "running" | "restarting" | "paused")
    }

    /// Whether it has done its work: it ended successfully and docker does not start it again.
    pub fn is_finished(&self) -> bool {
        self.status == "exited" && self.exit_code == 0 && !self.is_kept_running()
    }

    /// Whether docker keeps it running.
    pub fn is_kept_running(&self) -> bool {
        matches!(self.restart_policy.as_str(), "always" | "unless-stopped")
    }

    /// Whether its last run ended by a signal such as `docker stop` sends, or successfully. Other exit codes are those of a failure.
    pub fn was_ended(&self) -> bool {
        ENDED.contains(&self.exit_code)
    }

    /// Whether it was left behind by a Compose that was killed while it replaced a container. The next `up` would fail
    /// because of it.
    pub fn is_leftover(&self) -> bool {
        let prefix = self.name.split_once('_').map(|(prefix, _)| prefix);
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        self.status == "created"
            && prefix.is_some_and(|prefix| prefix.len() == REPLACED_PREFIX && prefix.bytes().all(is_hex))
    }

    /// The state in words: `running, health unhealthy`, `exited with 1`.
    pub fn describe(&self) -> String {
        let mut text = match self.status.as_str() {
            "exited" => format!("exited with {}", self.exit_code),
            status => status.to_owned(),
        };
        if let Some(health) = self.health {
            text += match health {
                Health::Starting => ", health starting",
                Health::Healthy => ", healthy",
                Health::Unhealthy => ", health unhealthy",
            };
        }
        if !self.error.is_empty() {
            text = format!("{text}: {}", self.error);
        }
        text
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    image: String,
    state: InspectedState,
    #[serde(default)]
    restart_count: u64,
    host_config: InspectedHostConfig,
    config: InspectedConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    status: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    error: String,
    #[serde(default)]
    started_at: String,
    health: Option<InspectedHealth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHealth {
    status: String,
    log: Option<Vec<InspectedHealthResult>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHealthResult {
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    output: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHostConfig {
    restart_policy: Option<InspectedRestartPolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedRestartPolicy {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    labels: Option<BTreeMap<String, String>>,
}

impl Inspected {
    fn container(self) -> Option<Container> {
        let labels = self.config.labels.unwrap_or_default();
        if labels.get(ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return None;
        }
        let health = self.state.health.as_ref().and_then(|health| match health.status.as_str() {
            "starting" => Some(Health::Starting),
            "healthy" => Some(Health::Healthy),
            "unhealthy" => Some(Health::Unhealthy),
            _ => None,
        });
        let results = self.state.health.and_then(|health| health.log).unwrap_or_default();
        let output = |result: InspectedHealthResult| {
            format!("exit status {}: {}", result.exit_code, result.output.trim())
        };
        Some(Container {
            name: self.name.trim_start_matches('/').to_owned(),
            project: labels.get(PROJECT).cloned().unwrap_or_default(),
            service: labels.get(SERVICE).cloned().unwrap_or_default(),
            number: labels.get(NUMBER).and_then(|number| number.parse().ok()).unwrap_or(1),
            config_hash: labels.get(CONFIG_HASH).cloned(),
            id: self.id,
            image: self.image,
            status: self.state.status,
            exit_code: self.state.exit_code,
            error: self.state.error,
            started_at: self.state.started_at,
            restarts: self.restart_count,
            restart_policy: self.host_config.restart_policy.map(|policy| policy.name).unwrap_or_default(),
            health,
            health_output: results.into_iter().map(output).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Container;

    fn container(name: &str, status: &str) -> Container {
        let json = serde_json::json!([{
            "Id": "x", "Name": format!("/{name}"), "Image": "sha256:1", "State": {"Status": status},
            "HostConfig": {}, "Config": {"Labels": null},
        }]);
        Container::parse_all(&json.to_string()).unwrap().remove(0)
    }

    #[test]
    fn only_an_unstarted_container_with_the_prefix_of_compose_is_a_leftover() {
        assert!(container("54a122013ccb_web-app-1", "created").is_leftover());
        assert!(!container("54a122013ccb_web-app-1", "running").is_leftover());
        assert!(!container("web-app-1", "created").is_leftover());
        assert!(!container("web_app_1", "created").is_leftover());
        assert!(!container("54a122013ccg_web-app-1", "created").is_leftover());
        assert!(!container("54a122013cc_web-app-1", "created").is_leftover());
    }
}
