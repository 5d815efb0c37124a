//! Codes for a person's confirmation. Each one is issued with one question and is valid only for it.

use crate::client::{HostRequest, Intent, Plan};
use data_encoding::BASE32_NOPAD;
use rustix::rand::{GetRandomFlags, getrandom};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lifetime of a code.
pub(super) const CODE_LIFETIME: Duration = Duration::from_mins(10);
/// Maximum number of stored codes; the oldest are dropped first.
const MAX_CODES: usize = 64;
/// Number of random bytes in a code; they become 16 characters that cannot be guessed.
const BYTES: usize = 10;

/// What a code confirms: everything that determines the effect of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfirmationScope {
    /// Action, revision and options of the requests.
    intent: Intent,
    /// Subjects, hosts with their tiers, flakes and commits.
    requests: Vec<HostRequest>,
}

impl From<&Plan> for ConfirmationScope {
    fn from(plan: &Plan) -> Self {
        Self { intent: plan.intent.clone(), requests: plan.requests.clone() }
    }
}

/// Why a code is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodeError {
    #[error("invalid `confirm`: the code is unknown, already used, or older than {} minutes", CODE_LIFETIME.as_secs() / 60)]
    Unknown,
    #[error(
        "invalid `confirm`: the code belongs to another question (hosts, revision, commit or action differ)"
    )]
    OtherScope,
}

struct IssuedCode {
    code: String,
    scope: ConfirmationScope,
    at: Instant,
}

/// The codes that were issued and not used.
#[derive(Default)]
pub(super) struct ConfirmationCodes(Mutex<Vec<IssuedCode>>);

impl ConfirmationCodes {
    /// Issues a new code for a question.
    pub(super) fn issue(&self, scope: ConfirmationScope) -> io::Result<String> {
        let mut bytes = [0; BYTES];
        if getrandom(&mut bytes, GetRandomFlags::empty())? < BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let code = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        let mut issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|issued| issued.at.elapsed() < CODE_LIFETIME);
        if issued.len() == MAX_CODES {
            issued.remove(0);
        }
        issued.push(IssuedCode { code: code.clone(), scope, at: Instant::now() });
        Ok(code)
    }

    /// Uses a code for its question. A code for another question stays valid.
    pub(super) fn redeem(&self, code: &str, scope: &ConfirmationScope) -> Result<(), CodeError> {
        let mut issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|issued| issued.at.elapsed() < CODE_LIFETIME);
        let at = issued.iter().position(|issued| issued.code == code).ok_or(CodeError::Unknown)?;
        if issued[at].scope != *scope {
            return Err(CodeError::OtherScope);
        }
        issued.remove(at);
        Ok(())
    }
}
