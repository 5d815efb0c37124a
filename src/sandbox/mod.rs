//! A sandbox for nix and git while they process flakes from other people. They can access only what fetching, evaluating and
//! building needs, so that no flake input can copy a credential of this machine into the store.
//!
//! A Landlock sandbox can only be entered by the process itself, and running code between fork and exec would need `unsafe`.
//! Therefore our own executable is started, which enters the sandbox and then executes the program.

mod enter;
#[cfg(target_os = "linux")]
mod paths;

use crate::private_file;
use crate::text::shell_word;
use crate::unattended::captured;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::process::Command;

pub use enter::{SandboxError, SandboxRules, check_sandbox, enter_sandbox};

/// The paths that nix and git may access in addition to what they always need. The sandbox's home and temporary directories are
/// removed when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Our own executable.
    program: PathBuf,
    directory: Arc<TempDir>,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

impl Sandbox {
    /// A sandbox that allows reading these files and directories. Those below `$HOME` are linked at the same place in the sandbox's
    /// home directory, which is otherwise empty.
    pub fn new(may_read: &[PathBuf]) -> io::Result<Self> {
        let directory = private_file::temporary_dir("homelab-deploy-nix")?;
        // Without a daemon, nix's build users must be able to reach their build directories inside.
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

    /// Allows reading another file or directory.
    #[must_use]
    pub fn with_readable(mut self, path: PathBuf) -> Self {
        self.read.push(path);
        self
    }

    /// Allows reading and writing a file or directory.
    #[must_use]
    pub fn with_writable(mut self, path: PathBuf) -> Self {
        self.write.push(path);
        self
    }

    /// The command that runs a program in the sandbox.
    pub fn command(&self, program: &str) -> Command {
        if find_program(program.as_ref()).is_none() {
            // Spawning this fails with `NotFound`, as it does without a sandbox.
            return captured(self.home().join(program));
        }
        let mut command = captured(&self.program);
        command.args(self.arguments(program));
        command
    }

    /// The same command quoted for a shell, which may append arguments.
    pub fn shell_command(&self, program: &str) -> String {
        let own_program = [self.program.clone().into_os_string()];
        let words = own_program.into_iter().chain(self.arguments(program));
        let quoted = words.map(|word| shell_word(&word.to_string_lossy()));
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

    /// Links the readable paths below `home` at the same place in the sandbox's home directory.
    fn link(&self, home: &Path) -> io::Result<()> {
        for path in &self.read {
            let Some(relative) =
                path.strip_prefix(home).ok().filter(|relative| !relative.as_os_str().is_empty())
            else {
                continue;
            };
            let link = self.home().join(relative);
            if let Some(parent) = link.parent() {
                fs::create_dir_all(parent)?;
            }
            match symlink(path, &link) {
                // The path is listed twice, or is below a listed directory.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => linked?,
            }
        }
        Ok(())
    }
}

/// Finds a program on the `PATH`.
fn find_program(name: &Path) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&directories).map(|directory| directory.join(name));
    all.find(|path| path.is_file())
}
