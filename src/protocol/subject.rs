//! Subjects: how each is spelled, which reply subjects are allowed, and when two overlap.

use super::{Id, Name, NameError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where operators ask and every listener answers.
pub const DISCOVER: &str = "deploy.discover";
/// Where listeners announce themselves.
pub const PRESENCE: &str = "deploy.responses.presence";
/// Reports on the base subjects, and all announcements.
pub const REPORTS: &str = "deploy.responses.*";
/// Reports on a subject per host. Replies on the base subjects come along.
pub const REPORTS_PER_HOST: &str = "deploy.responses.*.*";
/// Where the builder reports.
pub const BUILD_REPORTS: &str = "build.responses.*";

const RESPONSES: &str = "deploy.responses.";
const ANSWERS: &str = "deploy.responses.ask.";

/// Where one host takes requests.
pub fn of_host(tier: &Name, host: &Name) -> String {
    format!("deploy.{tier}.{host}")
}

/// Where every host of a tier takes requests.
pub fn of_tier(tier: &Name) -> String {
    format!("deploy.{tier}.all")
}

/// Where every host of a tier with that role takes requests.
pub fn of_role(tier: &Name, role: &Name) -> String {
    format!("deploy.{tier}.role.{role}")
}

/// Where the reports of one deployment go.
pub fn of_report(id: &Id) -> String {
    format!("{RESPONSES}{id}")
}

/// Where the answers to one ask go.
pub fn of_answer(id: &Id) -> String {
    format!("{ANSWERS}{id}")
}

/// Where the replies to one query go that are published on a subject per host.
pub fn of_answers_per_host(id: &Id) -> String {
    format!("{ANSWERS}{id}.*")
}

/// Where the reports of one deployment go that are published on a subject per host.
pub fn of_reports_per_host(id: &Id) -> String {
    format!("{RESPONSES}{id}.*")
}

/// The host that a message on `subject` is from, as far as the subject says so: a NATS server can let each host publish under
/// its own name only.
pub fn host_of(subject: &str) -> Option<&str> {
    let tokens: Vec<_> = subject.strip_prefix(RESPONSES)?.split('.').collect();
    match tokens[..] {
        ["ask", _] => None,
        ["ask", _, host] | [_, "log", host] | [_, host] => Some(host),
        _ => None,
    }
}

/// Whether a subject is a base subject for reports or replies: if a server lets hosts publish there, each can in any name.
pub fn is_base_response(subject: &str) -> bool {
    let is_response = subject.starts_with(RESPONSES) && subject != PRESENCE;
    is_response && host_of(subject).is_none()
}

/// Where the live log lines of one job go.
pub fn of_log(id: &Id, host: &Name) -> String {
    format!("{RESPONSES}{id}.log.{host}")
}

/// Where the builder takes requests for `target`, a host or `all`.
pub fn of_build(repo: Option<&Name>, target: &str) -> String {
    repo.map_or_else(|| format!("build.{target}"), |repo| format!("build.{repo}.{target}"))
}

/// Where the reports of one build go.
pub fn of_build_report(id: &Id) -> String {
    format!("build.responses.{id}")
}

/// Why a text is no reply subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyToError {
    /// Not under `deploy.responses.`.
    #[error("{0:?} is not `deploy.responses.<id>`")]
    NotAResponse(String),
    /// Its last token is no id.
    #[error("its last token is no id: {0}")]
    BadId(#[from] NameError),
}

/// A subject that may be replied to: `deploy.responses.<id>`, or for answers `deploy.responses.ask.<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplyTo {
    id: Id,
    answers: bool,
}

impl ReplyTo {
    /// `deploy.responses.<id>`.
    pub fn reports(id: Id) -> Self {
        Self { id, answers: false }
    }

    /// `deploy.responses.ask.<id>`.
    pub fn answers(id: Id) -> Self {
        Self { id, answers: true }
    }

    /// Reads either form.
    pub fn parse(text: &str) -> Result<Self, ReplyToError> {
        let shown = || ReplyToError::NotAResponse(text.chars().take(80).collect());
        if let Some(id) = text.strip_prefix(ANSWERS) {
            return Ok(Self::answers(Id::new(id)?));
        }
        let id = text.strip_prefix(RESPONSES).ok_or_else(shown)?;
        if id.contains('.') {
            return Err(shown());
        }
        Ok(Self::reports(Id::new(id)?))
    }

    /// The last token.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Whether this is the form for answers, which no report may use.
    pub fn is_for_answers(&self) -> bool {
        self.answers
    }
}

/// Where one host's reports or replies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// What the operator named.
    pub reply_to: ReplyTo,
    /// Whether the host's name is added to it.
    pub per_host: bool,
}

impl Destination {
    /// The subject for this host.
    pub fn subject(&self, host: &Name) -> String {
        if self.per_host { format!("{}.{host}", self.reply_to) } else { self.reply_to.to_string() }
    }
}

impl TryFrom<String> for ReplyTo {
    type Error = ReplyToError;
    fn try_from(text: String) -> Result<Self, ReplyToError> {
        Self::parse(&text)
    }
}

impl From<ReplyTo> for String {
    fn from(reply_to: ReplyTo) -> Self {
        reply_to.to_string()
    }
}

impl fmt::Display for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.answers { ANSWERS } else { RESPONSES })?;
        f.write_str(self.id.as_str())
    }
}

/// Why a text cannot be published to, or listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Empty tokens, blanks, or control characters.
    #[error("{0:?} is not a subject: tokens are separated by single dots and hold no blanks")]
    Malformed(String),
    /// Wildcards where a request is to be sent.
    #[error("{0:?} has wildcards; a request goes to one subject")]
    Wildcard(String),
    /// A subject that carries questions or reports.
    #[error("{0:?} overlaps {1}, which carries no requests")]
    Taken(String, &'static str),
}

/// Whether the text is a well-formed subject, wildcards allowed.
pub(super) fn check(subject: &str) -> Result<(), SubjectError> {
    let fine =
        |token: &str| !token.is_empty() && !token.contains(|c: char| c.is_whitespace() || c.is_control());
    let last = subject.split('.').count() - 1;
    let wild = |(i, token): (usize, &str)| token == ">" && i != last;
    if subject.split('.').all(fine) && !subject.split('.').enumerate().any(wild) {
        Ok(())
    } else {
        Err(SubjectError::Malformed(subject.to_owned()))
    }
}

/// Whether the subject carries questions or reports and so cannot carry requests.
pub(super) fn check_free(subject: &str) -> Result<(), SubjectError> {
    for taken in ["deploy.responses.>", "deploy.responses", DISCOVER] {
        if overlaps(subject, taken) {
            return Err(SubjectError::Taken(subject.to_owned(), taken));
        }
    }
    Ok(())
}

/// Checks a subject that an operator spelled out to send a request to.
pub fn check_literal(subject: &str) -> Result<(), SubjectError> {
    check(subject)?;
    if subject.split('.').any(|token| token == "*" || token == ">") {
        return Err(SubjectError::Wildcard(subject.to_owned()));
    }
    check_free(subject)
}

/// Whether any subject matches both patterns.
pub fn overlaps(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(x), Some(y)) if x == y || x == "*" || y == "*" => {}
            _ => return false,
        }
    }
}
