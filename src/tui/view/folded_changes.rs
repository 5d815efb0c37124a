//! The changes of many hosts as one list, and below it the hosts of the selected change.

use super::lines::{joined, wrapped};
use super::panel::{Edge, draw_text};
use super::{Areas, deployments, dialogs, line_list};
use crate::fleet::{FoldedChange, HostChange};
use crate::protocol::Name;
use crate::text::format;
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::{App, ChangeRow, ChangesScreen, Theme, Tone};
use ratatui::Frame;
use ratatui::text::{Line, Span};

/// Width of the number of hosts.
const HOSTS: usize = 12;

pub(super) fn draw(app: &App, screen: &ChangesScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, area) = (&app.options.theme, areas.list);
    let Some(known) = KnownDeployment::of(app, &screen.id) else {
        let reason = theme.span(Tone::Dim, "no longer available: too many newer deployments");
        return draw_text(frame, theme, area, Line::default(), dialogs::notice(app), [reason.into()]);
    };
    let (counts, ..) = known.counts();
    let ended = format!(" {} of {} replied ", counts.ended(), format::count(known.hosts(), "host"));
    let top = Edge {
        left: deployments::title(app, &known),
        right: joined(dialogs::sort(app), [theme.span(Tone::Plain, ended)]),
    };
    let empty = if known.is_under_way() { "waiting for the hosts" } else { "no host reported changes" };
    line_list::draw(app, frame, area, top, &screen.cursor, empty, |row, _| match row {
        ChangeRow::Change(text) => {
            let unfolded = screen.unfolded.contains(text);
            screen.change(text).map(|change| change_line(theme, change, unfolded)).unwrap_or_default()
        }
        ChangeRow::Host(_, host) => Line::from(Span::raw(format!("{:HOSTS$}  {host}", ""))),
    });
    draw_hosts(app, screen, frame, areas);
}

/// `▶ 10 hosts  openssl 3.3.2 → 3.3.3`
fn change_line(theme: &Theme, change: &FoldedChange, unfolded: bool) -> Line<'static> {
    let symbols = theme.symbols();
    let fold = if unfolded { symbols.unfolded } else { symbols.folded };
    let arrow = if theme.unicode { "→" } else { "->" };
    let hosts = format!("{fold} {}", format::count(change.hosts.len(), "host"));
    let mut line = Line::from(vec![
        theme.span(Tone::Dim, format!("{hosts:<HOSTS$}  ")),
        theme.span(tone(&change.change), change.change.describe(arrow)),
    ]);
    let note = change.change.note();
    if !note.is_empty() {
        line.push_span(theme.span(Tone::Warn, format!("  {} {note}", symbols.warning)));
    }
    line
}

fn tone(change: &HostChange) -> Tone {
    match change {
        HostChange::Failed { .. } | HostChange::Package { downgrade: true, .. } => Tone::Bad,
        HostChange::Package { kernel: true, .. } | HostChange::Reboot | HostChange::Unknown => Tone::Warn,
        HostChange::Package { from: None, .. } | HostChange::Start { .. } => Tone::Good,
        HostChange::Package { to: None, .. } | HostChange::Stop { .. } => Tone::Warn,
        HostChange::FilesOnly | HostChange::Nothing => Tone::Dim,
        HostChange::Package { .. } | HostChange::Restart { .. } => Tone::Plain,
    }
}

fn draw_hosts(app: &App, screen: &ChangesScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, size) = (&app.options.theme, super::text_size(areas.detail));
    if size.height == 0 {
        return;
    }
    let selected = screen.selected();
    let title = selected.map(|change| format!(" on {} ", format::count(change.hosts.len(), "host")));
    let names = selected.map(|change| change.hosts.iter().map(Name::as_str).collect::<Vec<_>>().join(", "));
    let lines = wrapped(theme, Tone::Plain, &names.unwrap_or_default(), size.width.into());
    draw_text(
        frame,
        theme,
        areas.detail,
        theme.span(Tone::Title, title.unwrap_or_default()),
        Line::default(),
        lines,
    );
}
