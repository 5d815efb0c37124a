//! Enters the sandbox and executes the program.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// The paths that a program may access in addition to what nix and git always need.
#[derive(Debug)]
pub struct SandboxRules {
    /// The program's home directory.
    pub home: PathBuf,
    /// The program's directory for temporary files.
    pub temporary: PathBuf,
    /// Paths that the program may read.
    pub read: Vec<PathBuf>,
    /// Paths that the program may read and write.
    pub write: Vec<PathBuf>,
}

/// Why a program could not be run in the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel does not support Landlock.
    #[error(
        "cannot keep nix from reading credentials: {0}; --no-sandbox runs nix anyway, but then any flake input can copy \
         the credentials of this user"
    )]
    Unsupported(String),
    /// The kernel rejected the rules.
    #[error("could not enter the sandbox: {0}")]
    Refused(String),
    /// The program could not be executed.
    #[error("could not start {}: {source}", program.display())]
    Program {
        /// The name of the program.
        program: OsString,
        /// The operating system's error.
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

    /// The oldest version of Landlock that denies reading and writing paths without a rule.
    const MIN_ABI: ABI = ABI::V1;
    /// The newest tested version. It also blocks signals and abstract socket connections to processes outside.
    const MAX_ABI: ABI = ABI::V6;

    /// Variables that lead to credentials, or to services that act on behalf of this user.
    const REMOVED_VARIABLES: [&str; 8] = [
        "CREDENTIALS_DIRECTORY",
        "DBUS_SESSION_BUS_ADDRESS",
        "HOMELAB_DEPLOY_NKEY_FILE",
        "NOTIFY_SOCKET",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    ];

    /// Checks that the kernel supports the sandbox.
    pub fn check_sandbox() -> Result<(), SandboxError> {
        ruleset().map(drop)
    }

    /// Enters the sandbox and executes `program`. Returns only if that fails.
    pub fn enter_sandbox(rules: &SandboxRules, program: OsString, arguments: Vec<OsString>) -> SandboxError {
        let mut command = Command::new(&program);
        command.args(arguments).env("HOME", &rules.home).env("TMPDIR", &rules.temporary);
        let home = var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let caches = || home.as_ref().unwrap_or(&rules.home).join(".cache");
        let caches = var_os("XDG_CACHE_HOME").map_or_else(caches, PathBuf::from);
        let cache = caches.join("nix");
        command.env("XDG_CACHE_HOME", caches);
        for name in REMOVED_VARIABLES {
            command.env_remove(name);
        }
        let agent = var_os("SSH_AUTH_SOCK").map(PathBuf::from);
        if agent.is_some_and(|agent| !rules.read.iter().any(|path| agent.starts_with(path))) {
            command.env_remove("SSH_AUTH_SOCK");
        }
        let remote = var_os("NIX_REMOTE").unwrap_or_default();
        // Otherwise root would build without the daemon, and nix cannot create its own sandbox within this one.
        let is_root = rustix::process::geteuid().is_root();
        let has_daemon = if remote.is_empty() && is_root && paths::has_daemon() {
            command.env("NIX_REMOTE", "daemon");
            true
        } else {
            remote == "daemon"
        };
        let read = paths::readable().into_iter().chain(rules.read.iter().cloned());
        // nix may be installed outside the system directories.
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
                .handle_access(AccessFs::from_all(MIN_ABI))?
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(MAX_ABI))?
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
                .add_rules(path_beneath_rules(read, AccessFs::from_read(MAX_ABI)))?
                .add_rules(path_beneath_rules(write, writing()))?
                .restrict_self()
        };
        let entered = entered().map_err(|error| SandboxError::Refused(error.to_string()))?;
        match entered.ruleset {
            RulesetStatus::NotEnforced => Err(SandboxError::Refused("no rule is enforced".to_owned())),
            _ => Ok(()),
        }
    }

    /// All rights except creating devices, through which root could read a disk.
    fn writing() -> BitFlags<AccessFs> {
        AccessFs::from_all(MAX_ABI) & !(AccessFs::MakeBlock | AccessFs::MakeChar)
    }
}

#[cfg(not(target_os = "linux"))]
pub use unsupported::{check_sandbox, enter_sandbox};

#[cfg(not(target_os = "linux"))]
mod unsupported {
    use super::{SandboxError, SandboxRules};
    use std::ffi::OsString;

    fn unsupported_error() -> SandboxError {
        SandboxError::Unsupported("Landlock exists on Linux only".to_owned())
    }

    /// Always fails, because only Linux has Landlock.
    pub fn check_sandbox() -> Result<(), SandboxError> {
        Err(unsupported_error())
    }

    /// Always fails, because only Linux has Landlock.
    pub fn enter_sandbox(_: &SandboxRules, _: OsString, _: Vec<OsString>) -> SandboxError {
        unsupported_error()
    }
}
