//! The system profile: a link to its current generation, which is a link to a store path.

use super::command::{Nix, NixCause, NixError, run_command};
use jiff::Timestamp;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The system profile of a NixOS host.
pub const SYSTEM_PROFILE: &str = "/nix/var/nix/profiles/system";
/// Maximum size of nix's output, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;

/// A profile, identified by the path of its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    path: PathBuf,
}

/// One generation of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The number of the generation.
    pub number: u64,
    /// The store path of the system.
    pub system: PathBuf,
    /// When it was created.
    pub at: Timestamp,
    /// Whether it is the current generation of the profile.
    pub current: bool,
}

/// The generation that a profile was set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetGeneration {
    /// The number of the generation.
    pub generation: u64,
    /// Whether the generation was created. nix reuses the newest generation if it has the same system.
    pub created: bool,
}

impl Default for Profile {
    /// The profile of NixOS.
    fn default() -> Self {
        Self::new(SYSTEM_PROFILE)
    }
}

impl Profile {
    /// The profile whose link is `path`, which is absolute.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path of its link.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The target of the profile's link, such as `system-42-link`; `None` if the profile does not exist.
    pub fn link(&self) -> Result<Option<PathBuf>, NixError> {
        read_link(&self.path).map_err(|error| self.failed("read the profile", error))
    }

    /// The store path of the current generation; `None` if the profile does not exist.
    pub fn target(&self) -> Result<Option<PathBuf>, NixError> {
        let Some(link) = self.link()? else { return Ok(None) };
        let generation = self.resolve_link(&link);
        match fs::read_link(&generation) {
            Ok(target) => Ok(Some(target)),
            // A profile without generations links directly to a store path.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(Some(generation)),
            Err(error) => {
                Err(NixCause::Io(error).context(format!("read {} of a profile", generation.display())))
            }
        }
    }

    /// The number of the current generation; `None` if there is none.
    pub fn generation(&self) -> Result<Option<u64>, NixError> {
        Ok(self.link()?.and_then(|link| self.number(&link)))
    }

    /// All generations, oldest first.
    pub fn generations(&self) -> Result<Vec<Generation>, NixError> {
        let current = self.generation()?;
        let list = || -> io::Result<Vec<Generation>> {
            let mut generations = Vec::new();
            for entry in fs::read_dir(self.dir())? {
                let path = entry?.path();
                let Some(number) = self.number(&path) else { continue };
                // A generation may be deleted during the listing.
                let Some(system) = read_link(&path)? else { continue };
                let Ok(found) = path.symlink_metadata() else { continue };
                let at = Timestamp::try_from(found.modified()?).unwrap_or(Timestamp::UNIX_EPOCH);
                generations.push(Generation { number, system, at, current: current == Some(number) });
            }
            generations.sort_unstable_by_key(|generation| generation.number);
            Ok(generations)
        };
        list().map_err(|error| self.failed("list the generations of", error))
    }

    /// The link name of a generation, for [`Profile::switch_link`].
    pub fn generation_link(&self, generation: u64) -> PathBuf {
        format!("{}-{generation}-link", self.name()).into()
    }

    /// Atomically points the profile to an earlier link, and syncs it to disk: after a crash the profile has the old or the new link.
    /// The link's system must still exist.
    pub fn switch_link(&self, link: &Path) -> Result<(), NixError> {
        let new_link = self.dir().join(format!(".{}.new", self.name()));
        let switch = || -> io::Result<()> {
            self.resolve_link(link).metadata()?;
            match fs::remove_file(&new_link) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => symlink(link, &new_link)?,
            }
            fs::rename(&new_link, &self.path)?;
            File::open(self.dir())?.sync_all()
        };
        switch().map_err(|error| {
            let _ = fs::remove_file(&new_link);
            NixCause::Io(error).context(format!("switch {} to {}", self.path.display(), link.display()))
        })
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }

    /// The absolute path of a link in the profile's directory.
    fn resolve_link(&self, link: &Path) -> PathBuf {
        self.dir().join(link)
    }

    /// The generation number of a link, such as 42 of `system-42-link`.
    fn number(&self, link: &Path) -> Option<u64> {
        let rest = link.file_name()?.to_str()?.strip_prefix(&*self.name())?;
        rest.strip_prefix('-')?.strip_suffix("-link")?.parse().ok()
    }

    fn failed(&self, operation: &str, error: io::Error) -> NixError {
        NixCause::Io(error).context(format!("{operation} {}", self.path.display()))
    }
}

impl Nix {
    /// Sets the profile to a system. Creates a new generation unless the newest one has the same system.
    pub async fn set_profile(&self, profile: &Profile, system: &Path) -> Result<SetGeneration, NixError> {
        let before = if profile.link()?.is_some() { profile.generations()? } else { Vec::new() };
        let operation = || format!("set the profile {} to {}", profile.path.display(), system.display());
        let mut command = self.program("nix-env");
        command.arg("--profile").arg(&profile.path).arg("--set").arg(system);
        run_command(command, MAX_OUTPUT).await.map_err(|cause| cause.context(operation()))?;
        let at = profile.target()?;
        match profile.generation()? {
            Some(generation) if at.as_deref() == Some(system) => {
                let created = before.iter().all(|known| known.number != generation);
                Ok(SetGeneration { generation, created })
            }
            _ => Err(NixCause::UnexpectedOutput(format!(
                "nix reports success, but the profile points to {at:?}"
            ))
            .context(operation())),
        }
    }

    /// Deletes a generation that is not the current one. Succeeds if it does not exist.
    pub async fn delete_generation(&self, profile: &Profile, generation: u64) -> Result<(), NixError> {
        let operation = || format!("delete generation {generation} of {}", profile.path.display());
        if profile.generation()? == Some(generation) {
            return Err(NixCause::UnexpectedOutput(
                "it is the current generation; switch to another one first".into(),
            )
            .context(operation()));
        }
        let mut command = self.program("nix-env");
        command.arg("--profile").arg(&profile.path).arg("--delete-generations").arg(generation.to_string());
        run_command(command, MAX_OUTPUT).await.map_err(|cause| cause.context(operation()))?;
        Ok(())
    }
}

fn read_link(path: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
