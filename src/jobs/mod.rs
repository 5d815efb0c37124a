//! Jobs on disk: the record of each, the store that keeps them, and what is decided about them.
//!
//! What a host is doing is known by its job's record and by nothing else.

mod admission;
mod identity;
mod record;
mod store;

pub use admission::{Admission, admit};
pub use identity::{Identity, Sequence};
pub use record::{Record, System};
pub use store::{Remembered, Store, StoreError};
