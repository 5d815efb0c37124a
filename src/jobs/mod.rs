//! Jobs on disk: the record of each, the store that keeps them, and what is decided about them.
//!
//! What a host is doing is known by its job's record and by nothing else.

mod admission;
mod at_hand;
mod deployed_commits;
mod external_command;
mod folder;
mod history;
mod hold;
mod identity;
mod lock;
mod orders;
mod record;
mod resume;
mod seen;
mod state_dir;
mod store;

pub use admission::{Admission, admit};
pub use at_hand::{AtHand, Known};
pub use deployed_commits::{BranchCommit, DeployedCommits, UnknownDeployed};
pub use external_command::ExternalCommand;
pub use folder::{HealthRules, JobFolder, Proof};
pub use history::{History, Page};
pub use hold::Hold;
pub use identity::{Identity, Sequence, now};
pub use lock::ActivationLock;
pub use orders::{Orders, PeersBefore};
pub use record::{AcceptanceOrder, Record, System};
pub use resume::{HostNow, Resume};
pub use seen::Seen;
pub use state_dir::StateDir;
pub use store::{Store, StoreError};
