//! What is in force, and where it comes from.

use super::{cells, table};

/// The table of settings: name, value, source of each.
pub(in crate::cli) fn settings(rows: impl Iterator<Item = [String; 3]>) -> String {
    table(&["SETTING", "VALUE", "FROM"], rows.map(cells).collect(), false)
}
