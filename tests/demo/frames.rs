//! The frames in docs/console.md show what the console displays for a demo.
//! `FRAMES=write cargo test --test demo frames` updates them.

use crate::common::run;
use crate::fast_demo::FastDemo;
use std::fs;
use std::path::Path;

/// Precedes a frame, with its size and the keys that lead to it.
const MARK: &str = "<!-- frame ";
const PAGES: [&str; 1] = ["docs/console.md"];
/// The issuer in the frames, independent of the name of this machine.
const ISSUER: &str = "operator@demo";
/// The flake of a demo: the text before its directory, the directory in the frames, and the text after it.
const FLAKE: (&str, &str, &str) = ("git+file://", "/tmp/demo", "/fleet.git");
/// The page shows a dry run of several hosts in the frame whose keys filter for it; that dry run happens right before.
const DRY_RUN: (&str, [&str; 4]) = ("/operator.*dry", ["diff", "--all", "--tier", "test"]);
/// Number of attempts to get the expected frame, because a host may reply slowly.
const TRIES: usize = 20;
/// The units of a duration.
const UNITS: [&str; 5] = ["ms", "s", "min", "h", "d"];

/// The frame for a mark.
fn frame(demo: &FastDemo, mark: &str) -> String {
    let (size, keys) = mark.split_once(' ').unwrap_or((mark, ""));
    let arguments = ["tui", "--snapshot", "--size", size, "--keys", keys];
    let arguments = if keys.is_empty() { &arguments[..4] } else { &arguments[..] };
    let frame = run(demo.command().args(arguments), 0).stdout;
    let here = format!("operator@{}", rustix::system::uname().nodename().to_string_lossy());
    frame.lines().map(|line| with_documented_flake(&with_documented_issuer(line, &here)) + "\n").collect()
}

/// The line with the documented directory of the flake, padded to the same width.
fn with_documented_flake(line: &str) -> String {
    let Some((before, flake)) = line.split_once(FLAKE.0) else { return line.to_owned() };
    let Some((directory, after)) = flake.split_once(FLAKE.2) else { return line.to_owned() };
    let blanks = " ".repeat(directory.len().saturating_sub(FLAKE.1.len()));
    let after = match after.find("  ") {
        Some(at) => format!("{}{blanks}{}", &after[..at], &after[at..]),
        None => after.to_owned(),
    };
    format!("{before}{}{}{}{after}", FLAKE.0, FLAKE.1, FLAKE.2)
}

/// The line with the documented issuer, padded to the same width.
fn with_documented_issuer(line: &str, here: &str) -> String {
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

/// The line without values that differ between demos: times, ages, the server address, and their widths.
fn steady(line: &str) -> String {
    let words: Vec<_> = line.split([' ', '─']).filter(|word| !word.is_empty()).collect();
    let is_unit = |word: &&str| UNITS.contains(&word.trim_end_matches([',', ';', ')']));
    let shown = words.iter().enumerate().map(|(at, word)| {
        let is_number = word.starts_with(|c: char| c.is_ascii_digit());
        let is_day = word.contains('-') && word.chars().all(|c| c.is_ascii_digit() || c == '-');
        let is_clock = word.contains(':') || is_day;
        match at.checked_sub(1).and_then(|before| words.get(before)) {
            Some(before) if is_unit(word) && before.starts_with(|c: char| c.is_ascii_digit()) => "u",
            _ if is_number && (is_clock || words.get(at + 1).is_some_and(is_unit)) => "#",
            _ => word,
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The lines of a frame that are not empty, without values that differ between demos.
fn without_volatile_values<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.map(steady).filter(|line| !line.is_empty()).collect()
}

/// A part of a page: the text after a mark, up to the next mark.
struct FrameBlock<'a> {
    mark: &'a str,
    shown: Vec<&'a str>,
    after: String,
}

impl<'a> FrameBlock<'a> {
    fn of(part: &'a str) -> Self {
        let (mark, rest) = part.split_once(" -->\n").expect("the end of a mark");
        let body = rest.trim_start_matches('\n');
        let lines = || body.lines();
        let end = lines().take_while(|line| line.is_empty() || line.starts_with("    ")).count();
        let shown = lines().take(end).map(|line| line.get(4..).unwrap_or_default()).collect();
        Self { mark, shown, after: lines().skip(end).flat_map(|line| [line, "\n"]).collect() }
    }

    /// The part with a new frame.
    fn with(&self, frame: &str) -> String {
        let lines = frame.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n");
        [MARK, self.mark, " -->\n\n", &lines.collect::<String>(), "\n", &self.after].concat()
    }
}

#[test]
fn frames_are_what_the_console_shows() {
    // Where the screen cuts a path depends on its length.
    let demo = FastDemo::in_directory(tempfile::tempdir_in("/tmp").unwrap());
    let writes = std::env::var_os("FRAMES").is_some();
    for page in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = fs::read_to_string(&path).unwrap();
        let (mut fresh, parts) = text.split_once(MARK).map_or_else(
            || panic!("no frame in {page}"),
            |(start, parts)| (start.to_owned(), parts.split(MARK).map(FrameBlock::of)),
        );
        for part in parts {
            if part.mark.contains(DRY_RUN.0) {
                run(demo.command().args(DRY_RUN.1), 0);
            }
            let mut expected = without_volatile_values(part.shown.iter().copied());
            let mut frame = self::frame(&demo, part.mark);
            for _ in 1..TRIES {
                let taken = without_volatile_values(frame.lines());
                if taken == expected {
                    break;
                }
                if writes {
                    // A frame that was received twice is complete.
                    expected = taken;
                }
                frame = self::frame(&demo, part.mark);
            }
            if !writes {
                assert_eq!(
                    expected,
                    without_volatile_values(frame.lines()),
                    "{page}, {}: now it is\n{frame}",
                    part.mark
                );
            }
            fresh.push_str(&part.with(&frame));
        }
        if writes {
            fs::write(&path, fresh).unwrap();
        }
    }
}

#[test]
fn only_volatile_values_are_ignored() {
    let line = "│ web3  ✗ verify   rolled back   main f0e5c45  155  2 d   12 s │";
    for same in
        ["│ web3  ✗ verify  rolled back  main f0e5c45  155  3 d  1 min │", &line.replace("12 s", " 0 s")]
    {
        assert_eq!(steady(line), steady(same));
    }
    let head = |port: u16, time: &str, at: &str| format!(" fleet   127.0.0.1:{port} ● {time} ms   {at}");
    assert_eq!(steady(&head(4222, "1.2", "12:31:07")), steady(&head(40123, "31.9", "01:02:03")));
    for (of, other) in [
        ("✗ verify", "✗ check"),
        ("f0e5c45", "8782436"),
        ("155", "156"),
        ("web3", "web2"),
        ("rolled back", "in build"),
    ] {
        assert_ne!(steady(line), steady(&line.replace(of, other)), "{other}");
    }
}
