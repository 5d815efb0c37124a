//! Codes that stand for a person's agreement. Each is given out with one question and is good for that alone.

use crate::deployer::{Intent, Parcel, Plan};
use data_encoding::BASE32_NOPAD;
use rustix::rand::{GetRandomFlags, getrandom};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a code is good.
pub(super) const GOOD_FOR: Duration = Duration::from_mins(10);
/// How many codes are kept; the oldest go first.
const KEPT: usize = 64;
/// The random bytes of a code: 16 characters, which cannot be guessed.
const BYTES: usize = 10;

/// Everything that decides what is done: what a code is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// Action, revision, and whatever else the requests say.
    intent: Intent,
    /// Subjects, hosts with their tiers, flakes and commits.
    parcels: Vec<Parcel>,
}

impl From<&Plan> for Question {
    fn from(plan: &Plan) -> Self {
        Self { intent: plan.intent.clone(), parcels: plan.parcels.clone() }
    }
}

/// Why a code was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodeError {
    #[error("`confirm` is no code that this server gave out, or it was used, or it is older than {} minutes", GOOD_FOR.as_secs() / 60)]
    Unknown,
    #[error("`confirm` is the code of another question: hosts, revision, commit or action differ")]
    OtherQuestion,
}

struct Given {
    code: String,
    question: Question,
    at: Instant,
}

/// The codes that were given out and not used.
#[derive(Default)]
pub(super) struct Codes(Mutex<Vec<Given>>);

impl Codes {
    /// A new code for a question.
    pub(super) fn give(&self, question: Question) -> io::Result<String> {
        let mut bytes = [0; BYTES];
        if getrandom(&mut bytes, GetRandomFlags::empty())? < BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let code = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|given| given.at.elapsed() < GOOD_FOR);
        if given.len() == KEPT {
            given.remove(0);
        }
        given.push(Given { code: code.clone(), question, at: Instant::now() });
        Ok(code)
    }

    /// Uses a code up for its question. For another one it stays as it is.
    pub(super) fn take(&self, code: &str, question: &Question) -> Result<(), CodeError> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|given| given.at.elapsed() < GOOD_FOR);
        let at = given.iter().position(|given| given.code == code).ok_or(CodeError::Unknown)?;
        if given[at].question != *question {
            return Err(CodeError::OtherQuestion);
        }
        given.remove(at);
        Ok(())
    }
}
