//! Subjects: their syntax, the allowed reply subjects, and overlaps.

use super::{Id, Name, NameError};
use crate::text::fitting_prefix;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The subject of queries, to which every listener subscribes.
pub const DISCOVER: &str = "deploy.discover";
/// The subject of presence announcements.
pub const PRESENCE: &str = "deploy.responses.presence";
/// The pattern of reports on the base subjects, and of all announcements.
pub const REPORTS: &str = "deploy.responses.*";
/// The pattern of reports on a subject per host. It also matches replies on the base subjects.
pub const REPORTS_PER_HOST: &str = "deploy.responses.*.*";
/// The pattern of the builder's reports.
pub const BUILD_REPORTS: &str = "build.responses.*";

const RESPONSES: &str = "deploy.responses.";
const REPLIES: &str = "deploy.responses.ask.";

/// The request subject of one host.
pub fn host_subject(tier: &Name, host: &Name) -> String {
    format!("deploy.{tier}.{host}")
}

/// The request subject of all hosts of a tier.
pub fn tier_subject(tier: &Name) -> String {
    format!("deploy.{tier}.all")
}

/// The request subject of all hosts of a tier with this role.
pub fn role_subject(tier: &Name, role: &Name) -> String {
    format!("deploy.{tier}.role.{role}")
}

/// The subject of a deployment's reports.
pub fn report_subject(id: &Id) -> String {
    format!("{RESPONSES}{id}")
}

/// The subject of a query's replies.
pub fn reply_subject(id: &Id) -> String {
    format!("{REPLIES}{id}")
}

/// The pattern of a query's replies on a subject per host.
pub fn per_host_reply_subject(id: &Id) -> String {
    format!("{REPLIES}{id}.*")
}

/// The pattern of a deployment's reports on a subject per host.
pub fn per_host_report_subject(id: &Id) -> String {
    format!("{RESPONSES}{id}.*")
}

/// The host in a response subject, if the subject has one. The NATS server can restrict each host to subjects with its
/// own name.
pub fn subject_host(subject: &str) -> Option<&str> {
    let tokens: Vec<_> = subject.strip_prefix(RESPONSES)?.split('.').collect();
    match tokens[..] {
        ["ask", _] => None,
        ["ask", _, host] | [_, "log", host] | [_, host] => Some(host),
        _ => None,
    }
}

/// Whether an operator chose this subject for reports or replies: a base subject, on which any host can use any name, or
/// one of a builder.
pub fn is_response(subject: &str) -> bool {
    let is_base = subject.starts_with(RESPONSES) && subject != PRESENCE && subject_host(subject).is_none();
    is_base || subject.starts_with(BUILD_REPORTS.trim_end_matches('*'))
}

/// The subject of the live log lines of a job on one host.
pub fn log_subject(id: &Id, host: &Name) -> String {
    format!("{RESPONSES}{id}.log.{host}")
}

/// The builder's request subject for `target`, a host or `all`.
pub fn build_subject(repo: Option<&Name>, target: &str) -> String {
    repo.map_or_else(|| format!("build.{target}"), |repo| format!("build.{repo}.{target}"))
}

/// The subject of a build's reports.
pub fn build_report_subject(id: &Id) -> String {
    format!("build.responses.{id}")
}

/// An invalid reply subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyToError {
    /// The subject is not directly under `deploy.responses.` or `deploy.responses.ask.`.
    #[error("{0:?} is not `deploy.responses.<id>`")]
    NotAResponse(String),
    /// The last token is not a valid id.
    #[error("the last token is not an id: {0}")]
    BadId(#[from] NameError),
}

/// A reply subject: `deploy.responses.<id>`, or `deploy.responses.ask.<id>` for replies to queries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplyTo {
    id: Id,
    for_replies: bool,
}

impl ReplyTo {
    /// Creates `deploy.responses.<id>`.
    pub fn reports(id: Id) -> Self {
        Self { id, for_replies: false }
    }

    /// Creates `deploy.responses.ask.<id>`.
    pub fn replies(id: Id) -> Self {
        Self { id, for_replies: true }
    }

