//! Notifications: results of deployments, posted to ntfy, Matrix, Slack-compatible servers, Discord and webhooks.
//!
//! `source` delivers what hosts report. `groups` and `host_watch` decide what is worth a notification, `filter` which targets
//! receive it, and `outbox` when it is posted.
//!
//! See ARCHITECTURE.md, "Notifications".

mod config;
mod deployment_text;
mod filter;
mod groups;
mod host_watch;
mod notification;
mod outbox;
mod payload;
mod post;
mod secrets;
mod service;
mod source;
mod state;
mod template;

pub use config::{NotifyConfig, NotifyConfigError, NotifyTarget, TargetKind, TargetUrl};
pub use filter::{EventChoice, TargetFilter};
pub use notification::{Notification, NotificationEvent, NotifiedDeployment, NotifiedHost, NotifyResult};
pub use post::Poster;
pub use secrets::{TargetSecretError, TargetSecrets};
pub use service::{NotifyServiceError, NotifySettings, run};
pub use template::{NotifyTemplate, TemplateFieldError};
