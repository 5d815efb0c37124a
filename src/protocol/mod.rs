//! The wire format: all subjects and messages, with their validation. Pure data, no I/O and no clock.
//!
//! The *base* format is the one that existing fleets use. Every field beyond it is optional, so that peers of different
//! versions are compatible. Unknown fields and unknown enum values never make a message invalid.
//!
//! See ARCHITECTURE.md, "Messages and keys".

mod action;
mod build;
mod codec;
mod components;
mod error_code;
mod identity;
mod inbound;
mod interned;
mod log_line;
mod name;
mod open_enum;
mod phases;
mod presence;
mod public_key;
mod query;
mod reply;
mod report;
mod request;
mod revision;
mod rollout;
mod signature;
mod subject;

pub use action::Action;
pub use build::{BuildHost, BuildReport, BuildRequest, BuildStatus};
pub use codec::{MAX_ENCODED, MAX_MESSAGE, WireError};
pub use components::{Component, ComponentState, Components, EngineKind, MAX_COMPONENTS};
pub use error_code::ErrorCode;
pub use identity::{HostIdentity, PresenceMismatch, UnprovenReason};
pub use inbound::Inbound;
pub use interned::InternedStr;
pub use log_line::LogLine;
pub use name::{Id, Name, NameError};
pub use phases::{Phase, PhaseName, PhaseState, Phases};
pub use presence::Presence;
pub use public_key::{PUBLIC_KEY_HINT, PublicKey, PublicKeyError};
pub use query::{Query, QueryKind};
pub use reply::{HistoryEntry, HistoryReply, JobReply, LogReply, QueryReply};
pub use report::{Changes, DeployReport, PackageChange, Progress, Status};
pub use request::{
    DeployRequest, HoldReasonError, MAX_HOLD_REASON, MAX_SERVICES, OnFailure, REQUEST_LIFETIME,
    RejectedRequest, check_hold_reason,
};
pub use revision::{Revision, RevisionError, is_commit};
pub use rollout::{
    BatchRun, ControlAnswer, ROLLOUT_CONTROLS, ROLLOUTS, RolloutCommand, RolloutControl, RolloutState,
    RolloutStatus, is_rollout_subject, rollout_control_subject, rollout_subject,
};
pub use signature::{
    KEY_HEADER, MAX_LIFETIME, Purpose, SIGNATURE_HEADER, decode_signature, encode_signature, signed_bytes,
};
pub use subject::{
    BUILD_REPORTS, DEPLOY_TEMPLATES, DISCOVER, Destination, PRESENCE, REPORTS, REPORTS_PER_HOST, ReplyTo,
    ReplyToError, SubjectError, TemplateError, build_report_subject, build_subject, check_request_subject,
    expand_template, host_subject, is_response, log_subject, overlaps, per_host_reply_subject,
    per_host_report_subject, reply_subject, report_subject, role_subject, subject_host, tier_subject,
};
