//! Every link within the documentation leads to a file and a heading that are there, and every page is found from the README.

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

/// What is wrong with a link of a page.
fn fault(page: &Page, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let folder = page.path.parent().unwrap();
    let path = plain(&folder.join(file));
    if !file.is_empty() && !root().join(&path).exists() {
        return Some(format!("{} links to {link}, and there is no such file", page.path.display()));
    }
    let anchor = anchor?;
    let anchors = if file.is_empty() { page.anchors() } else { Page::read(&path).anchors() };
    let missing = !anchors.iter().any(|known| known == anchor);
    missing
        .then(|| format!("{} links to {link}, and the headings there are {anchors:?}", page.path.display()))
}

#[test]
fn they_lead_somewhere() {
    let pages = Page::all();
    let faults: Vec<_> = pages
        .iter()
        .flat_map(|page| page.links().into_iter().filter_map(|link| fault(page, &link)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(pages.iter().map(|page| page.links().len()).sum::<usize>() > 20, "hardly any link was found");
}

#[test]
fn one_that_leads_nowhere_is_found() {
    let page = Page { path: "docs/x.md".into(), text: "# Here\n".to_owned() };
    for good in ["keys.md", "../README.md#try-it", "#here", "https://example.org/nowhere", "../src"] {
        assert_eq!(fault(&page, good), None);
    }
    for bad in ["nowhere.md", "README.md", "../README.md#nowhere", "#there"] {
        assert!(fault(&page, bad).is_some(), "{bad}");
    }
}

#[test]
fn the_readme_leads_to_every_page() {
    let links = Page::read("README.md").links();
    for page in Page::all().iter().filter(|page| page.path.starts_with("docs")) {
        let path = page.path.to_str().unwrap();
        assert!(links.iter().any(|link| link == path), "the README does not link to {path}");
    }
}
