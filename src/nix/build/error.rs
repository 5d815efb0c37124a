//! Why a host's system was not built.

use crate::protocol::ErrorCode;
use std::io;
use std::process::ExitStatus;

/// Why a host's system was not built. Every text is free of credentials.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The flake does not have the host.
    #[error(
        "{flake} has no nixosConfigurations.{attr:?}.config.system.build.toplevel; {advice}; where the flake calls the host \
         otherwise, name that: --flake-attr of its listener, `flake_attrs` in the builder's configuration"
    )]
    MissingHost {
        /// What the flake should call it.
        attr: String,
        /// Where it was looked for.
        flake: String,
        /// What to do about it.
        advice: String,
    },
    /// The flake's lock file is missing, or does not fit the flake.
    #[error(
        "{flake} has inputs that no flake.lock pins, so each build could be another: run `nix flake lock` there, \
         commit the flake.lock and push it"
    )]
    NotLocked {
        /// The flake.
        flake: String,
    },
    /// The flake, or the host in it, is wrong.
    #[error("{host:?} of {flake} does not evaluate: {said}; fix it in the flake, then deploy again")]
    Evaluation {
        /// The host.
        host: String,
        /// The flake.
        flake: String,
        /// What nix said, and where in the flake.
        said: String,
    },
    /// nix on this host is not set up, or its daemon does not run.
    #[error("nix is not set up on the machine that builds {host:?}: {said}; {advice}, then deploy again")]
    NotSetUp {
        /// The host.
        host: String,
        /// What nix said.
        said: String,
        /// What to do.
        advice: &'static str,
    },
    /// A derivation did not build.
    #[error("{host:?} did not build: {said}{}; look at the job's log", log_ends(log))]
    Failed {
        /// The host.
        host: String,
        /// Which derivation, and why.
        said: String,
        /// The last lines of its log.
        log: String,
    },
    /// No cache holds it, and nothing may be built here.
    #[error(
        "{host:?} of {flake} is not in a cache that this host uses, and this listener builds nothing itself (--no-local-build): \
         have the builder build it first, with `homelab-deploy build {host}` or `deploy --build-first`"
    )]
    NotCached {
        /// The host.
        host: String,
        /// The flake.
        flake: String,
    },
    /// The flake, one of its inputs, or something from a cache could not be fetched.
    #[error("could not fetch {flake} or what it needs: {said}; {advice}")]
    Unreachable {
        /// The flake.
        flake: String,
        /// What git or nix said.
        said: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// nix ended without giving a reason: killed for want of memory, mostly.
    #[error("nix ended with {status} while it built {host:?}{said}; see whether the host ran out of memory")]
    Ended {
        /// The host.
        host: String,
        /// How it ended.
        status: ExitStatus,
        /// What other programs said.
        said: String,
    },
    /// The build was asked to stop, and nothing of it runs any more.
    #[error("the build of {host:?} was stopped")]
    Stopped {
        /// The host.
        host: String,
    },
    /// There is no nix on the `PATH`.
    #[error("nix is not installed here; put it on the service's PATH")]
    NoNix,
    /// nix could not be run, or its output could not be read.
    #[error("could not run nix to build {host:?}: {source}; try again")]
    Run {
        /// The host.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// nix was content and named no system.
    #[error(
        "nix built {host:?} and named no store path: {said:?}; is its toplevel a derivation with one output?"
    )]
    NoResult {
        /// The host.
        host: String,
        /// What nix printed instead.
        said: String,
    },
}

impl BuildError {
    /// The same without the end of the log, for where that is told beside it.
    pub fn in_short(&self) -> String {
        match self {
            Self::Failed { host, said, .. } => format!("{host:?} did not build: {said}"),
            error => error.to_string(),
        }
    }

    /// The code for the report.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MissingHost { .. } | Self::NotLocked { .. } | Self::Evaluation { .. } => {
                ErrorCode::EvaluationFailed
            }
            Self::NotCached { .. } | Self::Failed { .. } | Self::Ended { .. } | Self::NoResult { .. } => {
                ErrorCode::BuildFailed
            }
            Self::NotSetUp { .. } => ErrorCode::Unhealthy,
            Self::Unreachable { .. } => ErrorCode::SourceUnreachable,
            Self::Stopped { .. } => ErrorCode::Cancelled,
            Self::NoNix | Self::Run { .. } => ErrorCode::Internal,
        }
    }
}

fn log_ends(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; its log ends: {log}") }
}
