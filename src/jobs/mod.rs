//! Jobs on disk: the record of each job, the store that contains them, and the decisions about them.
//!
//! A job's record is the only source for what the host is doing.
//!
//! See ARCHITECTURE.md, "The listener".

mod activation_lock;
mod admission;
mod cache;
mod deployed_branches;
mod handover;
mod history;
mod hold;
mod job_dir;
mod record;
mod recovery;
mod store;

pub use activation_lock::ActivationLock;
pub use admission::{Admission, admit};
pub use cache::{CachedJob, JobCache};
pub use deployed_branches::{BranchCommit, DeployedBranches, DeployedBranchesError};
pub use handover::{Handover, PeerBaseline};
pub use history::{History, HistoryPage};
pub use hold::Hold;
pub use job_dir::{Confirmation, HealthRules, JobDir};
pub use record::{AcceptanceOrder, ExternalCommand, JobRecord, PreviousSystem, report_span, request_span};
pub use recovery::{CurrentHost, Recovery};
pub use store::JobStore;
