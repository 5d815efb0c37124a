//! Typed calls of `docker` and `docker compose`.

use super::error::{DockerError, last_lines};
use super::{ChangeCommand, Container, Project, ProjectConfig};
use crate::ordered::CollectOrdered;
use crate::unattended::{self, ProcessOutput, captured, run};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tokio::process::Command;

/// Maximum size of the output of a call, in bytes.
const MAX_OUTPUT: u64 = 16 << 20;
/// Timeout of a call that only reads. A daemon on a slow disk takes seconds after its start.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Timeout of the test whether the daemon responds.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Timeout of the removal of containers, which may have a long grace period.
const REMOVE_TIMEOUT: Duration = Duration::from_mins(2);
/// How often containers are listed until none of them vanishes while it is read.
const LIST_ATTEMPTS: u32 = 5;
/// Variables that would change what Compose does with the files it is given.
const COMPOSE_VARIABLES: [&str; 5] = [
    "COMPOSE_FILE",
    "COMPOSE_PROJECT_NAME",
    "COMPOSE_ENV_FILES",
    "COMPOSE_DISABLE_ENV_FILE",
    "COMPOSE_PROGRESS",
];

/// How docker and Compose are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Docker {
    /// The program of Compose and its first arguments.
    compose: Vec<String>,
}

impl Default for Docker {
    fn default() -> Self {
        Self { compose: ["docker", "compose"].map(String::from).into() }
    }
}

impl FromStr for Docker {
    type Err = String;

    /// Parses `docker compose` or `docker-compose`, as words without quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let compose: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if compose.is_empty() {
            return Err("expected a command such as `docker compose`".to_owned());
        }
        Ok(Self { compose })
    }
}

impl Docker {
    /// The program `docker`, or the one that takes its place.
    fn program(&self) -> &str {
        let first = self.compose.first().map_or("docker", String::as_str);
        if self.compose.len() > 1 { first } else { "docker" }
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = captured(self.program());
        command.args(arguments);
        command
    }

    /// Runs Compose on a project.
    fn compose(&self, project: &Project, arguments: &[&str]) -> Command {
        let mut command = captured(self.compose.first().map_or("docker", String::as_str));
        self.add_arguments(&mut command, project, arguments);
        command
    }

    fn add_arguments(&self, command: &mut Command, project: &Project, arguments: &[&str]) {
        for name in COMPOSE_VARIABLES {
            command.env_remove(name);
        }
        command.args(self.compose.iter().skip(1)).args(project.arguments()).args(arguments);
    }

    /// A command of Compose that changes containers, and so outlives this process.
    pub fn change(&self, project: &Project, arguments: &[&str]) -> ChangeCommand {
        let mut command = unattended::command(self.compose.first().map_or("docker", String::as_str));
        command.env("LC_ALL", "C").current_dir("/");
        self.add_arguments(&mut command, project, arguments);
        ChangeCommand { command, what: format!("docker compose {}", arguments.first().unwrap_or(&"")) }
    }

    /// A command that removes the containers and networks of a project, but no volumes. It needs no Compose file.
    pub fn remove_project(&self, project: &str) -> ChangeCommand {
        let mut command = unattended::command(self.compose.first().map_or("docker", String::as_str));
        command.env("LC_ALL", "C").current_dir("/");
        command.args(self.compose.iter().skip(1));
        command.args(["--ansi", "never", "--project-name", project, "down", "--remove-orphans"]);
        ChangeCommand { command, what: "docker compose down".to_owned() }
    }