    /// Parses either form.
    pub fn parse(text: &str) -> Result<Self, ReplyToError> {
        let shown = || ReplyToError::NotAResponse(fitting_prefix(text, 80).to_owned());
        if let Some(id) = text.strip_prefix(REPLIES) {
            return Ok(Self::replies(Id::new(id)?));
        }
        let id = text.strip_prefix(RESPONSES).ok_or_else(shown)?;
        if id.contains('.') {
            return Err(shown());
        }
        Ok(Self::reports(Id::new(id)?))
    }

    /// The id, which is the last token.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Whether this is the form for replies to queries, which reports must not use.
    pub fn is_for_replies(&self) -> bool {
        self.for_replies
    }
}

/// The destination of the reports or replies of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The subject from the request or query.
    pub reply_to: ReplyTo,
    /// Whether each host appends its name to the subject.
    pub per_host: bool,
}

impl Destination {
    /// The subject for the messages of this host.
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
        f.write_str(if self.for_replies { REPLIES } else { RESPONSES })?;
        f.write_str(self.id.as_str())
    }
}

/// An invalid subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// The subject has empty tokens, whitespace or control characters.
    #[error("{0:?} is not a subject: expected tokens without blanks, separated by single dots")]
    Malformed(String),
    /// The request subject has wildcards.
    #[error("{0:?} has wildcards; write a single subject")]
    Wildcard(String),
    /// The subject is used for queries or responses.
    #[error("{0:?} overlaps {1}, which carries no requests")]
    Reserved(String, &'static str),
}

/// Checks that the string is a well-formed subject or pattern.
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

/// Checks that the subject does not overlap the subjects of queries and responses.
fn check_not_reserved(subject: &str) -> Result<(), SubjectError> {
    for reserved in ["deploy.responses.>", "deploy.responses", DISCOVER] {
        if overlaps(subject, reserved) {
            return Err(SubjectError::Reserved(subject.to_owned(), reserved));
        }
    }
    Ok(())
}

/// Checks a subject that an operator gave for a request.
pub fn check_request_subject(subject: &str) -> Result<(), SubjectError> {
    check(subject)?;
    if subject.split('.').any(|token| token == "*" || token == ">") {
        return Err(SubjectError::Wildcard(subject.to_owned()));
    }
    check_not_reserved(subject)
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

/// The default templates of a listener's request subjects.
pub const DEPLOY_TEMPLATES: [&str; 3] =
    ["deploy.<tier>.<hostname>", "deploy.<tier>.all", "deploy.<tier>.role.<role>"];

/// An invalid subject template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template has an unknown placeholder.
    #[error(
        "the subject {0:?} has an unknown placeholder; the known ones are `<hostname>`, `<tier>` and `<role>`"
    )]
    UnknownPlaceholder(String),
    /// The expanded subject is invalid or reserved.
    #[error("the subject template {template:?} cannot be used: {source}")]
    Unusable {
        /// The template as configured.
        template: String,
        /// Why the expanded subject is invalid.
        source: SubjectError,
    },
}

/// Expands a template; `None` if it has `<role>` but the host has no role.
///
/// `requests` is whether the subject is for requests. Then it must not overlap the subjects of queries and responses.
pub fn expand_template(
    template: &str,
    host: &Name,
    tier: &Name,
    role: Option<&Name>,
    requests: bool,
) -> Result<Option<String>, TemplateError> {
    if template.contains("<role>") && role.is_none() {
        return Ok(None);
    }
    let role = role.map_or("", Name::as_str);
    let subject = template
        .replace("<hostname>", host.as_str())
        .replace("<tier>", tier.as_str())
        .replace("<role>", role);
    if subject.contains('<') {
        return Err(TemplateError::UnknownPlaceholder(template.to_owned()));
    }
    let free = |s: &str| if requests { check_not_reserved(s) } else { Ok(()) };
    check(&subject)
        .and_then(|()| free(&subject))
        .map_err(|source| TemplateError::Unusable { template: template.to_owned(), source })?;
    Ok(Some(subject))
}
