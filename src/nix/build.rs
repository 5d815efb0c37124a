//! Builds a host's system from a flake that is pinned to one commit.

mod diagnosis;
mod error;
mod lines;
mod message_format;
mod nix_error;
mod process;

use super::command::Nix;
use super::fetch_cache::run_with_cache_repair;
use super::{FlakeAttr, FlakeHosts, FlakeUrl, LockedFlake, NixLine};
use crate::git::use_batch_mode;
use crate::protocol::Name;
use crate::text::fitting_prefix;
use process::BuildProcess;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use error::BuildError;
pub(super) use lines::LineReader;
pub use lines::LogTail;

/// The host to build, and the flake to build it from.
#[derive(Debug, Clone)]
pub struct HostBuildSpec {
    /// The flake. Its credentials are redacted from all output.
    pub flake: FlakeUrl,
    /// The flake, pinned to its commit.
    pub locked: LockedFlake,
    /// The name of the host.
    pub host: Name,
    /// The host's attribute name below `nixosConfigurations`.
    pub attr: FlakeAttr,
    /// Absolute path of the result link, which protects the result from garbage collection.
    pub out_link: PathBuf,
}

/// What nix is building, for error messages.
#[derive(Debug)]
struct BuildContext {
    flake: FlakeUrl,
    /// The host, or `all`.
    host: String,
    /// The host's attribute name in the flake; `None` for all hosts.
    attr: Option<FlakeAttr>,
    /// Whether nix runs in a sandbox.
    is_sandboxed: bool,
}

impl Nix {
    /// Builds the host's system and returns its store path.
    ///
    /// Log lines and progress are sent to `output`, without the flake's credentials. nix waits while the channel is full, and
    /// continues if the receiver is dropped.
    ///
    /// `stop` terminates nix and all its descendants with SIGTERM, after 5 s with SIGKILL, and the result is
    /// [`BuildError::Stopped`]. Dropping the future does the same without waiting.
    pub async fn build(
        &self,
        spec: HostBuildSpec,
        output: mpsc::Sender<NixLine>,
        stop: &CancellationToken,
    ) -> Result<PathBuf, BuildError> {
        let mut arguments: Vec<OsString> = ["build", "--json", "--out-link"].map(Into::into).into();
        arguments.extend([spec.out_link.clone().into(), installable(&spec).into()]);
        if self.fetch_only {
            arguments.extend(["--max-jobs", "0", "--builders", ""].map(Into::into));
        }
        let host = spec.host.to_string();
        let context = self.context(spec.flake, &host, Some(spec.attr));
        let result = self.run(arguments, context, output, stop).await?;
        store_path(&result)
            .ok_or_else(|| BuildError::NoStorePath { host, message: fitting_prefix(&result, 500).to_owned() })
    }

    /// Lists the hosts of a flake without evaluating them. A flake without `nixosConfigurations` has none. `stop` works as in
    /// [`Nix::build`].
    pub async fn hosts(
        &self,
        flake: &FlakeUrl,
        locked: &LockedFlake,
        stop: &CancellationToken,
    ) -> Result<FlakeHosts, BuildError> {
        // The receiver is dropped at once because the progress of a listing is not shown.
        let (output, _) = mpsc::channel(1);
        let all = format!("{}#nixosConfigurations", locked.url);
        let arguments = ["eval", "--json", "--apply", "builtins.attrNames", &all].map(Into::into).into();
        let host = "all".to_owned();
        match self.run(arguments, self.context(flake.clone(), &host, None), output, stop).await {
            Ok(result) => match serde_json::from_str(&result) {
                Ok(names) => Ok(FlakeHosts::from_names(names)),
                Err(_) => {
                    Err(BuildError::NoStorePath { host, message: fitting_prefix(&result, 500).to_owned() })
                }
            },
            Err(BuildError::MissingHost { .. }) => Ok(FlakeHosts::default()),
            Err(error) => Err(error),
        }
    }

    fn context(&self, flake: FlakeUrl, host: &str, attr: Option<FlakeAttr>) -> BuildContext {
        BuildContext { flake, host: host.to_owned(), attr, is_sandboxed: self.is_sandboxed() }
    }

    /// Runs nix and returns its stdout.
    async fn run(
        &self,
        arguments: Vec<OsString>,
        context: BuildContext,
        output: mpsc::Sender<NixLine>,
        stop: &CancellationToken,
    ) -> Result<String, BuildError> {
        // A separate task, so that nix is terminated gracefully even if this future is dropped.
        let stop = stop.child_token();
        let _dropped = stop.clone().drop_guard();
        let host = context.host.clone();
        let invocation = NixInvocation { nix: self.clone(), arguments, context };
        let work = async move { invocation.run_with_cache_repair(output, &stop).await };
        let task = tokio::spawn(work.in_current_span());
        task.await.unwrap_or_else(|error| Err(BuildError::Io { host, source: io::Error::other(error) }))
    }
}

/// One call of nix.
struct NixInvocation {
    nix: Nix,
    arguments: Vec<OsString>,
    context: BuildContext,
}

impl NixInvocation {
    async fn run_with_cache_repair(
        self,
        output: mpsc::Sender<NixLine>,
        stop: &CancellationToken,
    ) -> Result<String, BuildError> {
        let (context, forward) = (&self.context, &output);
        let build = |command| async move {
            BuildProcess::start(command, context)?.follow(context, forward.clone(), stop).await
        };
        run_with_cache_repair(|| self.build_command(), Some(&output), build).await
    }

    async fn build_command(&self) -> Command {
        let mut command = self.nix.command();
        command.args(&self.arguments);
        // If git cannot be run here, nix cannot run it either and reports the error better.
        let _ = use_batch_mode(&mut command).await;
        self.context.flake.credentials().apply_to(&mut command);
        command
            .args(["--log-format", "internal-json"])
            // If nix updated the lock file, two hosts could build different systems from the same commit.
            .arg("--no-update-lock-file");
        command
    }
}

/// The installable of the host's toplevel. A [`FlakeAttr`] needs no escaping within the quotes.
fn installable(spec: &HostBuildSpec) -> String {
    format!("{}#nixosConfigurations.\"{}\".config.system.build.toplevel", spec.locked.url, spec.attr)
}

/// Parses the store path from nix's `[{"outputs":{"out":"/nix/store/…"}}]`.
fn store_path(result: &str) -> Option<PathBuf> {
    let result: serde_json::Value = serde_json::from_str(result).ok()?;
    Some(result[0]["outputs"]["out"].as_str()?.into())
}
