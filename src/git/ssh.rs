//! Makes the ssh that git runs fail instead of prompting.

use crate::text::shell_word;
use crate::unattended::{captured, run};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use tokio::process::Command;

/// Maximum size of git's output, in bytes.
const MAX_SETTINGS: u64 = 64 << 10;
const BATCH_MODE: &str = "-o BatchMode=yes";

/// Adds `BatchMode` to the ssh that `command`, or a git that it starts, runs.
///
/// A custom ssh command of the user keeps working, and gets the option if it accepts OpenSSH options. Variables and settings are read
/// in the same order as in git.
pub async fn use_batch_mode(command: &mut Command) -> io::Result<()> {
    let settings = GitSshConfig::of(command).await?;
    let variant = env_var(command, "GIT_SSH_VARIANT").or(settings.variant);
    let (ssh, name) = match env_var(command, "GIT_SSH_COMMAND").or(settings.command) {
        Some(ssh) => {
            let name = ssh.split_whitespace().next().unwrap_or_default().trim_matches(['\'', '"']).to_owned();
            (ssh, name)
        }
        None => match env_var(command, "GIT_SSH") {
            Some(program) => (shell_word(&program), program),
            None => ("ssh".to_owned(), "ssh".to_owned()),
        },
    };
    let takes_options = match variant.as_deref() {
        None | Some("auto") => {
            Path::new(&name).file_name() == Some(OsStr::new("ssh")) || is_openssh(&ssh).await?
        }
        Some("plink" | "putty" | "tortoiseplink" | "simple") => false,
        Some(_) => true,
    };
    if takes_options {
        command.env("GIT_SSH_COMMAND", format!("{ssh} {BATCH_MODE}"));
    }
    Ok(())
}

/// Whether a command that is not named `ssh` accepts OpenSSH options. git detects it in the same way.
async fn is_openssh(ssh: &str) -> io::Result<bool> {
    let mut shell = captured("/bin/sh");
    shell.arg("-c").arg(format!("{ssh} {BATCH_MODE} -G localhost"));
    Ok(run(shell, MAX_SETTINGS).await?.status.success())
}

/// The ssh settings in git's configuration.
#[derive(Default)]
struct GitSshConfig {
    command: Option<String>,
    variant: Option<String>,
}

impl GitSshConfig {
    /// Reads the settings in the directory that `command` will run in, because a repository has settings too.
    async fn of(command: &Command) -> io::Result<Self> {
        let mut git = captured("git");
        git.args(["config", "-z", "--get-regexp", r"^(core\.sshcommand|ssh\.variant)$"]);
        if let Some(dir) = command.as_std().get_current_dir() {
            git.current_dir(dir);
        }
        let mut settings = Self::default();
        // The last value of a setting takes effect.
        for (name, value) in
            run(git, MAX_SETTINGS).await?.stdout.split('\0').filter_map(|line| line.split_once('\n'))
        {
            let field = if name == "ssh.variant" { &mut settings.variant } else { &mut settings.command };
            *field = Some(value.to_owned());
        }
        Ok(settings)
    }
}

/// The value of an environment variable for the program. An empty value counts as unset.
pub fn env_var(of: &Command, name: &str) -> Option<String> {
    let own = of.as_std().get_envs().find(|(known, _)| *known == OsStr::new(name));
    let value = match own {
        Some((_, value)) => value.map(OsStr::to_owned),
        None => std::env::var_os(name),
    };
    value.and_then(|value: OsString| value.into_string().ok()).filter(|value| !value.is_empty())
}
