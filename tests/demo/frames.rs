//! The frames in the documentation of the console are what the console shows of a demo. `FRAMES=write cargo test --test demo frames` takes
//! them anew.

use crate::common::run;
use crate::show::Show;
use std::fs;
use std::path::Path;

/// What stands before a frame: the keys that lead to it, and its size.
const MARK: &str = "<!-- frame ";
const PAGES: [&str; 1] = ["docs/console.md"];
/// Who works the console in them, whatever this machine is called.
const ISSUER: &str = "operator@demo";
/// The flake of a demo: before its folder, the folder in the frames, and after it.
const FLAKE: (&str, &str, &str) = ("git+file://", "/tmp/demo", "/fleet.git");
/// How often a frame is taken before it is believed to be another one: a host may be slow to answer.
const TRIES: usize = 4;
/// What stands behind a number that tells a time.
const UNITS: [&str; 5] = ["ms", "s", "min", "h", "d"];

/// The frame that a mark asks for.
fn frame(show: &Show, mark: &str) -> String {
    let (size, keys) = mark.split_once(' ').unwrap_or((mark, ""));
    let arguments = ["tui", "--snapshot", "--size", size, "--keys", keys];
    let arguments = if keys.is_empty() { &arguments[..4] } else { &arguments[..] };
    let frame = run(show.command().args(arguments), 0).out;
    let here = format!("operator@{}", rustix::system::uname().nodename().to_string_lossy());
    frame.lines().map(|line| at_home(&renamed(line, &here)) + "\n").collect()
}

/// A line with the flake where a demo could have it, as wide as before where that is in a narrower place.
fn at_home(line: &str) -> String {
    let Some((before, flake)) = line.split_once(FLAKE.0) else { return line.to_owned() };
    let Some((folder, after)) = flake.split_once(FLAKE.2) else { return line.to_owned() };
    let blanks = " ".repeat(folder.len().saturating_sub(FLAKE.1.len()));
    let after = match after.find("  ") {
        Some(at) => format!("{}{blanks}{}", &after[..at], &after[at..]),
        None => after.to_owned(),
    };
    format!("{before}{}{}{}{after}", FLAKE.0, FLAKE.1, FLAKE.2)
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

/// A line without what differs from one demo to the next: times, ages, the address of the broker, and the room that they take.
fn steady(line: &str) -> String {
    let words: Vec<_> = line.split([' ', '─']).filter(|word| !word.is_empty()).collect();
    let is_unit = |word: &&str| UNITS.contains(&word.trim_end_matches([',', ';', ')']));
    let shown = words.iter().enumerate().map(|(at, word)| {
        let is_number = word.starts_with(|c: char| c.is_ascii_digit());
        let is_clock = word.contains(':') || word.matches('-').count() == 2;
        match at.checked_sub(1).and_then(|before| words.get(before)) {
            Some(before) if is_unit(word) && before.starts_with(|c: char| c.is_ascii_digit()) => "u",
            _ if is_number && (is_clock || words.get(at + 1).is_some_and(is_unit)) => "#",
            _ => word,
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The lines of a frame that are not empty, each without what differs.
fn steadied<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.map(steady).filter(|line| !line.is_empty()).collect()
}

/// One part of a page: what stands after a mark, up to the next.
struct Part<'a> {
    mark: &'a str,
    shown: Vec<&'a str>,
    after: String,
}

impl<'a> Part<'a> {
    fn of(part: &'a str) -> Self {
        let (mark, rest) = part.split_once(" -->\n").expect("the end of a mark");
        let body = rest.trim_start_matches('\n');
        let lines = || body.lines();
        let end = lines().take_while(|line| line.is_empty() || line.starts_with("    ")).count();
        let shown = lines().take(end).map(|line| line.get(4..).unwrap_or_default()).collect();
        Self { mark, shown, after: lines().skip(end).flat_map(|line| [line, "\n"]).collect() }
    }

    /// It with a frame that was taken anew.
    fn with(&self, frame: &str) -> String {
        let lines = frame.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n");
        [MARK, self.mark, " -->\n\n", &lines.collect::<String>(), "\n", &self.after].concat()
    }
}

#[test]
fn they_are_what_the_console_shows() {
    let show = Show::open();
    let writes = std::env::var_os("FRAMES").is_some();
    for page in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = fs::read_to_string(&path).unwrap();
        let (mut fresh, parts) = text.split_once(MARK).map_or_else(
            || panic!("no frame in {page}"),
            |(start, parts)| (start.to_owned(), parts.split(MARK).map(Part::of)),
        );
        for part in parts {
            let mut told = steadied(part.shown.iter().copied());
            let mut frame = self::frame(&show, part.mark);
            for _ in 1..TRIES {
                let taken = steadied(frame.lines());
                if taken == told {
                    break;
                }
                if writes {
                    // What comes twice is not half of it.
                    told = taken;
                }
                frame = self::frame(&show, part.mark);
            }
            if !writes {
                assert_eq!(told, steadied(frame.lines()), "{page}, {}: now it is\n{frame}", part.mark);
            }
            fresh.push_str(&part.with(&frame));
        }
        if writes {
            fs::write(&path, fresh).unwrap();
        }
    }
}

#[test]
fn what_differs_from_one_demo_to_the_next_is_no_other_frame_and_all_else_is() {
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
