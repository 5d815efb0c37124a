//! Quotes on the pages match the messages of the program, and every error code is explained.

use crate::page::{Page, root};
use homelab_deploy::protocol::ErrorCode;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TROUBLES: &str = "docs/troubleshooting.md";
/// The pages on which each line that starts with a bar is a quote.
const PAGES: [&str; 3] = [TROUBLES, "docs/migration.md", "docs/upgrade.md"];
/// The largest distance in the source between two parts of one message, in bytes.
const REACH: usize = 400;

/// The text of every source file, with its string literals as the program prints them.
fn sources(directory: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push(as_printed(&fs::read_to_string(path).unwrap()));
        }
    }
}

fn as_printed(source: &str) -> String {
    let mut printed = String::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("\\\n") {
        printed += before;
        rest = after.trim_start();
    }
    printed += rest;
    printed.replace("\\\"", "\"")
}

/// The constant parts of a quote, between its ellipses.
fn parts(quote: &str) -> Vec<&str> {
    quote.split('…').map(|part| part.trim_matches([' ', '`'])).filter(|part| part.len() > 1).collect()
}

/// Whether a text contains the parts in order and close together.
fn contains_parts(text: &str, parts: &[&str]) -> bool {
    let Some((first, others)) = parts.split_first() else { return false };
    text.match_indices(first).any(|(at, _)| {
        let mut rest = &text[at + first.len()..];
        others.iter().all(|part| match rest.find(part) {
            Some(next) if next < REACH => {
                rest = &rest[next + part.len()..];
                true
            }
            _ => false,
        })
    })
}

fn quotes(page: &Page) -> Vec<String> {
    let (prose, _) = page.parts();
    prose.lines().filter_map(|line| Some(line.trim().strip_prefix("> ")?.to_owned())).collect()
}

#[test]
fn quotes_match_the_program_output() {
    let mut texts = Vec::new();
    sources(&root().join("src"), &mut texts);
    let quotes: Vec<_> = PAGES.into_iter().flat_map(|page| quotes(&Page::read(page))).collect();
    assert!(quotes.len() > 30, "too few quotes found: the search is broken");
    for quote in quotes {
        let parts = parts(&quote);
        assert!(
            texts.iter().any(|text| contains_parts(text, &parts)),
            "the program does not print {quote:?} ({parts:?})"
        );
    }
}

#[test]
fn a_quote_that_the_program_does_not_print_is_found() {
    let source = as_printed("error(\"could not read \\\"{}\\\" \\\n         twice: {why}\")");
    for (quote, is_found) in [
        ("could not read …: …", true),
        ("could not read \"…\" twice: …", true),
        ("twice … could not read", false),
        ("could not write …", false),
        ("…", false),
    ] {
        assert_eq!(contains_parts(&source, &parts(quote)), is_found, "{quote}");
    }
    let far = format!("one{}two", " ".repeat(REACH));
    assert!(!contains_parts(&far, &["one", "two"]));
}

#[test]
fn every_error_code_is_explained() {
    let page = Page::read(TROUBLES).text;
    let table = page.split("| code | what it means | what to do |").nth(1).expect("a table of the codes");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let explained: BTreeSet<_> = rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    let known: BTreeSet<_> = ErrorCode::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(explained, known);
}
