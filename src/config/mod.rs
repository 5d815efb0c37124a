//! The operator's configuration file: contexts, each with a server, a key and what belongs to them, and the precedence of settings.
//!
//! Reading is a pure function of the text; [`Config::load`] alone touches the disk.

mod chosen;
mod error;
mod file;
mod host;
mod parse;
mod place;
mod reader;
mod section;
mod unproven;

pub use chosen::{Chosen, DEFAULT_SHELL, default_confirm_tiers};
pub use error::{Complaint, ConfigError, Problem};
pub use file::Config;
pub use host::ExpectedHost;
pub use place::{Place, Setting, Source};
pub(crate) use reader::{Reader, Value};
pub use section::{FileAlias, alias_key};
pub use unproven::Unproven;
