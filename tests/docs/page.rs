//! A page of the documentation: its headings, links and code blocks.

use crate::common::{TestDir, binary, run};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page, with its path relative to the root.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A code block.
#[derive(Debug)]
pub(crate) struct Block {
    /// The comment `<!-- … -->` right before the block.
    pub(crate) mark: Option<String>,
    /// The info string of the fence, such as `toml`.
    pub(crate) info: Option<String>,
    pub(crate) lines: Vec<String>,
}

impl Block {
    /// The text without the common indentation.
    pub(crate) fn text(&self) -> String {
        let indent = |line: &String| line.len() - line.trim_start().len();
        let least = self.lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
        self.lines.iter().map(|line| line.get(least..).unwrap_or_default().to_owned() + "\n").collect()
    }
}

impl Page {
    pub(crate) fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text =
            fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, text }
    }

    /// Every page of the documentation, with those at the root.
    pub(crate) fn all() -> Vec<Self> {
        let mut docs: Vec<_> = fs::read_dir(root().join("docs"))
            .unwrap()
            .map(|entry| Path::new("docs").join(entry.unwrap().file_name()))
            .filter(|path| path.extension().is_some_and(|end| end == "md"))
            .collect();
        docs.sort();
        let at_the_root = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
        at_the_root.map(PathBuf::from).into_iter().chain(docs).map(Self::read).collect()
    }

    /// The text without code blocks, and the blocks.
    pub(crate) fn parts(&self) -> (String, Vec<Block>) {
        let (mut prose, mut blocks) = (String::new(), Vec::<Block>::new());
        let (mut fenced, mut after_blank, mut inside) = (false, true, false);
        let mut mark = None;
        for line in self.text.lines() {
            let bare = line.trim();
            if bare.starts_with("```") {
                if !fenced {
                    let info = Some(bare.trim_start_matches('`').to_owned()).filter(|info| !info.is_empty());
                    blocks.push(Block { mark: mark.take(), info, lines: Vec::new() });
                }
                (fenced, inside) = (!fenced, false);
            } else if fenced {
                blocks.last_mut().unwrap().lines.push(line.to_owned());
            } else if bare.is_empty() {
                if inside {
                    blocks.last_mut().unwrap().lines.push(String::new());
                }
                prose.push('\n');
                after_blank = true;
                continue;
            } else if line.starts_with("    ") && (inside || after_blank) {
                if !inside {
                    blocks.push(Block { mark: mark.take(), info: None, lines: Vec::new() });
                    inside = true;
                }
                blocks.last_mut().unwrap().lines.push(line.to_owned());
            } else {
                inside = false;
                let comment = bare.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                mark = comment.map(str::to_owned);
                prose.push_str(line);
                prose.push('\n');
            }
            after_blank = false;
        }
        (prose, blocks)
    }

    /// The anchors of the headings, as forges generate them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut seen = HashMap::<String, usize>::new();
        let (prose, _) = self.parts();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        let anchor = |line: &str| {
            let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
            let slug = line.trim_start_matches('#').trim().to_lowercase();
            let slug: String = slug.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect();
            let count = seen.entry(slug.clone()).or_default();
            *count += 1;
            if *count == 1 { slug } else { format!("{slug}-{}", *count - 1) }
        };
        headings.map(anchor).collect()
    }

    /// The targets of the links.
    pub(crate) fn links(&self) -> Vec<String> {
        let (prose, _) = self.parts();
        // A link inside a code span is not a link.
        let prose: String = prose.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let ends = prose.split("](").skip(1);
        ends.map(|rest| rest.split(')').next().unwrap_or_default().to_owned()).collect()
    }

    /// The code spans of the text.
    pub(crate) fn spans(&self) -> Vec<String> {
        let (prose, _) = self.parts();
        let in_paragraph = |text: &str| {
            let spans: Vec<_> = text.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            spans
        };
        prose.split("\n\n").flat_map(in_paragraph).map(|span| span.replace('\n', " ")).collect()
    }
}

#[test]
fn a_page_is_split_into_headings_links_and_blocks() {
    let text = "# One `thing`, it's\n\ntext [a](b.md#c) and `[no](x)`\n\n<!-- run -->\n\n    first\n\n      second\n\n\
                - item\n\n## Two\n\n```toml\nkey = 1\n```\n\n## Two\n";
    let page = Page { path: "x.md".into(), text: text.to_owned() };
    assert_eq!(page.anchors(), ["one-thing-its", "two", "two-1"]);
    assert_eq!(page.links(), ["b.md#c"]);
    assert_eq!(page.spans(), ["thing", "[no](x)"]);
    let (_, blocks) = page.parts();
    let [first, second] = &blocks[..] else { panic!("{blocks:?}") };
    assert_eq!((first.mark.as_deref(), first.text().trim_end()), (Some("run"), "first\n\n  second"));
    assert_eq!((second.mark.as_deref(), second.text().as_str()), (None, "key = 1\n"));
    assert_eq!((first.info.as_deref(), second.info.as_deref()), (None, Some("toml")));
}

/// Requires that systemd accepts a unit with this program, and that it would notice a misspelled setting.
pub(crate) fn assert_systemd_accepts(unit: &str) {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return;
    }
    let directory = TestDir::new();
    let unit = unit.replace("/usr/local/bin/homelab-deploy", binary().to_str().unwrap());
    let path = directory.path().join("homelab-deploy-listener.service");
    let verify = |unit: &str| {
        fs::write(&path, unit).unwrap();
        run(Command::new("systemd-analyze").arg("verify").arg(&path), 0)
    };
    let verified = verify(&unit);
    assert!(!verified.stderr.contains("homelab-deploy"), "{verified}");
    let verified = verify(&unit.replace("UMask", "Umask"));
    assert!(verified.stderr.contains("Unknown key"), "{verified}");
}
