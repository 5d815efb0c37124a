//! The wire: every subject and message, with its validation. Pure data, no I/O and no clock.
//!
//! An existing fleet speaks the *base* format; every field beyond it is optional, so that peers of different
//! age serve each other. Unknown fields and unknown words never break a message.

mod answer;
mod ask;
mod build;
mod host_answer;
mod identity;
mod inbound;
mod log_line;
mod name;
mod public_key;
mod reason;
mod report;
mod report_parts;
mod request;
mod revision;
mod shared;
mod signature;
mod subject;
mod template;
mod text;
mod wire;
mod words;

pub use answer::{Answer, HistoryAnswer, HistoryEntry, JobAnswer, LogAnswer};
pub use ask::Ask;
pub use build::{BuildHost, BuildReport, BuildRequest};
pub use host_answer::HostAnswer;
pub use identity::{Difference, Doubt, Identity};
pub use inbound::Inbound;
pub use log_line::LogLine;
pub use name::{Id, Name, NameError};
pub use public_key::{PublicKey, PublicKeyError, WRITE_KEY};
pub use reason::{MAX_REASON, ReasonError, reason};
pub use report::DeployReport;
pub use report_parts::{Changes, PackageChange, Phase, Phases, Progress};
pub use request::{BadRequest, DeployRequest};
pub use revision::{Revision, RevisionError, is_commit};
pub use shared::SharedText;
pub use signature::{
    KEY_HEADER, MAX_LIFE, Purpose, SIGNATURE_HEADER, decode_signature, encode_signature, signed_bytes,
};
pub use subject::{
    BUILD_REPORTS, DISCOVER, Destination, PRESENCE, REPORTS, REPORTS_PER_HOST, ReplyTo, ReplyToError,
    SubjectError, check_literal, host_of, is_base_response, of_answer, of_answers_per_host, of_build,
    of_build_report, of_host, of_log, of_report, of_reports_per_host, of_role, of_tier, overlaps,
};
pub use template::{DEPLOY_TEMPLATES, TemplateError, expand};
pub use text::{fit_end, fit_start, holds_seed, is_invisible, near, printable, printable_lines, shell_word};
pub use wire::{MAX_ENCODED, MAX_MESSAGE, WireError};
pub use words::{Action, BuildStatus, ErrorCode, OnFailure, PhaseName, PhaseState, Status, Want};
