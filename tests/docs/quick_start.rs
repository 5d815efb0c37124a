//! The quick start works as written: its commands are run, its files written, and its output compared. `TestHome::substitute` lists the
//! replacements for names that do not exist.

use crate::harness::TestHome;
use crate::page::Page;
use std::collections::HashMap;

/// A line with its numbers and commits masked and its blanks collapsed, because they differ between runs.
fn steady(line: &str) -> String {
    let same = |word: &str| {
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        let commit = word.len() == 7 && word.chars().all(|c| c.is_ascii_hexdigit());
        if number || commit { "#".to_owned() } else { word.to_owned() }
    };
    line.split_whitespace().map(same).collect::<Vec<_>>().join(" ")
}

/// The fleet file with the generated keys.
fn with_keys(text: &str, keys: &HashMap<String, String>) -> String {
    let mut section = "";
    let mut whole = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let key = keys.get(section).map_or("U…", String::as_str);
        whole += &line.replace("U…", key);
        whole.push('\n');
    }
    whole
}

#[test]
fn every_step_works_as_it_is_written() {
    let (_, blocks) = Page::read("docs/start.md").parts();
    let mut home = TestHome::new();
    let (mut keys, mut output, mut done) = (HashMap::new(), String::new(), Vec::new());
    for block in &blocks {
        let text = block.text();
        let mark = block.mark.as_deref().unwrap_or_else(|| panic!("no mark before\n{text}"));
        let words: Vec<_> = mark.split(' ').collect();
        match words[..] {
            ["run"] if text.contains(" keys new ") => keys = home.keys(&text),
            ["run"] => output = home.run(&text),
            ["run", "server"] => home.start_server(&text),
            ["run", "listener", host] => home.start_listener(host, &text),
            ["run", "yes"] => {
                let mut terminal = home.terminal(&text);
                terminal.shows("Continue? Type yes: ");
                terminal.types("yes\r");
                let screen = terminal.wait_for_exit();
                assert_eq!(screen.code, 0, "{}", screen.text);
                assert!(screen.text.contains("ns1   completed"), "{}", screen.text);
            }
            ["run", "console"] => {
                let mut terminal = home.terminal(&text);
                for host in ["ns1", "web1"] {
                    terminal.line(&[host, "idle", "deployed"]);
                }
                terminal.types("q");
                let screen = terminal.wait_for_exit();
                assert!(screen.code == 0 && screen.clean, "{}", screen.text);
            }
            ["file", name] => home.write(name, &with_keys(&text, &keys)),
            ["shows"] => {
                let printed: Vec<_> = output.lines().map(steady).collect();
                for line in text.trim_end().lines().map(steady) {
                    assert!(printed.contains(&line), "no {line:?} in {printed:#?}");
                }
            }
            ["not", "run:", ..] => {}
            _ => panic!("unknown mark {mark:?}"),
        }
        done.push(words[0].to_owned() + words.get(1).unwrap_or(&""));
    }
    for step in ["runserver", "runlistener", "runyes", "runconsole", "shows"] {
        assert!(done.iter().any(|done| done == step), "the page has no {step}");
    }
    let seed = home.host("ns1").join("etc/homelab-deploy/listener.nkey");
    assert!(seed.exists(), "the key is in the file that the page names");
}