    /// Runs a command and returns its output, also if it fails.
    async fn output(
        &self,
        what: &str,
        command: Command,
        limit: Duration,
    ) -> Result<ProcessOutput, DockerError> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let output = tokio::time::timeout(limit, run(command, MAX_OUTPUT)).await;
        let output = output.map_err(|_| DockerError::TimedOut { what: what.to_owned(), limit })?;
        output.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DockerError::Missing(program),
            _ => DockerError::Io(what.to_owned(), error),
        })
    }

    async fn stdout(&self, what: &str, command: Command) -> Result<String, DockerError> {
        let output = self.output(what, command, TIMEOUT).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(DockerError::of_output(what, &output.stderr))
    }

    /// The version of the daemon, if it responds.
    pub async fn version(&self) -> Result<String, DockerError> {
        let command = self.docker(&["version", "--format", "{{.Server.Version}}"]);
        let output = self.output("docker version", command, PING_TIMEOUT).await;
        let output = output.map_err(|error| match error {
            DockerError::TimedOut { .. } => {
                DockerError::NotResponding(format!("no answer within {} s", PING_TIMEOUT.as_secs()))
            }
            error => error,
        })?;
        if output.status.success() {
            return Ok(output.stdout.trim().to_owned());
        }
        Err(DockerError::NotResponding(last_lines(&output.stderr)))
    }

    /// The version of Compose. An error if it is missing or older than 2.
    pub async fn compose_version(&self) -> Result<String, DockerError> {
        let mut command = captured(self.compose.first().map_or("docker", String::as_str));
        command.args(self.compose.iter().skip(1)).args(["version", "--short"]);
        let output = self.output("docker compose version", command, TIMEOUT).await?;
        let command = self.compose.join(" ");
        if !output.status.success() {
            let reason = format!("`{command}` does not work here: {}", last_lines(&output.stderr));
            return Err(DockerError::NoCompose(reason));
        }
        let version = output.stdout.trim().trim_start_matches('v').to_owned();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < 2) {
            return Err(DockerError::NoCompose(format!("`{command}` is version {version}")));
        }
        Ok(version)
    }

    /// The configuration of a project, if it is valid. It contains values of the `.env` file.
    pub async fn config(&self, project: &Project) -> Result<ProjectConfig, DockerError> {
        let what = "docker compose config";
        let json = self.stdout(what, self.compose(project, &["config", "--format", "json"])).await?;
        let unreadable =
            |error: serde_json::Error| DockerError::Unreadable(what.to_owned(), error.to_string());
        serde_json::from_str(&json).and_then(ProjectConfig::of).map_err(unreadable)
    }

    /// The hash of each service's configuration, which Compose also writes to the labels of containers.
    pub async fn hashes(&self, project: &Project) -> Result<BTreeMap<String, String>, DockerError> {
        let command = self.compose(project, &["config", "--hash", "*"]);
        let lines = self.stdout("docker compose config --hash", command).await?;
        let parse =
            |line: &str| line.split_once(' ').map(|(name, hash)| (name.to_owned(), hash.trim().to_owned()));
        Ok(lines.lines().filter_map(parse).collect_map())
    }

    /// Pulls the image of one service of the Compose file. `limit` is for the download.
    pub async fn pull(&self, project: &Project, service: &str, limit: Duration) -> Result<(), DockerError> {
        let command = self.compose(project, &["pull", "--quiet", "--ignore-buildable", service]);
        let output = self.output("docker compose pull", command, limit).await?;
        if output.status.success() {
            return Ok(());
        }
        Err(DockerError::of_output("docker compose pull", &output.stderr))
    }

    /// Builds the images that Compose builds itself.
    pub async fn build(&self, project: &Project, limit: Duration) -> Result<(), DockerError> {
        let output = self.output("docker compose build", self.compose(project, &["build"]), limit).await?;
        if output.status.success() {
            return Ok(());
        }
        Err(DockerError::of_output("docker compose build", &output.stderr))
    }

    /// All containers of a project, running or not.
    pub async fn containers(&self, project: &str) -> Result<Vec<Container>, DockerError> {
        self.list(&format!("label=com.docker.compose.project={project}")).await
    }

    /// The containers of all projects, running or not, by project. One call for all is much faster than one for each.
    pub async fn all_containers(&self) -> Result<BTreeMap<String, Vec<Container>>, DockerError> {
        let mut projects: BTreeMap<String, Vec<Container>> = BTreeMap::new();
        for container in self.list("label=com.docker.compose.project").await? {
            if !container.project.is_empty() {
                projects.entry(container.project.clone()).or_default().push(container);
            }
        }
        Ok(projects)
    }

    async fn list(&self, filter: &str) -> Result<Vec<Container>, DockerError> {
        let what = "docker inspect";
        for attempt in 1.. {
            let arguments = ["ps", "--all", "--no-trunc", "--quiet", "--filter", filter];
            let ids = self.stdout("docker ps", self.docker(&arguments)).await?;
            if ids.trim().is_empty() {
                return Ok(Vec::new());
            }
            let mut command = self.docker(&["inspect", "--type", "container"]);
            command.args(ids.lines());
            match self.stdout(what, command).await {
                Ok(json) => {
                    let unreadable = |error: serde_json::Error| {
                        DockerError::Unreadable(what.to_owned(), error.to_string())
                    };
                    return Container::parse_all(&json).map_err(unreadable);
                }
                // A container was removed after it was listed.
                Err(DockerError::Failed(_, message))
                    if message.contains("No such") && attempt < LIST_ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Vec::new())
    }

    /// The id of an image; `None` if it is not here.
    pub async fn image_id(&self, image: &str) -> Result<Option<String>, DockerError> {
        let command = self.docker(&["image", "inspect", "--format", "{{.Id}}", image]);
        match self.stdout("docker image inspect", command).await {
            Ok(id) => Ok(Some(id.trim().to_owned())),
            Err(DockerError::Failed(_, message)) if message.to_lowercase().contains("no such image") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The ids of images, by name; `None` for an image that is not here.
    pub async fn image_ids(
        &self,
        images: BTreeSet<String>,
    ) -> Result<BTreeMap<String, Option<String>>, DockerError> {
        let mut found = BTreeMap::new();
        if images.len() > 1 {
            let mut command = self.docker(&["image", "inspect", "--format", "{{.Id}}"]);
            command.args(&images);
            let output = self.output("docker image inspect", command, TIMEOUT).await?;
            let ids: Vec<&str> = output.stdout.lines().map(str::trim).collect();
            // If one of them is missing, the output does not show which.
            if output.status.success() && ids.len() == images.len() {
                return Ok(images
                    .into_iter()
                    .zip(ids.into_iter().map(|id| Some(id.to_owned())))
                    .collect_map());
            }
        }
        for image in images {
            let id = self.image_id(&image).await?;
            found.insert(image, id);
        }
        Ok(found)
    }

    /// Creates a container of no project, without starting it.
    pub async fn create_container(&self, name: &str, image: &str) -> Result<(), DockerError> {
        // An image that Compose has built has the label of its project, which its containers inherit.
        let options = ["--name", name, "--network", "none", "--label", "com.docker.compose.project="];
        let mut command = self.docker(&["create", "--pull", "never"]);
        // An image may have no command.
        command.args(options).args([image, "none"]);
        self.stdout("docker create", command).await.map(drop)
    }

    /// Copies a file into the root directory of a container, which need not run.
    pub async fn copy_into(&self, container: &str, file: &Path) -> Result<(), DockerError> {
        let mut command = self.docker(&["cp"]);
        command.arg(file).arg(format!("{container}:/"));
        self.stdout("docker cp", command).await.map(drop)
    }

    /// Removes containers, also running ones. Their anonymous volumes stay.
    pub async fn remove_containers<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), DockerError> {
        let mut command = self.docker(&["rm", "--force"]);
        command.args(ids.into_iter().map(OsStr::new));
        let output = self.output("docker rm", command, REMOVE_TIMEOUT).await?;
        Self::removed(&output)
    }

    /// Removes a container with its anonymous volumes.
    pub async fn remove_with_volumes(&self, container: &str) -> Result<(), DockerError> {
        let command = self.docker(&["rm", "--force", "--volumes", container]);
        let output = self.output("docker rm", command, REMOVE_TIMEOUT).await?;
        Self::removed(&output)
    }

    fn removed(output: &ProcessOutput) -> Result<(), DockerError> {
        if output.status.success() || output.stderr.contains("No such container") {
            return Ok(());
        }
        Err(DockerError::of_output("docker rm", &output.stderr))
    }

    /// Removes what a killed Compose has left behind, because the next `up` would fail. Returns the names.
    pub async fn remove_leftovers(&self, project: &str) -> Result<Vec<String>, DockerError> {
        let left: Vec<_> =
            self.containers(project).await?.into_iter().filter(Container::is_leftover).collect();
        if !left.is_empty() {
            self.remove_containers(left.iter().map(|container| container.id.as_str())).await?;
        }
        Ok(left.into_iter().map(|container| container.name).collect())
    }

    /// Makes a tag name an image.
    pub async fn tag(&self, image: &str, tag: &str) -> Result<(), DockerError> {
        self.stdout("docker tag", self.docker(&["tag", image, tag])).await.map(drop)
    }

    /// Removes an image unless a container uses it. Returns whether it was removed.
    pub async fn remove_image(&self, id: &str) -> Result<bool, DockerError> {
        let command = self.docker(&["image", "rm", id]);
        Ok(self.output("docker image rm", command, TIMEOUT).await?.status.success())
    }

    /// The last lines of a container's log, stdout and stderr.
    pub async fn logs(&self, container: &str, lines: u32) -> Result<String, DockerError> {
        let command = self.docker(&["logs", "--timestamps", "--tail", &lines.to_string(), container]);
        let output = self.output("docker logs", command, TIMEOUT).await?;
        // The two streams are separate here; each line starts with its time.
        let mut lines: Vec<&str> = output.stdout.lines().chain(output.stderr.lines()).collect();
        lines.sort_unstable();
        Ok(lines.join("\n"))
    }

    /// How much space images, containers and volumes use, as a table.
    pub async fn disk_usage(&self) -> Result<String, DockerError> {
        self.stdout("docker system df", self.docker(&["system", "df"])).await
    }

    /// The names of all projects with containers that are not well: `restarting`, `dead` or unhealthy.
    pub async fn projects_not_well(&self) -> Result<Vec<String>, DockerError> {
        let format = r#"{{.Label "com.docker.compose.project"}}"#;
        let mut arguments = vec!["ps", "--all", "--format", format];
        let mut names = Vec::new();
        for filter in [&["status=restarting", "status=dead"][..], &["health=unhealthy"]] {
            arguments.truncate(4);
            for value in filter {
                arguments.extend(["--filter", value]);
            }
            names.extend(self.stdout("docker ps", self.docker(&arguments)).await?.lines().map(str::to_owned));
        }
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !name.is_empty());
        Ok(names)
    }
}
