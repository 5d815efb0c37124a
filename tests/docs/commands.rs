//! The program understands every command line in the documentation.

use crate::common::binary;
use crate::page::{Page, root};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// Placeholders in command lines, each with a valid value.
const PLACEHOLDERS: [(&str, &str); 5] =
    [("N", "1"), ("A", "switch"), ("KIND", "admin"), ("SIZE", "1GiB"), ("SECONDS", "5")];
/// The start of every command line.
const NAME: &str = "homelab-deploy ";
/// The words that end the arguments.
const ENDS: [&str; 8] = [">", ">>", "2>", "<", "|", "&&", "&", "#"];

/// The arguments of a command line, split as a shell does, without the notation of the documentation.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let (mut word, mut quote) = (None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words.into_iter().take_while(|word| !ENDS.contains(&word.as_str())).filter_map(documented).collect()
}

/// A word with its placeholder replaced; `[--flag X]` marks an optional word and `HOST…` a repeatable one.
fn documented(word: String) -> Option<String> {
    let bare = word.trim_matches(['[', ']', '…']);
    let meant = PLACEHOLDERS.iter().find(|(name, _)| *name == bare).map(|(_, value)| (*value).to_owned());
    let optional = word.starts_with('[') || word.ends_with([']', '…']);
    let word = if optional { bare.to_owned() } else { word };
    Some(meant.unwrap_or(word)).filter(|word| !word.is_empty())
}

/// The command lines in a text: lines that start with the program, or that pass it to another program.
fn lines(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let ours = |line: &str| {
        let line = line.trim().trim_start_matches("$ ");
        let ours = line.strip_prefix(NAME).or_else(|| Some(line.split_once(" -- homelab-deploy ")?.1));
        // The first line of the console starts with the same words.
        ours.filter(|rest| !rest.starts_with('▸')).map(str::to_owned)
    };
    text.lines().filter_map(ours).collect()
}

/// The error of the program for a command line, if any. `--help` at the end keeps it from running.
fn objection(line: &str) -> Option<String> {
    let output = Command::new(binary())
        .args(words(line))
        .arg("--help")
        .env("COLUMNS", "200")
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_command_line_is_understood() {
    let mut known = BTreeSet::new();
    // docs/cli.md is generated from the program.
    for page in Page::all().into_iter().filter(|page| !page.path.ends_with("cli.md")) {
        let (_, blocks) = page.parts();
        let blocks = blocks.iter().flat_map(|block| lines(&block.text()));
        for line in blocks.chain(page.spans().iter().flat_map(|span| lines(span))) {
            if known.insert(line.clone())
                && let Some(objection) = objection(&line)
            {
                panic!("{} contains `{NAME}{line}`, which fails:\n{objection}", page.path.display());
            }
        }
    }
    assert!(known.len() > 30, "too few commands found: {known:?}");
}

#[test]
fn an_invalid_command_line_is_found() {
    let text = "    $ homelab-deploy hosts --nowhere   # why\n\nhomelab-deploy deploy \\\n  a --action none > file\n\
                claude -- homelab-deploy mcp --quiet";
    let found = lines(text);
    assert_eq!(found.len(), 3);
    for line in found {
        assert!(objection(&line).is_some(), "{line}");
    }
    assert_eq!(words("logs HOST… [--id ID] 'a b' > x y"), ["logs", "HOST", "--id", "ID", "a b"]);
}
