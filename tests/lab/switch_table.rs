//! Parses the tables of `switch-to-configuration.md`, which the tests of both replacements of the program use.

use crate::common::CommandOutput;

const PAGE: &str = include_str!("switch-to-configuration.md");
/// The header of each table.
const HEADER: &str = "| situation | action | exit | standard error | standard output | runs | boots | |";
/// A placeholder for the rest of a line, or for any number of lines if it is alone.
const ANY: &str = "…";

/// The behaviour of the program in a situation.
#[derive(Debug)]
pub(crate) struct Row {
    /// The heading of its table.
    pub(crate) table: &'static str,
    pub(crate) situation: &'static str,
    pub(crate) actions: Vec<&'static str>,
    code: i32,
    err: Vec<String>,
    out: Vec<String>,
    /// Whether the new system runs afterwards.
    pub(crate) runs_new: bool,
    /// Whether the new system is the boot default afterwards.
    pub(crate) boots_new: bool,
    /// Whether only the lab can test this row.
    pub(crate) lab_only: bool,
}

/// Returns every row of every table.
pub(crate) fn rows() -> Vec<Row> {
    let (mut rows, mut table, mut inside) = (Vec::new(), "", false);
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            table = heading;
        }
        match line {
            HEADER => inside = true,
            _ if !line.starts_with('|') => inside = false,
            _ if inside && !line.starts_with("|---") => rows.push(Row::read(table, line)),
            _ => {}
        }
    }
    assert!(!rows.is_empty(), "no table has the header {HEADER}");
    rows
}

impl Row {
    fn read(table: &'static str, line: &'static str) -> Self {
        // A bar in the usage is escaped.
        let ends: Vec<_> = line
            .match_indices('|')
            .map(|(at, _)| at)
            .filter(|&at| at == 0 || line.as_bytes()[at - 1] != b'\\')
            .collect();
        let cells: Vec<_> = ends.windows(2).map(|ends| line[ends[0] + 1..ends[1]].trim()).collect();
        let [situation, actions, code, err, out, runs, boots, only] = cells[..] else {
            panic!("invalid number of cells: {line}")
        };
        let lines =
            |cell: &str| cell.split('`').skip(1).step_by(2).map(|line| line.replace("\\|", "|")).collect();
        let is_new = |cell| match cell {
            "new" => true,
            "old" => false,
            _ => panic!("expected `old` or `new`: {line}"),
        };
        Self {
            table,
            situation,
            actions: actions.split(", ").collect(),
            code: code.parse().unwrap(),
            err: lines(err),
            out: lines(out),
            runs_new: is_new(runs),
            boots_new: is_new(boots),
            lab_only: only == "lab",
        }
    }

    /// Asserts that a call of the program for one of the actions ended as this row describes.
    pub(crate) fn holds(&self, action: &str, ended: &CommandOutput) {
        let case = format!("{}, {action}", self.situation);
        assert_eq!(ended.code, self.code, "{case}: {ended}");
        for (name, expected, printed) in
            [("error", &self.err, &ended.stderr), ("output", &self.out, &ended.stdout)]
        {
            let printed: Vec<_> = printed.lines().collect();
            assert!(matches(expected, &printed), "{case}: standard {name} is not {expected:?}: {ended}");
        }
    }
}

fn matches(expected: &[String], printed: &[&str]) -> bool {
    match (expected, printed) {
        ([], []) => true,
        ([any, rest @ ..], _) if any == ANY => (0..=printed.len()).any(|at| matches(rest, &printed[at..])),
        ([line, rest @ ..], [first, others @ ..]) => {
            let same = line.strip_suffix(ANY).map_or(line == first, |begin| first.starts_with(begin));
            same && matches(rest, others)
        }
        _ => false,
    }
}

#[test]
fn output_is_compared_line_by_line() {
    let expected = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    for (lines, printed, same) in [
        (&["a", "b"][..], &["a", "b"][..], true),
        (&["a"], &["a", "b"], false),
        (&["a", "b"], &["a"], false),
        (&["a", "…"], &["a"], true),
        (&["…", "c"], &["a", "b", "c"], true),
        (&["…", "c"], &["a", "b"], false),
        (&["a: …"], &["a: b"], true),
        (&["a: …"], &["b: b"], false),
    ] {
        assert_eq!(matches(&expected(lines), printed), same, "{lines:?} {printed:?}");
    }
}
