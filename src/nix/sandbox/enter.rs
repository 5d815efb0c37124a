//! Enters the sandbox, and becomes the program.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// What one program may read and write, in addition to what it needs in any case.
#[derive(Debug)]
pub struct SandboxRules {
    /// Its home directory.
    pub home: PathBuf,
    /// Where it keeps temporary files.
    pub temporary: PathBuf,
    /// What it may read.
    pub read: Vec<PathBuf>,
    /// What it may read and write.
    pub write: Vec<PathBuf>,
}

/// Why a sandbox was not entered.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel has no means for one.
    #[error(
        "cannot keep nix from reading credentials: {0}; with --no-sandbox nix runs all the same, and an input of an input can take \
         the credentials of this user"
    )]
    Unsupported(String),
    /// The kernel refused.
    #[error("could not enter the sandbox: {0}")]
    Refused(String),
    /// The program is not here.
    #[error("could not start {}: {source}", program.display())]
    Program {
        /// The program.
        program: OsString,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

#[cfg(target_os = "linux")]
pub use linux::{check_sandbox, enter_sandbox};

#[cfg(target_os = "linux")]
mod linux {
    use super::super::paths;
    use super::{SandboxError, SandboxRules};
    use landlock::{
        ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated,
        RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
    };
    use std::env::var_os;
    use std::ffi::OsString;
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::Command;

    /// The oldest version of Landlock that keeps what has no rule from being read and written.
    const LEAST: ABI = ABI::V1;
    /// The newest one that was tried. It also ends signals to processes outside, and connections to their abstract sockets.
    const NEWEST: ABI = ABI::V6;

    /// What leads to credentials, or to services that act for this user.
    const LEFT_OUT: [&str; 8] = [
        "CREDENTIALS_DIRECTORY",
        "DBUS_SESSION_BUS_ADDRESS",
        "HOMELAB_DEPLOY_NKEY_FILE",
        "NOTIFY_SOCKET",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    ];

    /// Whether this kernel can keep a program in a sandbox.
    pub fn check_sandbox() -> Result<(), SandboxError> {
        ruleset().map(drop)
    }

    /// Enters the sandbox and becomes `program`. Comes back only if that fails.
    pub fn enter_sandbox(rules: &SandboxRules, program: OsString, arguments: Vec<OsString>) -> SandboxError {
        let mut command = Command::new(&program);
        command.args(arguments).env("HOME", &rules.home).env("TMPDIR", &rules.temporary);
        let home = var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let caches = || home.as_ref().unwrap_or(&rules.home).join(".cache");
        let caches = var_os("XDG_CACHE_HOME").map_or_else(caches, PathBuf::from);
        let cache = caches.join("nix");
        command.env("XDG_CACHE_HOME", caches);
        for name in LEFT_OUT {
            command.env_remove(name);
        }
        let agent = var_os("SSH_AUTH_SOCK").map(PathBuf::from);
        if agent.is_some_and(|agent| !rules.read.iter().any(|path| agent.starts_with(path))) {
            command.env_remove("SSH_AUTH_SOCK");
        }
        let remote = var_os("NIX_REMOTE").unwrap_or_default();
        // Root would build without the daemon otherwise, and nix cannot make its own sandbox within this one.
        let is_root = rustix::process::geteuid().is_root();
        let has_daemon = if remote.is_empty() && is_root && paths::has_daemon() {
            command.env("NIX_REMOTE", "daemon");
            true
        } else {
            remote == "daemon"
        };
        let read = paths::readable().into_iter().chain(rules.read.iter().cloned());
        // nix may be elsewhere than other programs are.
        let itself = super::super::find_program(program.as_ref());
        let read = read.chain(itself);
        let own = [rules.home.clone(), rules.temporary.clone()];
        let write =
            paths::writable(&cache, has_daemon).into_iter().chain(own).chain(rules.write.iter().cloned());
        if let Err(error) = restrict(read, write) {
            return error;
        }
        SandboxError::Program { source: command.exec(), program }
    }

    fn ruleset() -> Result<RulesetCreated, SandboxError> {
        let made = || -> Result<RulesetCreated, RulesetError> {
            Ruleset::default()
                .set_compatibility(CompatLevel::HardRequirement)
                .handle_access(AccessFs::from_all(LEAST))?
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(NEWEST))?
                .scope(Scope::AbstractUnixSocket | Scope::Signal)?
                .create()
        };
        made().map_err(|error| SandboxError::Unsupported(format!("this kernel has no Landlock ({error})")))
    }

    fn restrict(
        read: impl Iterator<Item = PathBuf>,
        write: impl Iterator<Item = PathBuf>,
    ) -> Result<(), SandboxError> {
        let ruleset = ruleset()?;
        let entered = || {
            ruleset
                .add_rules(path_beneath_rules(read, AccessFs::from_read(NEWEST)))?
                .add_rules(path_beneath_rules(write, writing()))?
                .restrict_self()
        };
        let entered = entered().map_err(|error| SandboxError::Refused(error.to_string()))?;
        match entered.ruleset {
            RulesetStatus::NotEnforced => Err(SandboxError::Refused("nothing is restricted".to_owned())),
            _ => Ok(()),
        }
    }

    /// Everything but to make a device, through which root could read a disk.
    fn writing() -> BitFlags<AccessFs> {
        AccessFs::from_all(NEWEST) & !(AccessFs::MakeBlock | AccessFs::MakeChar)
    }
}

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{check_sandbox, enter_sandbox};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{SandboxError, SandboxRules};
    use std::ffi::OsString;

    fn unsupported() -> SandboxError {
        SandboxError::Unsupported("Landlock exists on Linux only".to_owned())
    }

    /// No other system has Landlock.
    pub fn check_sandbox() -> Result<(), SandboxError> {
        Err(unsupported())
    }

    /// No other system has Landlock.
    pub fn enter_sandbox(_: &SandboxRules, _: OsString, _: Vec<OsString>) -> SandboxError {
        unsupported()
    }
}
