//! What an operator can do: discover hosts, deploy to them, cancel, ask how jobs stand and stood. One API that every face shares.

mod build;
mod error;
mod follow;
mod heads;
mod hints;
mod log;
mod operator;
mod outcome;
mod plan;
mod prebuild;
mod questions;
mod rollout;
mod roster;
mod selection;
mod vouch;
mod watch;
mod waves;

pub use build::{BuildFollow, BuildOutcome, BuildResult, BuildUpdate, BuildWish};
pub use error::DeployError;
pub use follow::{Follow, Update, WaveNews};
pub use heads::{HEADS_WITHIN, heads};
pub use hints::Hints;
pub use log::{Joiner, LogFollow, LogNews, LogStart};
pub use operator::{Discovery, Operator};
pub use outcome::{HostResult, Outcome, Verdict};
pub use plan::{Intent, Parcel, Plan, check_one};
pub use questions::{Replies, Told};
pub use rollout::{Part, Rollout, Step, Stopped, Wave};
pub use roster::{Roster, RosterEntry, RosterError};
pub use selection::{Alias, Selection, SelectionError, Target, hosts_of};
pub use watch::{News, Watch};
pub use waves::{Batch, Canary, OrderKey, Seat, WaveKind, Waves, WavesError, parse_pause};
