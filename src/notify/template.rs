//! Templates of titles and messages: text with fields such as `{title}`.

use super::notification::Notification;
use crate::text::closest_matches;
use crate::text::did_you_mean;
use crate::text::format::short_commit;
use std::str::FromStr;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// A value that a template can contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
enum TemplateField {
    /// The default title.
    Title,
    /// The default message.
    Message,
    Event,
    Result,
    Id,
    Action,
    Revision,
    Commit,
    Issuer,
    /// The names of the hosts.
    Hosts,
    /// The number of hosts.
    Total,
    Completed,
    Failed,
    Cancelled,
    Rejected,
    Unknown,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Field(TemplateField),
}

/// A template for one line of text or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyTemplate(Vec<TemplatePart>);

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFieldError {
    /// A field that this version does not know.
    #[error("unknown field {{{name}}}{suggestion}; the fields are {}", TemplateField::VARIANTS.join(", "))]
    Unknown {
        /// The name of the field.
        name: String,
        /// The closest known fields.
        suggestion: String,
    },
    /// A brace that starts or ends no field.
    #[error("a single {0:?}: write a field such as {{title}}, or {0}{0} for the character")]
    Brace(char),
}

/// The most hosts that `{hosts}` lists.
const MAX_LISTED: usize = 20;

impl NotifyTemplate {
    /// The template that is only a title.
    pub(super) fn title() -> Self {
        Self(vec![TemplatePart::Field(TemplateField::Title)])
    }

    /// The template that is only a message.
    pub(super) fn message() -> Self {
        Self(vec![TemplatePart::Field(TemplateField::Message)])
    }

    /// Fills in the fields of a notification with its default title and message.
    pub fn render(&self, of: &Notification) -> String {
        let part = |part: &TemplatePart| match part {
            TemplatePart::Text(text) => text.clone(),
            TemplatePart::Field(field) => field.value(of),
        };
        self.0.iter().map(part).collect()
    }
}

impl TemplateField {
    fn value(self, of: &Notification) -> String {
        let none = super::NotifiedDeployment::default();
        let deployment = of.deployment.as_ref().unwrap_or(&none);
        match self {
            Self::Title => of.title.clone(),
            Self::Message => of.message.clone(),
            Self::Event => <&str>::from(of.event).to_owned(),
            Self::Result => of.result.map(|result| result.as_str().to_owned()).unwrap_or_default(),
            Self::Id => deployment.id.as_ref().map(ToString::to_string).unwrap_or_default(),
            Self::Action => deployment.action.clone(),
            Self::Revision => deployment.revision.clone(),
            Self::Commit => short_commit(&deployment.commit).to_owned(),
            Self::Issuer => deployment.issuer.clone(),
            Self::Hosts => hosts(of, deployment),
            Self::Total => deployment.host_count().max(usize::from(of.host.is_some())).to_string(),
            Self::Completed => deployment.completed.to_string(),
            Self::Failed => deployment.failed.to_string(),
            Self::Cancelled => deployment.cancelled.to_string(),
            Self::Rejected => deployment.rejected.to_string(),
            Self::Unknown => deployment.unknown.to_string(),
        }
    }
}

/// The names of the hosts, the first ones if there are many.
fn hosts(of: &Notification, deployment: &super::NotifiedDeployment) -> String {
    if let Some(host) = &of.host {
        return host.to_string();
    }
    let names: Vec<_> = deployment.hosts.iter().take(MAX_LISTED).map(|host| host.host.as_str()).collect();
    match deployment.host_count().saturating_sub(names.len()) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

impl FromStr for NotifyTemplate {
    type Err = TemplateFieldError;

    fn from_str(text: &str) -> Result<Self, TemplateFieldError> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let brace = if rest.as_bytes()[at] == b'{' { '{' } else { '}' };
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push(brace);
                rest = after;
                continue;
            }
            let end = rest.find(['{', '}']).filter(|end| brace == '{' && rest.as_bytes()[*end] == b'}');
            let Some(end) = end else { return Err(TemplateFieldError::Brace(brace)) };
            let name = &rest[..end];
            let field = name.parse().map_err(|_| {
                let suggestion =
                    did_you_mean(&closest_matches(name, TemplateField::VARIANTS.iter().copied()));
                TemplateFieldError::Unknown { name: name.to_owned(), suggestion }
            })?;
            if !plain.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut plain)));
            }
            parts.push(TemplatePart::Field(field));
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(TemplatePart::Text(plain));
        }
        Ok(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::super::notification::NotificationEvent;
    use super::*;
    use jiff::Timestamp;

    fn render(template: &str) -> String {
        let of = Notification::new(
            NotificationEvent::End,
            "a title".to_owned(),
            "a message".to_owned(),
            Timestamp::UNIX_EPOCH,
        );
        template.parse::<NotifyTemplate>().map_or_else(|error| error.to_string(), |parsed| parsed.render(&of))
    }

    #[test]
    fn fields_are_filled_in_and_braces_can_be_written() {
        assert_eq!(render("[{event}] {title}: {message}"), "[end] a title: a message");
        assert_eq!(render("{{{title}}} {{}}"), "{a title} {}");
        assert_eq!(render("plain"), "plain");
        assert_eq!(render("{commit}{result}{total}"), "0");
    }

    #[test]
    fn unknown_fields_and_single_braces_are_errors() {
        assert!(
            render("{titel}")
                .starts_with("unknown field {titel} (did you mean title, total?); the fields are title, ")
        );
        assert!(render("{zzz}").starts_with("unknown field {zzz}; the fields are title, "));
        for text in ["{title", "}", "a { b", "{ti{tle}"] {
            assert!(render(text).starts_with("a single "), "{text}: {}", render(text));
        }
    }
}
