//! git in a folder: it asks nobody, takes no hints from repositories around it, and tells in short why it failed.

use super::remote::{access_advice, last_lines};
use super::secrets::without_userinfo;
use super::{Credentials, Sandbox, process, ssh};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most that is read of what git prints, in bytes.
const MAX_OUTPUT: u64 = 16 << 20;
/// How long a single call may take: a whole repository over a slow line.
const WITHIN: Duration = Duration::from_mins(30);

/// git in one folder.
#[derive(Debug, Clone)]
pub struct Git {
    folder: PathBuf,
    settings: Vec<String>,
    sandbox: Option<Sandbox>,
    credentials: Credentials,
}

/// Why git did not do what it was called for. Every text is free of the credentials that URLs hold.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git on the `PATH`.
    #[error("git is not installed here; put it on the PATH")]
    Missing,
    /// git refused; these are its last lines.
    #[error("{0}")]
    Refused(String),
    /// It did not end.
    #[error("git did not end within {} minutes", WITHIN.as_secs() / 60)]
    Late,
    /// It could not be run.
    #[error("could not run git: {0}")]
    Io(#[from] io::Error),
}

impl GitError {
    /// What to do where it was refused access, by the server or by its own machine.
    pub fn access_advice(&self) -> Option<&'static str> {
        match self {
            Self::Refused(said) => access_advice(said),
            _ => None,
        }
    }
}

impl Git {
    /// git in this folder.
    pub fn at(folder: &Path) -> Self {
        // What it would tidy up in the background would outlive us.
        let settings = ["gc.auto=0", "maintenance.auto=false"];
        let (settings, credentials) = (settings.map(str::to_owned).into(), Credentials::default());
        Self { folder: folder.to_owned(), settings, sandbox: None, credentials }
    }

    /// In a sandbox, if there is one: for a repository that others may have written to.
    #[must_use]
    pub fn within(mut self, sandbox: Option<Sandbox>) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// What another git is to call to fetch from this repository.
    pub fn upload_pack(&self) -> String {
        match &self.sandbox {
            Some(sandbox) => format!("{} upload-pack", sandbox.shell_command("git")),
            None => "git-upload-pack".to_owned(),
        }
    }

    /// With credentials for the servers that it speaks to, before those that it has.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials.or(self.credentials);
        self
    }

    /// With a setting that stands above those of its files. It can be read in the list of processes.
    #[must_use]
    pub fn with(mut self, setting: String) -> Self {
        self.settings.push(setting);
        self
    }

    /// Where it works.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs git to its end and gives what it printed, without the last line end. Dropping the future kills git and all
    /// that it started.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, GitError> {
        let mut command = match &self.sandbox {
            Some(sandbox) => sandbox.command("git"),
            None => process::command("git"),
        };
        command.env("GIT_ADVICE", "0").current_dir(&self.folder);
        ssh::quiet_ssh(&mut command).await.map_err(of_start)?;
        self.credentials.give(&mut command);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        let ended = tokio::time::timeout(WITHIN, process::run(command, MAX_OUTPUT));
        let ended = ended.await.map_err(|_| GitError::Late)?.map_err(of_start)?;
        if ended.status.success() {
            return Ok(ended.stdout.trim_end_matches('\n').to_owned());
        }
        let said = without_userinfo(&ended.stderr);
        // Where it pushed to is told by whoever called.
        let telling = |line: &&str| !line.starts_with("To ");
        let said: Vec<&str> = said.lines().filter(telling).collect();
        let said = last_lines(&said.join("\n"));
        Err(GitError::Refused(said.unwrap_or_else(|| format!("git ended with {}", ended.status))))
    }
}

fn of_start(error: io::Error) -> GitError {
    if error.kind() == io::ErrorKind::NotFound { GitError::Missing } else { GitError::Io(error) }
}
