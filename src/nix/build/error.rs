//! The errors of building a host's system.

use crate::protocol::ErrorCode;
use std::io;
use std::process::ExitStatus;

/// Why a host's system was not built. Messages contain no credentials.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The flake does not have the host.
    #[error(
        "{flake} has no nixosConfigurations.{attr:?}.config.system.build.toplevel; {advice}; if the flake uses another name for \
         the host, set it with --flake-attr of the listener and `flake_attrs` in the builder's configuration"
    )]
    MissingHost {
        /// The attribute name that was looked up.
        attr: String,
        /// The URL of the flake that was searched, without credentials.
        flake: String,
        /// What to do about it.
        advice: String,
    },
    /// The flake's lock file is missing or outdated.
    #[error(
        "{flake} has inputs that its flake.lock does not pin, so builds could differ: run `nix flake lock` there, \
         commit the flake.lock and push it"
    )]
    NotLocked {
        /// The URL of the flake, without credentials.
        flake: String,
    },
    /// The flake or its host does not evaluate.
    #[error("{host:?} of {flake} does not evaluate: {message}; fix it in the flake, then deploy again")]
    Evaluation {
        /// The host to build.
        host: String,
        /// The URL of the flake, without credentials.
        flake: String,
        /// nix's message, with the location in the flake.
        message: String,
    },
    /// nix on this host is not set up, or its daemon does not run.
    #[error("nix is not set up on the machine that builds {host:?}: {message}; {advice}, then deploy again")]
    NotSetUp {
        /// The host to build.
        host: String,
        /// nix's message.
        message: String,
        /// What to do about it, without the final "deploy again".
        advice: &'static str,
    },
    /// A derivation did not build.
    #[error("{host:?} did not build: {message}{}; look at the job's log", log_suffix(log))]
    Failed {
        /// The host to build.
        host: String,
        /// The derivation that failed, and why.
        message: String,
        /// The last lines of the derivation's log.
        log: String,
    },
    /// The system is in no cache, and this listener builds nothing.
    #[error(
        "{host:?} of {flake} is not in any cache of this host, and this listener does not build (--no-local-build): \
         let the builder build it first, with `homelab-deploy build {host}` or `deploy --build-first`"
    )]
    NotCached {
        /// The host to build.
        host: String,
        /// The URL of the flake, without credentials.
        flake: String,
    },
    /// The flake, one of its inputs, or something from a cache could not be fetched.
    #[error("could not fetch {flake} or what it needs: {message}; {advice}")]
    Unreachable {
        /// The URL of the flake, without credentials.
        flake: String,
        /// The message of git or nix.
        message: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// nix ended without a reason, usually because the kernel killed it when memory ran out.
    #[error(
        "nix ended with {status} while building {host:?}{message}; check whether the host ran out of memory"
    )]
    Exited {
        /// The host to build.
        host: String,
        /// nix's exit status.
        status: ExitStatus,
        /// The last lines of other programs, after a colon; empty if there are none.
        message: String,
    },
    /// The build was stopped on request. None of its processes remain.
    #[error("the build of {host:?} was stopped")]
    Stopped {
        /// The host to build.
        host: String,
    },
    /// nix is not on the `PATH`.
    #[error("nix is not installed here; put it on the service's PATH")]
    NixNotFound,
    /// nix could not be run, or its output could not be read.
    #[error("could not run nix to build {host:?}: {source}; try again")]
    Io {
        /// The host to build.
        host: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// nix succeeded but printed no store path.
    #[error(
        "nix built {host:?} but printed no store path: {message:?}; check that its toplevel is a derivation with one output"
    )]
    NoStorePath {
        /// The host to build.
        host: String,
        /// What nix printed instead.
        message: String,
    },
}

impl BuildError {
    /// The message without the end of the log, for output that shows the log separately.
    pub fn summary(&self) -> String {
        match self {
            Self::Failed { host, message, .. } => format!("{host:?} did not build: {message}"),
            error => error.to_string(),
        }
    }

    /// The error code for the job's report.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MissingHost { .. } | Self::NotLocked { .. } | Self::Evaluation { .. } => {
                ErrorCode::EvaluationFailed
            }
            Self::NotCached { .. } | Self::Failed { .. } | Self::Exited { .. } | Self::NoStorePath { .. } => {
                ErrorCode::BuildFailed
            }
            Self::NotSetUp { .. } => ErrorCode::Unhealthy,
            Self::Unreachable { .. } => ErrorCode::SourceUnreachable,
            Self::Stopped { .. } => ErrorCode::Cancelled,
            Self::NixNotFound | Self::Io { .. } => ErrorCode::Internal,
        }
    }
}

fn log_suffix(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; its log ends: {log}") }
}
