//! The safe update of a flake: its inputs on a fresh branch, every host built, and the base branch only moved on where all of
//! them build; else a pull request with the failures. Whatever dies in the middle leaves the base branch as it is.

mod build;
mod error;
mod forge;
mod lock;
mod news;
mod order;
mod place;
mod pull_request;
mod repository;
mod run;
mod secrets;
mod subflake;
mod token;
mod work;

pub use error::{Ground, UpdateError};
pub use forge::{ForgeError, ForgeKind};
pub use news::{News, Outcome, PullRequest, State};
pub use order::{ForgeOrder, Order, Source};
pub use run::update;
pub use subflake::Subflake;
pub use token::{Token, TokenError};
