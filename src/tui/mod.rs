//! The console: the one screen from which a fleet is run.
//!
//! [`App`] is plain data. [`update()`] folds one [`Event`] into it and gives the [`Effect`]s that must happen outside;
//! [`view()`] draws it. Everything that waits, reads or writes is in [`run()`].

mod app;
mod behind;
mod command_line;
mod counts;
mod cursor;
mod deployments;
mod event;
mod filter;
mod form;
mod interrupts;
mod keys;
mod lend;
mod log_pane;
mod memory;
mod notices;
mod options;
mod order;
mod outside;
mod purpose;
mod run;
mod screens;
mod shell;
mod snapshot;
mod table;
mod text;
mod theme;
mod tty;
mod update;
mod view;

pub use app::{App, Notice, Overlay, Question};
pub use command_line::{CommandLine, Said, Targets};
pub use counts::Counts;
pub use cursor::Cursor;
pub use deployments::PartKey;
pub use event::{Effect, Event, Fault, LinkState, LogFile, LogKey, OrderNews};
pub use filter::Filter;
pub use form::{Choice, Field, Form};
pub use keys::{Binding, Chord, Command, Context, KEYS};
pub use log_pane::{LogPane, LogState};
pub use memory::{Memory, MemoryError};
pub use options::Options;
pub use order::{Order, OrderState};
pub use purpose::Purpose;
pub use run::{ConsoleError, Left, run};
pub use screens::{
    BuildScreen, BuildsScreen, DeploymentScreen, DeploymentsScreen, Diagnostics, Failures, HistoryState,
    HostScreen, Item, LogScreen, LogText, Place, Screen, Search, Typing,
};
pub use snapshot::{picture, snapshot};
pub use table::{Group, Row, Sort, Table};
pub use theme::{Symbols, Theme, Tone};
pub use update::update;
pub use view::{SMALLEST, view};
