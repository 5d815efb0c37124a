//! How a deployment stands in all: how many hosts are how, and what has failed for the same cause.

use super::columns::bar;
use super::painter::{Piece, width};
use crate::protocol::{Name, printable};
use crate::tui::deployments::Known;
use crate::tui::{Failures, Order, Symbols, Tone, text};

type Lines = Vec<Vec<Piece>>;

/// How wide the bar over the hosts is.
const BAR: usize = 24;
/// A narrower one tells nothing.
const LEAST: usize = 10;

/// `✓ 5 done  ✗ 7 failed  ▶ 3 running`; where that is wider than `room`, without the words, and then closer.
pub(super) fn counts(known: &Known<'_>, room: usize, symbols: &Symbols) -> Vec<Piece> {
    let (tally, silent, left) = known.counts();
    let to_come = if known.order.is_some_and(Order::goes_on) {
        (symbols.pending, left, "to come", Tone::Dim)
    } else {
        (symbols.warning, left, "untouched", Tone::Warn)
    };
    let unheard = if known.is_under_way() {
        (symbols.pending, silent, "waiting", Tone::Dim)
    } else {
        (symbols.offline, silent, "silent", Tone::Warn)
    };
    let kinds = [
        (symbols.done, tally.completed, "done", Tone::Good),
        (symbols.failed, tally.failed, "failed", Tone::Bad),
        (symbols.working, tally.running, "running", Tone::Busy),
        (symbols.warning, tally.rejected, "rejected", Tone::Bad),
        unheard,
        to_come,
    ];
    let told = |gap: &str, words: bool| {
        let mut line = Vec::new();
        for (symbol, count, word, tone) in kinds.iter().filter(|(_, count, ..)| *count > 0) {
            let gap = if line.is_empty() { "" } else { gap };
            let word = if words { format!(" {count} {word}") } else { format!(" {count}") };
            line.extend([Tone::Plain.text(gap), tone.text(*symbol), Tone::Plain.text(word)]);
        }
        line
    };
    let mut lines = [told("  ", true), told("  ", false)].into_iter();
    lines.find(|line| width(line) <= room).unwrap_or_else(|| told(" ", false))
}

/// The bar over the hosts that have their verdict, while some have not.
pub(super) fn progress(known: &Known<'_>, width: usize, symbols: &Symbols) -> Option<Piece> {
    let (tally, silent, left) = known.counts();
    let all = tally.ended() + tally.running + silent + left;
    known.is_under_way().then(|| Tone::Busy.text(bar(count(tally.ended()), count(all), width, symbols)))
}

fn count(hosts: usize) -> u64 {
    u64::try_from(hosts).unwrap_or(u64::MAX)
}

/// How many hosts are how, and below it the failures, of which at most so many kinds.
pub(super) fn summary(
    known: &Known<'_>,
    failures: &Failures,
    most: usize,
    columns: usize,
    symbols: &Symbols,
) -> Lines {
    let mut first = counts(known, columns, symbols);
    let room = columns.saturating_sub(width(&first) + 2);
    if let Some(bar) = progress(known, BAR.min(room), symbols).filter(|_| room >= LEAST) {
        first.extend([Tone::Plain.text("  "), bar]);
    }
    let mut lines = vec![first];
    if let Some(stopped) = known.order.and_then(|order| order.stopped) {
        lines.push(vec![Tone::Warn.text(format!("no further wave began, for {stopped}"))]);
    }
    if let Some(trouble) = known.trouble() {
        lines.push(vec![Tone::Bad.text(printable(trouble))]);
    }
    // What is left out takes a line as well.
    let most = if failures.groups.len() == most + 1 { most + 1 } else { most };
    lines.extend(failures.groups.iter().take(most).map(|group| {
        let many = group.hosts.len() > 1;
        let who = if many { format!("{} hosts", group.hosts.len()) } else { names(&group.hosts) };
        let mut line = vec![Tone::Bad.text(format!("{who}: {}", group.cause))];
        line.extend(many.then(|| Tone::Plain.text(format!("  {}", names(&group.hosts)))));
        line
    }));
    let more = failures.groups.len().saturating_sub(most);
    if more > 0 {
        let hosts: usize = failures.groups.iter().skip(most).map(|group| group.hosts.len()).sum();
        let hosts = if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") };
        lines.push(vec![Tone::Bad.text(format!("and {hosts} for other causes"))]);
    }
    lines
}

/// The same with every cause whole, where so many lines are enough for that.
pub(super) fn in_full(summary: Lines, columns: usize, rows: usize) -> Lines {
    let wrapped = |piece: &Piece| -> Lines {
        text::wrap(&piece.text, columns).into_iter().map(|line| vec![piece.tone.text(line)]).collect()
    };
    let whole = |(at, line): (usize, &Vec<Piece>)| match at {
        0 => vec![line.clone()],
        _ if width(line) <= columns => vec![line.clone()],
        _ => line.iter().flat_map(wrapped).collect(),
    };
    let whole: Lines = summary.iter().enumerate().flat_map(whole).collect();
    if whole.len() <= rows { whole } else { summary }
}

/// The first of these hosts; no line shows more.
fn names(hosts: &[Name]) -> String {
    let names: Vec<_> = hosts.iter().take(30).map(Name::as_str).collect();
    let more = if hosts.len() > 30 { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}
