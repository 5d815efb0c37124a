//! What the pages quote of the program is what it says, and every error code that there is is explained.

use crate::page::{Page, root};
use homelab_deploy::protocol::ErrorCode;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TROUBLES: &str = "docs/troubleshooting.md";
/// Where each line that begins with a bar is a quote.
const PAGES: [&str; 3] = [TROUBLES, "docs/migration.md", "docs/upgrade.md"];
/// How far the parts of one sentence may lie from each other in the source.
const REACH: usize = 400;

/// The text of every source file, as the program would say its sentences: over line ends, and with its quotes.
fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push(as_said(&fs::read_to_string(path).unwrap()));
        }
    }
}

fn as_said(source: &str) -> String {
    let mut said = String::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("\\\n") {
        said += before;
        rest = after.trim_start();
    }
    said += rest;
    said.replace("\\\"", "\"")
}

/// The parts of a quote between what differs.
fn parts(quote: &str) -> Vec<&str> {
    quote.split('…').map(|part| part.trim_matches([' ', '`'])).filter(|part| part.len() > 1).collect()
}

/// Whether a text has the parts one after the other, close together.
fn says(text: &str, parts: &[&str]) -> bool {
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
fn they_are_what_the_program_says() {
    let mut texts = Vec::new();
    sources(&root().join("src"), &mut texts);
    let quotes: Vec<_> = PAGES.into_iter().flat_map(|page| quotes(&Page::read(page))).collect();
    assert!(quotes.len() > 30, "hardly any quote was found");
    for quote in quotes {
        let parts = parts(&quote);
        assert!(
            texts.iter().any(|text| says(text, &parts)),
            "the program does not say {quote:?} ({parts:?})"
        );
    }
}

#[test]
fn what_the_program_does_not_say_is_found() {
    let source = as_said("error(\"could not read \\\"{}\\\" \\\n         twice: {why}\")");
    for (quote, said) in [
        ("could not read …: …", true),
        ("could not read \"…\" twice: …", true),
        ("twice … could not read", false),
        ("could not write …", false),
        ("…", false),
    ] {
        assert_eq!(says(&source, &parts(quote)), said, "{quote}");
    }
    let far = format!("one{}two", " ".repeat(REACH));
    assert!(!says(&far, &["one", "two"]));
}

#[test]
fn every_error_code_is_explained() {
    let page = Page::read(TROUBLES).text;
    let table = page.split("| code | what it means | what to do |").nth(1).expect("a table of the codes");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let told: BTreeSet<_> = rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    let known: BTreeSet<_> = ErrorCode::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(told, known);
}
