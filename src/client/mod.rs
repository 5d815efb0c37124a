//! Operator commands: discover hosts, deploy, cancel, query jobs. CLI, console and MCP server share this API.
//!
//! See ARCHITECTURE.md, "The operator's side".

mod build;
mod commit_clones;
mod commits;
mod error;
mod follow;
mod follow_event;
mod handover;
mod heads;
mod host_messages;
mod inventory;
mod key_status;
mod known_hosts;
mod left_out;
mod log;
mod message_tap;
mod missing_services;
mod operator;
mod peer_confirmer;
mod plan;
mod prebuild;
mod rollout;
mod rollout_runner;
mod rollout_statuses;
mod rollout_strategy;
mod saved_rollouts;
mod selection;
mod summary;
mod tracked_host;
mod watch;

pub use build::{BuildEvent, BuildFollower, BuildResult, BuildSpec, BuildSummary};
pub use commit_clones::CommitClones;
pub use commits::{COMMITS_WITHIN, commits, flake_commits};
pub use error::{DeployError, NameConflict};
pub use follow::DeploymentFollower;
pub use follow_event::{BatchStarted, FollowEvent};
pub use handover::{DetachedProcess, DetachedRunner, HandoverError, HandoverReceiver, RolloutHandover};
pub use heads::{HEADS_WITHIN, heads, missing_revision};
pub use inventory::{Inventory, InventoryEntry, InventoryError};
pub use key_status::{KeyStatus, KeyUse};
pub use known_hosts::{KnownHost, KnownHosts};
pub use left_out::LeftOutReason;
pub use log::{LogEvent, LogFollower, LogSplicer, LogStart};
pub use message_tap::MessageTap;
pub use missing_services::MissingServices;
pub use operator::{Discovery, Operator, Replies, Reply};
pub use plan::{HostRequest, Intent, NamedFlake, Plan, check_single_instance};
pub use prebuild::prebuild;
pub use rollout::{Batch, RequestState, Rollout, RolloutStep, StopReason};
pub use rollout_runner::{LocalCommand, LocalCommands};
pub use rollout_statuses::{RolloutStatuses, rollout_control, send_rollout_control};
pub use rollout_strategy::{
    BatchKind, BatchSize, Canary, Candidate, OrderKey, RolloutError, RolloutStrategy, parse_pause,
};
pub use saved_rollouts::{ResumeError, discard_rollout, interrupted_rollouts};
pub use selection::{Alias, Selection, SelectionError, Target, hosts_of};
pub use summary::{DeploymentSummary, HostResult, LeftOutHost, ResultKind};
pub use watch::{Watch, WatchEvent};
