//! The system profile: a link to its present generation, which is a link to a store path.

use super::call::{Nix, NixCause, NixError, call};
use jiff::Timestamp;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The system profile of a NixOS host.
pub const SYSTEM_PROFILE: &str = "/nix/var/nix/profiles/system";
/// The most that is read of what nix prints, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;

/// A profile, by the path of its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    path: PathBuf,
}

/// One generation of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// The store path that it keeps.
    pub system: PathBuf,
    /// When it was made.
    pub at: Timestamp,
    /// Whether the profile is at it.
    pub current: bool,
}

/// The generation that a profile was set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetTo {
    /// Its number.
    pub generation: u64,
    /// Whether it was made for this. nix takes its newest generation again where that is the same system.
    pub made: bool,
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

    /// What the link says, such as `system-42-link`; nothing where there is no such profile.
    pub fn link(&self) -> Result<Option<PathBuf>, NixError> {
        read_link(&self.path).map_err(|error| self.failed("read the profile", error))
    }

    /// The store path that the profile is at; nothing where there is no such profile.
    pub fn target(&self) -> Result<Option<PathBuf>, NixError> {
        let Some(link) = self.link()? else { return Ok(None) };
        let generation = self.beside(&link);
        match fs::read_link(&generation) {
            Ok(target) => Ok(Some(target)),
            // A profile without generations links to its store path at once.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(Some(generation)),
            Err(error) => {
                Err(NixCause::Io(error).when(format!("read {} of a profile", generation.display())))
            }
        }
    }

    /// The number of the generation that the profile is at; nothing where there is none.
    pub fn generation(&self) -> Result<Option<u64>, NixError> {
        Ok(self.link()?.and_then(|link| self.number(&link)))
    }

    /// Every generation, the oldest first.
    pub fn generations(&self) -> Result<Vec<Generation>, NixError> {
        let current = self.generation()?;
        let list = || -> io::Result<Vec<Generation>> {
            let mut generations = Vec::new();
            for entry in fs::read_dir(self.folder())? {
                let path = entry?.path();
                let Some(number) = self.number(&path) else { continue };
                // One that is deleted at this moment is none.
                let Some(system) = read_link(&path)? else { continue };
                let Ok(found) = path.symlink_metadata() else { continue };
                let at = Timestamp::try_from(found.modified()?).unwrap_or(Timestamp::UNIX_EPOCH);
                generations.push(Generation { number, system, at, current: current == Some(number) });
            }
            generations.sort_by_key(|generation| generation.number);
            Ok(generations)
        };
        list().map_err(|error| self.failed("list the generations of", error))
    }

    /// The link of a generation, for [`Profile::switch_link`].
    pub fn link_of(&self, generation: u64) -> PathBuf {
        format!("{}-{generation}-link", self.name()).into()
    }

    /// Points the profile at a link that it had before, at once and for good: a crash leaves the old link or the new
    /// one. The system in question must still be there.
    pub fn switch_link(&self, link: &Path) -> Result<(), NixError> {
        let beside = self.folder().join(format!(".{}.new", self.name()));
        let switch = || -> io::Result<()> {
            self.beside(link).metadata()?;
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => symlink(link, &beside)?,
            }
            fs::rename(&beside, &self.path)?;
            File::open(self.folder())?.sync_all()
        };
        switch().map_err(|error| {
            let _ = fs::remove_file(&beside);
            NixCause::Io(error).when(format!("switch {} to {}", self.path.display(), link.display()))
        })
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }

    /// What a link of the profile names.
    fn beside(&self, link: &Path) -> PathBuf {
        self.folder().join(link)
    }

    /// 42 of `system-42-link`.
    fn number(&self, link: &Path) -> Option<u64> {
        let rest = link.file_name()?.to_str()?.strip_prefix(&*self.name())?;
        rest.strip_prefix('-')?.strip_suffix("-link")?.parse().ok()
    }

    fn failed(&self, doing: &str, error: io::Error) -> NixError {
        NixCause::Io(error).when(format!("{doing} {}", self.path.display()))
    }
}

impl Nix {
    /// Sets the profile to a system, by a generation that is new unless the newest is the same system.
    pub async fn set(&self, profile: &Profile, system: &Path) -> Result<SetTo, NixError> {
        let before = if profile.link()?.is_some() { profile.generations()? } else { Vec::new() };
        let doing = || format!("set the profile {} to {}", profile.path.display(), system.display());
        let mut command = self.program("nix-env");
        command.arg("--profile").arg(&profile.path).arg("--set").arg(system);
        call(command, MAX_OUTPUT).await.map_err(|cause| cause.when(doing()))?;
        let at = profile.target()?;
        match profile.generation()? {
            Some(generation) if at.as_deref() == Some(system) => {
                let made = before.iter().all(|known| known.number != generation);
                Ok(SetTo { generation, made })
            }
            _ => Err(NixCause::Odd(format!("nix reports success, but it is at {at:?}")).when(doing())),
        }
    }

    /// Deletes a generation that the profile is not at. One that is gone already is as good.
    pub async fn delete_generation(&self, profile: &Profile, generation: u64) -> Result<(), NixError> {
        let doing = || format!("delete generation {generation} of {}", profile.path.display());
        if profile.generation()? == Some(generation) {
            return Err(NixCause::Odd("the profile is at it; switch it first".into()).when(doing()));
        }
        let mut command = self.program("nix-env");
        command.arg("--profile").arg(&profile.path).arg("--delete-generations").arg(generation.to_string());
        call(command, MAX_OUTPUT).await.map_err(|cause| cause.when(doing()))?;
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
