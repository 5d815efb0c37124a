//! The ssh that git calls: told to give up where it would have to ask.

use super::process::{command, run};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use tokio::process::Command;

/// The most that is read of git's settings, in bytes.
const MAX_SETTINGS: u64 = 64 << 10;
const BATCH_MODE: &str = "-o BatchMode=yes";

/// Adds `BatchMode` to the ssh that `to`, or a git that it starts, calls: also to a command that this user has set up, as far
/// as that takes options of OpenSSH. git reads the same variables and settings, in the same order.
pub(super) async fn quiet_ssh(to: &mut Command) -> io::Result<()> {
    let settings = Settings::of(to).await?;
    let variant = variable(to, "GIT_SSH_VARIANT").or(settings.variant);
    let (ssh, name) = match variable(to, "GIT_SSH_COMMAND").or(settings.command) {
        Some(ssh) => {
            let name = ssh.split_whitespace().next().unwrap_or_default().trim_matches(['\'', '"']).to_owned();
            (ssh, name)
        }
        None => match variable(to, "GIT_SSH") {
            Some(program) => (quoted(&program), program),
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
        to.env("GIT_SSH_COMMAND", format!("{ssh} {BATCH_MODE}"));
    }
    Ok(())
}

/// Whether a command of another name takes the options of OpenSSH; git finds it out by the same question.
async fn is_openssh(ssh: &str) -> io::Result<bool> {
    let mut shell = command("/bin/sh");
    shell.arg("-c").arg(format!("{ssh} {BATCH_MODE} -G localhost"));
    Ok(run(shell, MAX_SETTINGS).await?.status.success())
}

/// What git's files say of ssh.
#[derive(Default)]
struct Settings {
    command: Option<String>,
    variant: Option<String>,
}

impl Settings {
    /// As git reads them where `to` will work: a repository has settings too.
    async fn of(to: &Command) -> io::Result<Self> {
        let mut git = command("git");
        git.args(["config", "-z", "--get-regexp", r"^(core\.sshcommand|ssh\.variant)$"]);
        if let Some(folder) = to.as_std().get_current_dir() {
            git.current_dir(folder);
        }
        let mut settings = Self::default();
        // The last one counts.
        for (name, value) in
            run(git, MAX_SETTINGS).await?.stdout.split('\0').filter_map(|line| line.split_once('\n'))
        {
            let place = if name == "ssh.variant" { &mut settings.variant } else { &mut settings.command };
            *place = Some(value.to_owned());
        }
        Ok(settings)
    }
}

/// A variable as the program will have it; one that is empty is not set.
pub(super) fn variable(of: &Command, name: &str) -> Option<String> {
    let own = of.as_std().get_envs().find(|(known, _)| *known == OsStr::new(name));
    let value = match own {
        Some((_, value)) => value.map(OsStr::to_owned),
        None => std::env::var_os(name),
    };
    value.and_then(|value: OsString| value.into_string().ok()).filter(|value| !value.is_empty())
}

fn quoted(program: &str) -> String {
    format!("'{}'", program.replace('\'', r"'\''"))
}
