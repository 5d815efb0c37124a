//! Tables without frames, as wide as the terminal.

use comfy_table::{Cell, ContentArrangement, Table, presets};

/// A table with a head; as wide as its content where no terminal limits it.
pub(super) fn table(head: &[&str], rows: Vec<Vec<Cell>>, colours: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().copied()).add_rows(rows);
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if let Some((width, _)) = terminal_size() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    // Each cell has a margin; that of the first column is not needed.
    table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The columns and lines of the terminal that is printed to.
pub(in crate::cli) fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}
