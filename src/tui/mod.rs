//! The console: one screen to operate a whole fleet.
//!
//! [`App`] is plain data. [`update()`] applies one [`ConsoleEvent`] to it and returns the [`Effect`]s to execute;
//! [`view()`] draws it. Everything that waits, reads or writes is in [`run()`].
//!
//! See ARCHITECTURE.md, "The console".

mod app;
mod batch_preset;
mod chord;
mod command_line;
mod console_config;
mod cursor;
mod effects;
mod event;
mod event_feed;
mod filter;
mod fleet_counts;
mod form;
mod form_kind;
mod form_notes;
mod host_column;
mod interrupts;
mod keys;
mod known_commits;
mod known_deployment;
mod known_durations;
mod leave;
mod likewise;
mod list_filter;
mod list_sort;
mod log_line;
mod log_pane;
mod options;
mod pattern;
mod rollouts;
mod run;
mod running_rollout;
mod screens;
mod sent_deployment;
mod server_link;
mod snapshot;
mod subprocess;
mod table;
mod terminal_status;
mod text;
mod theme;
mod tty;
mod update;
mod view;
mod view_state;

pub use app::{App, ConfirmDialog, Notice, Overlay};
pub use batch_preset::{BATCH_PRESETS, BatchPreset};
pub use chord::{Chord, UnknownKey};
pub use command_line::{CommandLine, ParsedCommand, Targets};
pub use console_config::ConsoleConfig;
pub use cursor::Cursor;
pub use effects::HandoverResult;
pub use event::{
    ConnectionStatus, ConsoleEvent, Effect, ErrorDialog, LogFile, LogKey, ResumedRollout, SentDeploymentEvent,
};
pub use event_feed::{EventFeed, EventFeedError, FeedEvent, FeedKind, MAX_EVENTS};
pub use filter::Filter;
pub use fleet_counts::FleetCounts;
pub use form::{Field, Form, TargetChoice};
pub use form_kind::FormKind;
pub use host_column::{HostColumn, HostColumns};
pub use keys::{Binding, Context, Contexts, KEYS, KeyCommand, Keymap};
pub use known_commits::KnownCommits;
pub use known_deployment::DeploymentHostKey;
pub use known_durations::KnownDurations;
pub use leave::{LeaveChoice, LeaveDialog};
pub use list_sort::ListSort;
pub use log_pane::{LogPane, LogState};
pub use options::Options;
pub use rollouts::{PendingControl, Rollouts};
pub use run::{ConsoleError, ExitReason, UnsentRollout, run};
pub use running_rollout::RunningRollout;
pub use screens::{
    BuildScreen, BuildsScreen, ChangeRow, ChangesScreen, DeploymentScreen, DeploymentsScreen,
    DiagnosticsState, EventsScreen, Failures, FeedRow, HeatClass, HeatKey, HeatMapScreen, HistoryState,
    HostLogLine, HostScreen, Item, LineFilter, LogPosition, LogScreen, LogText, LogsScreen, Screen, Search,
    SearchInput, TimelineRow, TimelineScreen,
};
pub use sent_deployment::{SentDeployment, SentDeploymentState};
pub use server_link::ServerLink;
pub use snapshot::{render_text, snapshot};
pub use table::{HostGroup, Sort, Table, TableRow};
pub use terminal_status::{TerminalFeatures, TerminalProgress, TerminalStatus};
pub use theme::{Symbols, Theme, Tone};
pub use update::update;
pub use view::{SMALLEST, view};
pub use view_state::{ViewState, ViewStateError};
