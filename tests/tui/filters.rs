//! The filter of the fleet screen.

use crate::harness::{Harness, PLAIN, ago, answer, noon, presence_message};
use crossterm::event::KeyCode;
use homelab_deploy::tui::{ConsoleEvent, Filter};

fn shown(filter: &str) -> String {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.type_text("/");
    harness.apply(ConsoleEvent::Paste(filter.to_owned()));
    harness.press(KeyCode::Enter);
    harness.apply(ConsoleEvent::Frame);
    harness.app.table.listed().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn terms_and_plain_words() {
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
        ("state:idle", "ns2 old1"),
        ("state:online", "db1 gw1 ns1 ns2 old1 web1"),
        ("state:disk", ""),
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
fn an_invalid_filter_is_explained() {
    for filter in ["seen>", "seen>5", "seen>m", "seen<5y", "!seen>x", "seen>99999999999999999999d", "seen>é"]
    {
        let word = filter.trim_start_matches('!');
        let reason =
            format!("invalid age {word:?}: expected for example seen>90s, seen>5m, seen>2h or seen>1d");
        assert_eq!(Filter::parse(filter), Err(reason));
    }
}

#[test]
fn an_incomplete_filter_changes_nothing() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.type_text("/web9 ");
    harness.apply(ConsoleEvent::Paste("seen>".to_owned()));
    let text = harness.text();
    assert!(text.contains("1 of 8 /web9 seen>") && text.contains("invalid age \"seen>\""), "{text}");
    harness.type_text("1m");
    assert!(harness.text().contains("1 of 8 /web9 seen>1m"));
}

#[test]
fn a_filter_stays_until_escape_clears_it() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.type_text("/web");
    harness.press(KeyCode::Enter);
    assert!(harness.text().contains("3 of 8 /web"));
    // Escape restores the previous filter while another one is being typed.
    harness.type_text("/9");
    assert!(harness.text().contains("1 of 8 /web9"));
    harness.press(KeyCode::Esc);
    assert!(harness.text().contains("3 of 8 /web "));
    harness.press(KeyCode::Esc);
    assert!(!harness.text().contains(" of 8"));
}

#[test]
fn selection_follows_its_host_into_and_out_of_a_filter() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.go_to("web9");
    harness.type_text("/web");
    harness.press(KeyCode::Enter);
    assert!(harness.text().contains("▸  web9"));
    harness.press(KeyCode::Esc);
    assert!(harness.text().contains("▸  web9"));
}

#[test]
fn a_pasted_megabyte_is_cut_and_escaped() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.type_text("/");
    harness.apply(ConsoleEvent::Paste("\u{1b}[31m\tx\r\n".repeat(150_000)));
    assert_eq!(harness.app.table.filter.text.chars().count(), 200);
    assert!(!harness.text().contains(|c: char| c.is_control() && c != '\n'));
    harness.press(KeyCode::Esc);
    assert!(harness.app.table.filter.is_empty());
}

#[test]
fn alternatives_and_regular_expressions_match_what_the_row_shows() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    let mut broken = answer("ns2", "prod", "dns");
    broken.failed_units = vec!["smartd.service".to_owned()];
    harness.receive(ago(1), [presence_message(broken)]);
    harness.clock(noon());
    for (filter, expected) in [
        ("ns1|db1", "db1 ns1"),
        ("role:dns|role:db", "db1 ns1 ns2"),
        ("!ns1|db1 tier:prod", "gw1 ns2"),
        ("ns1|!tier:test", "db1 gw1 ns1 ns2"),
        ("/^ns[12]$/", "ns1 ns2"),
        ("/^NS/", ""),
        ("!/^(ns|web)/", "db1 gw1 old1"),
        // What is on the screen: a unit, the reason of a failure, what is being built, the reason of a hold.
        ("smartd", "ns2"),
        ("health", "web1"),
        ("linux-6.12", "ns1"),
        ("disk", "db1"),
        ("held", "db1"),
        // Incomplete ones match everything.
        ("|", "db1 gw1 ns1 ns2 old1 web1 web9 web10"),
    ] {
        harness.app.table.filter = Filter::parse(filter).unwrap();
        harness.app.table.invalidate();
        harness.apply(ConsoleEvent::Frame);
        let listed: Vec<_> = harness.app.table.listed().iter().map(ToString::to_string).collect();
        assert_eq!(listed.join(" "), expected, "{filter}");
    }
    let error = Filter::parse("/(/").unwrap_err();
    assert!(error.contains("invalid regular expression"), "{error}");
}

#[test]
fn a_list_that_its_filter_empties_says_so() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    crate::builds::receive(&mut harness);
    crate::harness::rollout(&mut harness);
    for screen in ["v", "v\n", "B", "E"] {
        crate::keys::keys(&mut harness, screen);
        harness.type_text("/no such text");
        assert!(harness.text().contains("nothing matches the filter "), "{screen}\n{}", harness.text());
        harness.press(KeyCode::Enter);
        let text = harness.text();
        assert!(text.contains("nothing matches the filter; esc clears it"), "{screen}\n{text}");
        assert!(!text.contains(" yet"), "{screen}\n{text}");
        harness.press(KeyCode::Esc);
        assert!(!harness.text().contains("nothing matches"), "{screen}\n{}", harness.text());
        harness.type_text("qq");
    }
}
