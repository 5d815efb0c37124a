//! A sandbox for nix and git while they work on flakes of others: they read and write only what fetching, evaluating and
//! building needs, so no input can take a credential of this machine into the store.
//!
//! Only a process can restrict itself, and nothing may run between fork and exec here. So the sandbox is entered by our own
//! executable, which then becomes the program.

mod enter;
#[cfg(target_os = "linux")]
mod paths;

use super::process;
use super::remote::is_denied;
use crate::temporary::Temporary;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::process::Command;

pub use enter::{SandboxError, SandboxRules, check_sandbox, enter_sandbox};

/// What to do where nix is denied what it asks for.
const DENIED: &str = "nix runs in a sandbox: name what the flake needs of this machine with --nix-may-read, if each of its inputs may have that";

/// What to do where nix cannot make its own sandbox for builds.
const NESTED: &str = "nix cannot make its own sandbox within this one: have nix-daemon build, or set `sandbox = false` in nix's \
                      settings, so that builds are kept from credentials by this one alone";

/// The advice, if this is what the sandbox can be the reason of.
pub(super) fn advice(complaint: &str) -> Option<&'static str> {
    let complaint = complaint.to_lowercase();
    // The kernel permits no mounts here.
    if complaint.contains("/uid_map") || complaint.contains("mount") && complaint.contains("not permitted") {
        return Some(NESTED);
    }
    // What git says of a repository whose files it cannot open.
    let is_unread = complaint.contains("not a git repository");
    (is_unread || is_denied(&complaint)).then_some(DENIED)
}

/// What nix and git may read and write, in addition to what they need in any case. Its home directory and its temporary
/// directory are removed with the last clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Our own executable.
    program: PathBuf,
    directory: Arc<Temporary>,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

impl Sandbox {
    /// A sandbox in which these files and directories may be read. Those below `$HOME` have the same place below the home
    /// directory of the sandbox, which has nothing else.
    pub fn new(may_read: &[PathBuf]) -> io::Result<Self> {
        let directory = Temporary::new("homelab-deploy-nix")?;
        // Build users of a nix without a daemon have to get through to their own directories below.
        let passable = Permissions::from_mode(0o711);
        fs::set_permissions(directory.path(), passable.clone())?;
        let sandbox = Self {
            program: std::env::current_exe()?,
            directory: Arc::new(directory),
            read: may_read.to_vec(),
            write: Vec::new(),
        };
        DirBuilder::new().mode(0o700).create(sandbox.home())?;
        fs::create_dir(sandbox.temporary())?;
        fs::set_permissions(sandbox.temporary(), passable)?;
        if let Some(home) = std::env::home_dir() {
            sandbox.link(&home)?;
        }
        Ok(sandbox)
    }

    /// With another file or directory to read.
    #[must_use]
    pub fn reading(mut self, path: PathBuf) -> Self {
        self.read.push(path);
        self
    }

    /// With a file or directory to read and write.
    #[must_use]
    pub fn writing(mut self, path: PathBuf) -> Self {
        self.write.push(path);
        self
    }

    /// A program that enters the sandbox before it begins.
    pub(super) fn command(&self, program: &str) -> Command {
        if find_program(program.as_ref()).is_none() {
            // To start it fails as it does without a sandbox.
            return process::command(self.home().join(program));
        }
        let mut command = process::command(&self.program);
        command.args(self.arguments(program));
        command
    }

    /// The same as a text for a shell, which may add arguments.
    pub(super) fn shell_command(&self, program: &str) -> String {
        let program_of_ours = [self.program.clone().into_os_string()];
        let words = program_of_ours.into_iter().chain(self.arguments(program));
        let quoted = words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")));
        quoted.collect::<Vec<_>>().join(" ")
    }

    fn arguments(&self, program: &str) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["sandbox".into()];
        let mut add = |flag: &str, path: &Path| arguments.extend([flag.into(), path.into()]);
        add("--home", &self.home());
        add("--temporary", &self.temporary());
        self.read.iter().for_each(|path| add("--read", path));
        self.write.iter().for_each(|path| add("--write", path));
        arguments.extend(["--".into(), program.into()]);
        arguments
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    fn temporary(&self) -> PathBuf {
        self.directory.path().join("tmp")
    }

    /// Gives what may be read below `home` the same place in the sandbox's home directory.
    fn link(&self, home: &Path) -> io::Result<()> {
        for path in &self.read {
            let Some(place) = path.strip_prefix(home).ok().filter(|place| !place.as_os_str().is_empty())
            else {
                continue;
            };
            let link = self.home().join(place);
            if let Some(parent) = link.parent() {
                fs::create_dir_all(parent)?;
            }
            match symlink(path, &link) {
                // It was named twice, or lies in a directory that was named before.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => linked?,
            }
        }
        Ok(())
    }
}

/// Where the `PATH` has this program.
fn find_program(name: &Path) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&directories).map(|directory| directory.join(name));
    all.find(|path| path.is_file())
}
