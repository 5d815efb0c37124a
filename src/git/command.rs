//! Runs git in a directory: without prompts, independent of surrounding repositories, and with short error messages.

use super::{Credentials, access_advice, last_lines, ssh, without_userinfo};
use crate::sandbox::Sandbox;
use crate::unattended::{captured, run};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Maximum size of git's output, in bytes.
const MAX_OUTPUT: u64 = 16 << 20;
/// Timeout of a single call. Enough for a complete repository over a slow connection.
const TIMEOUT: Duration = Duration::from_mins(30);

/// Runs git in one directory.
#[derive(Debug, Clone)]
pub struct Git {
    dir: PathBuf,
    settings: Vec<String>,
    sandbox: Option<Sandbox>,
    credentials: Credentials,
}

/// Why a git command failed. Messages contain no credentials of URLs.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// git is not on the `PATH`.
    #[error("git is not installed here; put it on the PATH")]
    Missing,
    /// git failed. Holds its last lines.
    #[error("{0}")]
    Failed(String),
    /// git exceeded the timeout.
    #[error("git did not finish within {} minutes", TIMEOUT.as_secs() / 60)]
    TimedOut,
    /// git could not be run.
    #[error("could not run git: {0}")]
    Io(#[from] io::Error),
}

impl GitError {
    /// What to do if the server or this machine denied access.
    pub fn access_advice(&self) -> Option<&'static str> {
        match self {
            Self::Failed(message) => access_advice(message),
            _ => None,
        }
    }
}

impl Git {
    /// Runs git in `dir`.
    pub fn at(dir: &Path) -> Self {
        // Background maintenance could outlive this process.
        let settings = ["gc.auto=0", "maintenance.auto=false"];
        let (settings, credentials) = (settings.map(str::to_owned).into(), Credentials::default());
        Self { dir: dir.to_owned(), settings, sandbox: None, credentials }
    }

    /// Runs git in a sandbox, if there is one. For repositories that others may have written to.
    #[must_use]
    pub fn with_sandbox(mut self, sandbox: Option<Sandbox>) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// The `--upload-pack` command for fetching from this repository.
    pub fn upload_pack(&self) -> String {
        match &self.sandbox {
            Some(sandbox) => format!("{} upload-pack", sandbox.shell_command("git")),
            None => "git-upload-pack".to_owned(),
        }
    }

    /// Adds credentials for servers, which take precedence over existing ones.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials.or(self.credentials);
        self
    }

    /// Adds a setting that overrides git's configuration files. It is visible in the process list.
    #[must_use]
    pub fn with_setting(mut self, setting: String) -> Self {
        self.settings.push(setting);
        self
    }

    /// The directory that git runs in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs git and returns its stdout without trailing line breaks. Dropping the future kills git and all its descendants.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, GitError> {
        let mut command = match &self.sandbox {
            Some(sandbox) => sandbox.command("git"),
            None => captured("git"),
        };
        command.env("GIT_ADVICE", "0").current_dir(&self.dir);
        ssh::use_batch_mode(&mut command).await.map_err(spawn_error)?;
        self.credentials.apply_to(&mut command);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        let output = tokio::time::timeout(TIMEOUT, run(command, MAX_OUTPUT));
        let output = output.await.map_err(|_| GitError::TimedOut)?.map_err(spawn_error)?;
        if output.status.success() {
            return Ok(output.stdout.trim_end_matches('\n').to_owned());
        }
        let message = without_userinfo(&output.stderr);
        // The caller's message already names the remote.
        let is_reason = |line: &&str| !line.starts_with("To ");
        let message: Vec<&str> = message.lines().filter(is_reason).collect();
        let message = last_lines(&message.join("\n"));
        Err(GitError::Failed(message.unwrap_or_else(|| format!("git ended with {}", output.status))))
    }
}

fn spawn_error(error: io::Error) -> GitError {
    if error.kind() == io::ErrorKind::NotFound { GitError::Missing } else { GitError::Io(error) }
}
