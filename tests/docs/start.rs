//! The way from zero to the first deployment, gone as the page tells it: its commands are run, its files written, and what it shows
//! is compared. `Home::meant` lists what is put in the place of names that exist nowhere.

use crate::page::Page;
use crate::stage::Home;
use std::collections::HashMap;

/// A line without what differs from one time to the next: its numbers and commits, and the blanks between columns.
fn steady(line: &str) -> String {
    let same = |word: &str| {
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        let commit = word.len() == 7 && word.chars().all(|c| c.is_ascii_hexdigit());
        if number || commit { "#".to_owned() } else { word.to_owned() }
    };
    line.split_whitespace().map(same).collect::<Vec<_>>().join(" ")
}

/// The file of the fleet with the keys that were made.
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
    let mut home = Home::new();
    let (mut keys, mut said, mut done) = (HashMap::new(), String::new(), Vec::new());
    for block in &blocks {
        let text = block.text();
        let mark = block.mark.as_deref().unwrap_or_else(|| panic!("nothing says what to do with\n{text}"));
        let words: Vec<_> = mark.split(' ').collect();
        match words[..] {
            ["run"] if text.contains(" keys new ") => keys = home.keys(&text),
            ["run"] => said = home.run(&text),
            ["run", "broker"] => home.start_broker(&text),
            ["run", "listener", host] => home.start_listener(host, &text),
            ["run", "yes"] => {
                let mut terminal = home.terminal(&text);
                terminal.shows("Go on? Type yes: ");
                terminal.types("yes\r");
                let screen = terminal.ended();
                assert_eq!(screen.code, 0, "{}", screen.text);
                assert!(screen.text.contains("ns1   completed"), "{}", screen.text);
            }
            ["run", "console"] => {
                let mut terminal = home.terminal(&text);
                for host in ["ns1", "web1"] {
                    terminal.line(&[host, "idle", "main"]);
                }
                terminal.types("q");
                let screen = terminal.ended();
                assert!(screen.code == 0 && screen.clean, "{}", screen.text);
            }
            ["file", name] => home.write(name, &with_keys(&text, &keys)),
            ["shows"] => {
                let said: Vec<_> = said.lines().map(steady).collect();
                for line in text.trim_end().lines().map(steady) {
                    assert!(said.contains(&line), "no {line:?} in {said:#?}");
                }
            }
            ["not", "run:", ..] => {}
            _ => panic!("unknown mark {mark:?}"),
        }
        done.push(words[0].to_owned() + words.get(1).unwrap_or(&""));
    }
    for step in ["runbroker", "runlistener", "runyes", "runconsole", "shows"] {
        assert!(done.iter().any(|done| done == step), "the page has no {step}");
    }
    let seed = home.host("ns1").join("etc/homelab-deploy/listener.nkey");
    assert!(seed.exists(), "the key is where the page has put it");
}
