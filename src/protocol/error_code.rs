//! The reasons why a job failed or was rejected.

use super::open_enum::open_enum;
use crate::text::printable;

open_enum! {
    /// Why a job failed or was rejected.
    ErrorCode {
        /// The revision is malformed, unknown to the repository, or an abbreviated commit.
        InvalidRevision = "invalid_revision",
        /// The action is unknown, or this listener does not support it.
        InvalidAction = "invalid_action",
        /// Another job is running; `running_job` has its id.
        AlreadyRunning = "already_running",
        /// The build failed.
        BuildFailed = "build_failed",
        /// The phases before activation took longer than allowed.
        Timeout = "timeout",
        /// The builder does not have the repository; the message lists those it has.
        UnknownRepo = "unknown_repo",
        /// The request is not JSON, is too large, or has an invalid field, which the message names.
        InvalidRequest = "invalid_request",
        /// The request arrived after its `expires_at`.
        Expired = "expired",
        /// The job was cancelled.
        Cancelled = "cancelled",
        /// The job could no longer be cancelled.
        TooLate = "too_late",
        /// The host does not know the job.
        NotFound = "not_found",
        /// The request lacks a valid signature of a trusted key.
        NotPermitted = "not_permitted",
        /// The host is on hold.
        Held = "held",
        /// The flake does not evaluate.
        EvaluationFailed = "evaluation_failed",
        /// The repository could not be reached.
        SourceUnreachable = "source_unreachable",
        /// The host rejected the change beforehand: it is degraded, its disk is full, or it could not confirm its
        /// connection.
        Unhealthy = "unhealthy",
        /// The check of the new system failed.
        CheckRefused = "check_refused",
        /// Activation failed.
        ActivationFailed = "activation_failed",
        /// The new system failed its verification: a unit, a health check or the confirmation.
        VerificationFailed = "verification_failed",
        /// The system profile or the boot loader could not be updated.
        PersistFailed = "persist_failed",
        /// The rollback failed.
        RollbackFailed = "rollback_failed",
        /// The host or its listener stopped during the job.
        Interrupted = "interrupted",
        /// An internal error; the message has the cause.
        Internal = "internal",
    }
}

impl ErrorCode {
    /// The code for people: `verification failed`.
    pub fn words(&self) -> String {
        printable(self.as_str()).replace('_', " ")
    }
}
