//! Every link within the documentation leads to an existing file and heading, and the README links to every page.

use crate::page::{Page, root};
use std::path::{Component, Path, PathBuf};

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Why a link is broken.
fn problem(page: &Page, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let directory = page.path.parent().unwrap();
    let path = plain(&directory.join(file));
    if !file.is_empty() && !root().join(&path).exists() {
        return Some(format!("{} links to {link}, which does not exist", page.path.display()));
    }
    let anchor = anchor?;
    let anchors = if file.is_empty() { page.anchors() } else { Page::read(&path).anchors() };
    let missing = !anchors.iter().any(|known| known == anchor);
    missing.then(|| format!("{} links to {link}, whose headings are {anchors:?}", page.path.display()))
}

#[test]
fn every_link_resolves() {
    let pages = Page::all();
    let problems: Vec<_> = pages
        .iter()
        .flat_map(|page| page.links().into_iter().filter_map(|link| problem(page, &link)))
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(
        pages.iter().map(|page| page.links().len()).sum::<usize>() > 20,
        "too few links found: the search is broken"
    );
}

#[test]
fn a_broken_link_is_found() {
    let page = Page { path: "docs/x.md".into(), text: "# Here\n".to_owned() };
    for good in ["keys.md", "../README.md#try-it", "#here", "https://example.org/nowhere", "../src"] {
        assert_eq!(problem(&page, good), None);
    }
    for bad in ["nowhere.md", "README.md", "../README.md#nowhere", "#there"] {
        assert!(problem(&page, bad).is_some(), "{bad}");
    }
}

#[test]
fn the_readme_links_to_every_page() {
    let links = Page::read("README.md").links();
    for page in Page::all().iter().filter(|page| !page.path.ends_with("README.md")) {
        let path = page.path.to_str().unwrap();
        assert!(links.iter().any(|link| link == path), "the README does not link to {path}");
    }
}
