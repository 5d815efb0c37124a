//! The frames in the documentation of the console are what the console shows of a demo. `FRAMES=write cargo test --test demo frames` takes
//! them anew.

use crate::common::{binary, run};
use homelab_deploy::demo::{Demo, Pace};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What stands before a frame: the keys that lead to it, and its size.
const MARK: &str = "<!-- frame ";
const PAGES: [&str; 1] = ["docs/console.md"];
/// Who works the console in them, whatever this machine is called.
const ISSUER: &str = "alice@laptop";

/// A demo without a day of its own, and the console of its operator.
struct Show {
    runtime: tokio::runtime::Runtime,
    demo: Option<Demo>,
    folder: tempfile::TempDir,
}

impl Show {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let start = Demo::start(folder.path(), 12, Path::new(binary()), Pace::Show);
        let demo = Some(runtime.block_on(start).unwrap());
        let show = Self { runtime, demo, folder };
        crate::common::eventually("every host of the demo", || {
            let told = run(show.command().args(["hosts", "--output", "json"]), 0);
            (told.json().len() == 12).then_some(())
        });
        show
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .env("HOMELAB_DEPLOY_NATS_URL", self.demo.as_ref().unwrap().url())
            .env("HOMELAB_DEPLOY_NKEY_FILE", self.folder.path().join("operator.nkey"))
            .env("HOMELAB_DEPLOY_BRANCH", "main")
            .env("XDG_STATE_HOME", self.folder.path().join("xdg"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("USER", "alice")
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .stdin(Stdio::null());
        command
    }

    /// The frame that a mark asks for.
    fn frame(&self, mark: &str) -> String {
        let (size, keys) = mark.split_once(' ').unwrap_or((mark, ""));
        let arguments = ["tui", "--snapshot", "--size", size, "--keys", keys];
        let arguments = if keys.is_empty() { &arguments[..4] } else { &arguments[..] };
        let frame = run(self.command().args(arguments), 0).out;
        let here = format!("alice@{}", rustix::system::uname().nodename().to_string_lossy());
        frame.lines().map(|line| renamed(line, &here) + "\n").collect()
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        if let Some(demo) = self.demo.take() {
            self.runtime.block_on(demo.stop()).unwrap();
        }
    }
}

/// A line with the issuer of the documentation, as wide as before.
fn renamed(line: &str, here: &str) -> String {
    let Some((before, after)) = line.split_once(here) else { return line.to_owned() };
    let wider = ISSUER.len().saturating_sub(here.len());
    let narrower = here.len().saturating_sub(ISSUER.len());
    let blanks = " ".repeat(wider);
    let before = match before.rfind(&format!("{blanks}  ")) {
        Some(at) => format!("{}{}{}", &before[..at], " ".repeat(narrower), &before[at + wider..]),
        None => before.to_owned(),
    };
    format!("{before}{ISSUER}{after}")
}

/// A line without what differs from one demo to the next: numbers, hashes, ages, and the room that they take.
fn steady(line: &str) -> String {
    let mut out = String::new();
    for word in line.split([' ', '─']).filter(|word| !word.is_empty()) {
        let digits = word.chars().any(|c| c.is_ascii_digit());
        let name = word.chars().all(|c| c.is_ascii_alphanumeric())
            && word.starts_with(|c: char| c.is_ascii_lowercase());
        let is_host = ["cache", "ci", "dns", "web"].iter().any(|role| word.starts_with(role)) && name;
        let unit = ["s", "min", "h", "d", "ms"].contains(&word);
        let shown = if unit {
            "u"
        } else if digits && !is_host {
            "#"
        } else {
            word
        };
        out.push_str(shown);
        out.push(' ');
    }
    out
}

#[test]
fn they_are_what_the_console_shows() {
    let show = Show::open();
    for page in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = fs::read_to_string(&path).unwrap();
        let mut fresh = String::new();
        let mut parts = text.split(MARK);
        fresh.push_str(parts.next().unwrap());
        let mut frames = 0;
        for part in parts {
            frames += 1;
            let (mark, rest) = part.split_once(" -->\n").expect("the end of a mark");
            let body = rest.trim_start_matches('\n');
            let end = body.lines().take_while(|line| line.is_empty() || line.starts_with("    ")).count();
            let shown: Vec<_> =
                body.lines().take(end).map(|line| line.get(4..).unwrap_or_default()).collect();
            let after: String = body.lines().skip(end).flat_map(|line| [line, "\n"]).collect();
            let frame = show.frame(mark);
            let steadied = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
                lines.map(steady).filter(|line| !line.is_empty()).collect()
            };
            if std::env::var_os("FRAMES").is_none() {
                let (told, true_frame) = (steadied(&mut shown.iter().copied()), steadied(&mut frame.lines()));
                assert_eq!(told, true_frame, "{page}, {mark}: now it is\n{frame}");
            }
            let lines: String =
                frame.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect();
            fresh.extend([MARK, mark, " -->\n\n", &lines, "\n", &after]);
        }
        assert!(frames > 0, "no frame in {page}");
        if std::env::var_os("FRAMES").is_some() {
            fs::write(&path, fresh).unwrap();
        }
    }
}
