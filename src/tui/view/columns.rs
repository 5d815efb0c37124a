//! The columns of the table: which there are, how wide they are, and which leave first where it is narrow.

mod cells;

pub(super) use cells::{bar, state};

use crate::tui::{App, Sort};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Host,
    Tier,
    Role,
    State,
    Progress,
    Revision,
    Generation,
    Deployed,
    Seen,
    System,
    Booted,
    Up,
    StoreFree,
    BootFree,
    Version,
}

/// The order on the screen, and the order in which they leave: the highest number first, the name never.
const COLUMNS: [(Column, u8); 9] = [
    (Column::Host, 0),
    (Column::Tier, 3),
    (Column::Role, 5),
    (Column::State, 1),
    (Column::Progress, 2),
    (Column::Revision, 4),
    (Column::Generation, 7),
    (Column::Deployed, 8),
    (Column::Seen, 6),
];

/// The same with what there is to know of the system.
const WIDE: [(Column, u8); 12] = [
    (Column::Host, 0),
    (Column::Tier, 7),
    (Column::Role, 9),
    (Column::State, 1),
    (Column::Revision, 3),
    (Column::Generation, 8),
    (Column::System, 6),
    (Column::Booted, 2),
    (Column::Up, 10),
    (Column::StoreFree, 4),
    (Column::BootFree, 5),
    (Column::Version, 11),
];

/// The blank columns between two.
pub(super) const GAP: usize = 2;

/// What columns become where there is room, one after the other: first none that is usual is cut, then the rest is shared out.
const ROOMY: [(Column, usize); 6] = [
    (Column::Progress, 12),
    (Column::Revision, 16),
    (Column::Progress, 80),
    (Column::Revision, 24),
    (Column::Progress, usize::MAX),
    (Column::Host, usize::MAX),
];

/// The same for those of the system.
const WIDE_ROOMY: [(Column, usize); 5] = [
    (Column::Revision, 16),
    (Column::System, 24),
    (Column::Revision, 24),
    (Column::Host, 24),
    (Column::System, 32),
];

/// The columns that fit into `room`, each with its width.
pub(super) fn fitting(app: &App, room: usize) -> Vec<(Column, usize)> {
    let mut shown = if app.table.wide { WIDE.to_vec() } else { COLUMNS.to_vec() };
    let needed = |shown: &[(Column, u8)]| -> usize {
        shown.iter().map(|(column, _)| column.width(app, room) + GAP).sum::<usize>().saturating_sub(GAP)
    };
    while needed(&shown) > room && shown.len() > 1 {
        let last = shown.iter().map(|(_, leaves)| *leaves).max();
        shown.retain(|(_, leaves)| Some(*leaves) != last);
    }
    let mut spare = room.saturating_sub(needed(&shown));
    let width = |column: Column| column.width(app, room).min(room);
    let mut fitted: Vec<_> = shown.into_iter().map(|(column, _)| (column, width(column))).collect();
    for (takes, most) in if app.table.wide { &WIDE_ROOMY[..] } else { &ROOMY[..] } {
        if let Some((_, width)) = fitted.iter_mut().find(|(column, _)| column == takes) {
            let more = spare.min(most.saturating_sub(*width));
            spare -= more;
            *width += more;
        }
    }
    fitted
}

impl Column {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Host => "HOST",
            Self::Tier => "TIER",
            Self::Role => "ROLE",
            Self::State => "STATE",
            Self::Progress => "PROGRESS",
            Self::Revision => "REVISION",
            Self::Generation => "GEN",
            Self::Deployed => "DEPLOYED",
            Self::Seen => "SEEN",
            Self::System => "SYSTEM",
            Self::Booted => "BOOTED",
            Self::Up => "UP",
            Self::StoreFree => "STORE FREE",
            Self::BootFree => "BOOT FREE",
            Self::Version => "LISTENER",
        }
    }

    /// The sort that this column belongs to.
    pub(super) fn sort(self) -> Option<Sort> {
        match self {
            Self::Host => Some(Sort::Host),
            Self::Tier => Some(Sort::Tier),
            Self::Role => Some(Sort::Role),
            Self::State => Some(Sort::State),
            Self::Revision => Some(Sort::Revision),
            Self::Seen => Some(Sort::Seen),
            _ => None,
        }
    }

    /// The least width. Names take what the longest needs, but no more than their share of the room.
    fn width(self, app: &App, room: usize) -> usize {
        let [host, tier, role] = app.table.widths;
        match self {
            Self::Host => host.clamp(6, (room / 4).max(12)),
            Self::Tier => tier.clamp(6, (room / 8).max(6)),
            Self::Role => role.clamp(6, (room / 8).max(6)),
            Self::State => 14,
            Self::Generation => 4,
            Self::Deployed | Self::Version => 8,
            Self::Seen | Self::Booted | Self::Up => 6,
            Self::System => 20,
            Self::Progress | Self::StoreFree => 10,
            Self::Revision => 12,
            Self::BootFree => 9,
        }
    }

    pub(super) fn is_number(self) -> bool {
        use Column::{BootFree, Deployed, Generation, Seen, StoreFree, Up};
        matches!(self, Generation | Deployed | Seen | Up | StoreFree | BootFree)
    }
}
