//! Columns, keys, styles and aliases of the console in the configuration file: errors, and what the console makes of them.

use crate::common::{HostBuilder, NatsServer, run};
use crate::config_home::Home;

/// Content of `[console]` from line 2 on, the location of the error in it, and the message.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "columns = [\"host\", \"sate\"]",
        "2:20",
        "console.columns: unknown column \"sate\"; did you mean state?",
    ),
    (
        "columns = [\"host\", \"zebra\"]",
        "2:20",
        "unknown column \"zebra\"; expected one of host, tier, role, state,",
    ),
    ("columns = [\"state\"]", "2:11", "console.columns: expected host among the columns"),
    ("system_columns = [\"host\", \"host\"]", "2:27", "console.system_columns: host is listed twice"),
    ("columns = \"host\"", "2:11", "console.columns: expected a list of quoted strings, found a string"),
    ("columns = [1]", "2:12", "console.columns: expected a quoted string, found a number"),
    ("keys.deplyo = \"d\"", "2:6", "unknown key \"deplyo\" in [console.keys]; did you mean deploy?"),
    // Keys of dialogs and text fields are fixed.
    ("keys.accept = \"x\"", "2:6", "unknown key \"accept\" in [console.keys]; expected one of deploy, open,"),
    (
        "keys.deploy = \"entr\"",
        "2:15",
        "console.keys.deploy: unknown key \"entr\": expected a character, or a name such as enter, space, pgdn, f5,",
    ),
    ("keys.deploy = [\"f2\", \"ctrl-\"]", "2:22", "console.keys.deploy: unknown key \"ctrl-\""),
    ("keys.deploy = 1", "2:15", "console.keys.deploy: expected a list of quoted strings, found a number"),
    (
        "keys.deploy = \"c\"",
        "2:15",
        "console.keys.deploy: c is also a key of cancel; give that command another key, as in cancel = \"f5\"",
    ),
    ("keys.mark = \"ctrl-c\"", "2:13", "console.keys.mark: ctrl-c is also a key of leave"),
    ("theme.god = \"green\"", "2:7", "unknown key \"god\" in [console.theme]; did you mean good?"),
    (
        "theme.good = \"bold gren\"",
        "2:14",
        "console.theme.good: unknown style \"gren\": expected a colour such as red, light-blue, 208 or #ff8700,",
    ),
    ("theme.good = \"black on\"", "2:14", "console.theme.good: unknown style \"\": expected a colour"),
    ("theme.good = [\"red\"]", "2:14", "console.theme.good: expected a quoted string, found a list"),
    (
        "aliases.up = \"deplyo web1\"",
        "2:14",
        "console.aliases.up: unknown command \"deplyo\"; did you mean deploy?",
    ),
    ("aliases.deploy = \"diff\"", "2:9", "console.aliases.deploy: this is the name of a command"),
    ("aliases.\"a b\" = \"diff\"", "2:9", "console.aliases.a b: expected a name without spaces"),
    ("aliases.up = \"\"", "2:14", "console.aliases.up: it is empty"),
];

#[test]
fn each_invalid_value_is_an_error_of_the_console_and_of_the_check() {
    for (line, place, expected) in WRONG {
        let home = Home::with(&format!("[console]\n{line}\n"));
        let refused = run(home.command().args(["tui", "--snapshot"]), 2);
        refused.assert_stderr(&[&format!("error: {}: ", home.at(place)), expected]);
        let checked = run(home.command().args(["config", "check"]), 2);
        assert!(checked.stdout.contains(&format!("problem: {}: ", home.at(place))), "{checked}");
        assert!(checked.stdout.contains(expected), "{checked}");
        checked.assert_stderr(&["error: found 1 problem"]);
    }
}

#[test]
fn all_problems_are_listed_in_the_order_of_the_file() {
    let home =
        Home::with("[console]\naliases.x = \"y\"\ncolumns = [\"host\", \"x\"]\nkeys.deploy = \"xy\"\n");
    let checked = run(home.command().args(["config", "check"]), 2);
    let places: Vec<_> = checked.stdout.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(places, [home.at("2:13"), home.at("3:20"), home.at("4:15")], "{checked}");
}

#[test]
fn other_commands_ignore_an_invalid_style() {
    let home = Home::with("[console]\ntheme.good = \"gren\"\n");
    run(home.command().args(["config", "show"]), 0);
}

#[test]
fn the_console_uses_configured_columns_and_keys() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let home = Home::of(
        &nats,
        "admin",
        "[console]\ncolumns = [\"host\", \"seen\", \"role\"]\nkeys.deploy = [\"f2\", \"X\"]\nkeys.diff = []",
    );
    let mut command = home.command();
    command.env("LC_ALL", "C.UTF-8").args(["tui", "--snapshot", "--size", "100x24", "--keys", "X<esc>"]);
    let shown = run(&mut command, 0);
    let heading = shown.stdout.lines().nth(3).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(heading, "│ HOST SEEN ROLE │", "{shown}");
    assert!(shown.stdout.lines().last().unwrap().trim_start().starts_with("f2 deploy "), "{shown}");
    // The settings are shown with their source.
    let rows = run(home.command().args(["config", "show", "--output", "json"]), 0).json();
    let value = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap()["value"].clone();
    assert_eq!(value("console.columns"), serde_json::json!(["host", "seen", "role"]));
    assert_eq!(value("console.keys.deploy"), serde_json::json!(["f2", "X"]));
    assert_eq!(value("console.keys.diff"), serde_json::json!([]));
}
