//! Configured subjects: `<hostname>`, `<tier>` and `<role>` expand when a listener starts.

use super::Name;
use super::subject::{self, SubjectError};

/// Where a listener takes requests unless configured otherwise.
pub const DEPLOY_TEMPLATES: [&str; 3] =
    ["deploy.<tier>.<hostname>", "deploy.<tier>.all", "deploy.<tier>.role.<role>"];

/// Why a configured subject cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder that does not exist.
    #[error("the subject {0:?} has an unknown placeholder; there are `<hostname>`, `<tier>` and `<role>`")]
    UnknownPlaceholder(String),
    /// What it expands to is no subject, or one that is taken.
    #[error("the subject template {template:?} cannot be used: {source}")]
    Unusable {
        /// The template as configured.
        template: String,
        /// What is wrong with what it expands to.
        source: SubjectError,
    },
}

/// Expands a template. `None` where it needs a role and the host has none.
///
/// `requests` tells that requests will arrive there, so it may not overlap the subjects of questions and reports.
pub fn expand(
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
    let free = |s: &str| if requests { subject::check_free(s) } else { Ok(()) };
    subject::check(&subject)
        .and_then(|()| free(&subject))
        .map_err(|source| TemplateError::Unusable { template: template.to_owned(), source })?;
    Ok(Some(subject))
}
