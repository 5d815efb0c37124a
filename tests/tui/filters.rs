//! What a filter shows.

use crate::stage::{PLAIN, Stage};
use crossterm::event::KeyCode;
use homelab_deploy::tui::{Event, Filter};

fn shown(filter: &str) -> String {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.types("/");
    stage.tell(Event::Paste(filter.to_owned()));
    stage.press(KeyCode::Enter);
    stage.tell(Event::Frame);
    stage.app.table.listed().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn terms_and_texts() {
    let all = "db1 gw1 ns1 ns2 old1 web1 web9 web10";
    for (filter, hosts) in [
        ("", all),
        ("   ", all),
        ("web", "web1 web9 web10"),
        ("WEB", "web1 web9 web10"),
        ("!web", "db1 gw1 ns1 ns2 old1"),
        ("legacy", "old1"),
        ("tier:prod", "db1 gw1 ns1 ns2"),
        ("tier:PROD !role:dns", "db1 gw1"),
        ("tier:pro", ""),
        ("host:1 tier:test", "old1 web1 web10"),
        ("state:failed", "web1"),
        ("state:deploying", "ns1"),
        ("state:build", "ns1"),
        ("state:reb", "gw1"),
        ("state:held", "db1"),
        ("state:unit", ""),
        ("state:duplicate", ""),
        ("state:stale", "web9"),
        ("state:offline", "web10"),
        ("state:idle", "db1 gw1 ns2 old1"),
        ("rev:3f2a", "db1 gw1 ns1 ns2 web1 web9 web10"),
        ("rev:main !tier:test", "db1 gw1 ns1 ns2"),
        ("rev:zzz", ""),
        ("seen>1m", "web9 web10"),
        ("seen>5m", "web10"),
        ("seen<10s", "db1 gw1 ns1 ns2 old1 web1"),
        ("!seen<10s", "web9 web10"),
        ("nothing:like-this", ""),
        ("! tier: !role:", all),
    ] {
        assert_eq!(shown(filter), hosts, "{filter:?}");
    }
}

#[test]
fn what_is_no_filter_says_why() {
    for filter in ["seen>", "seen>5", "seen>m", "seen<5y", "!seen>x", "seen>99999999999999999999d", "seen>é"]
    {
        let word = filter.trim_start_matches('!');
        let why = format!("{word:?} is no age: write seen>90s, seen>5m, seen>2h or seen>1d");
        assert_eq!(Filter::parse(filter), Err(why));
    }
}

#[test]
fn what_is_no_filter_yet_changes_nothing() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.types("/web9 ");
    stage.tell(Event::Paste("seen>".to_owned()));
    let text = stage.text();
    assert!(text.contains("1 of 8 /web9 seen>") && text.contains("\"seen>\" is no age"), "{text}");
    stage.types("1m");
    assert!(stage.text().contains("1 of 8 /web9 seen>1m"));
}

#[test]
fn it_stays_until_cleared_and_escape_steps_back() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.types("/web");
    stage.press(KeyCode::Enter);
    assert!(stage.text().contains("3 of 8 /web"));
    // Back to the filter before, when another is not finished.
    stage.types("/9");
    assert!(stage.text().contains("1 of 8 /web9"));
    stage.press(KeyCode::Esc);
    assert!(stage.text().contains("3 of 8 /web "));
    stage.press(KeyCode::Esc);
    assert!(!stage.text().contains(" of 8"));
}

#[test]
fn selection_follows_its_host_into_and_out_of_a_filter() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.go_to("web9");
    stage.types("/web");
    stage.press(KeyCode::Enter);
    assert!(stage.text().contains("▸  web9"));
    stage.press(KeyCode::Esc);
    assert!(stage.text().contains("▸  web9"));
}

#[test]
fn a_megabyte_that_is_pasted_is_cut_and_harmless() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.types("/");
    stage.tell(Event::Paste("\u{1b}[31m\tx\r\n".repeat(150_000)));
    assert_eq!(stage.app.table.filter.text.chars().count(), 200);
    assert!(!stage.text().contains(|c: char| c.is_control() && c != '\n'));
    stage.press(KeyCode::Esc);
    assert!(stage.app.table.filter.is_empty());
}
