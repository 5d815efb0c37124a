//! The tables of `switch-to-configuration.md`: what the program does in a situation, read by the tests of both stand-ins.

use crate::common::Ended;

const PAGE: &str = include_str!("switch-to-configuration.md");
/// What each of the tables begins with.
const HEADER: &str = "| situation | action | exit | standard error | standard output | runs | boots | |";
/// Stands for the rest of a line, or alone for any lines.
const ANY: &str = "…";

/// What the program does in a situation.
#[derive(Debug)]
pub(crate) struct Row {
    /// The heading that its table is under.
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
    /// Only the lab's stand-in can show it.
    pub(crate) lab_only: bool,
}

/// Every row of every table.
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
    assert!(!rows.is_empty(), "no table begins with {HEADER}");
    rows
}

impl Row {
    fn read(table: &'static str, line: &'static str) -> Self {
        // The bar between actions of the usage is escaped.
        let ends: Vec<_> = line
            .match_indices('|')
            .map(|(at, _)| at)
            .filter(|&at| at == 0 || line.as_bytes()[at - 1] != b'\\')
            .collect();
        let cells: Vec<_> = ends.windows(2).map(|ends| line[ends[0] + 1..ends[1]].trim()).collect();
        let [situation, actions, code, err, out, runs, boots, only] = cells[..] else {
            panic!("not the cells of a row: {line}")
        };
        let lines =
            |cell: &str| cell.split('`').skip(1).step_by(2).map(|line| line.replace("\\|", "|")).collect();
        let is_new = |cell| match cell {
            "new" => true,
            "old" => false,
            _ => panic!("neither old nor new: {line}"),
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

    /// The program, called for one of the actions, must have ended so.
    pub(crate) fn holds(&self, action: &str, ended: &Ended) {
        let case = format!("{}, {action}", self.situation);
        assert_eq!(ended.code, self.code, "{case}: {ended}");
        for (name, expected, printed) in [("error", &self.err, &ended.err), ("output", &self.out, &ended.out)]
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
fn what_was_printed_is_compared_line_by_line() {
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
