//! Shell completions and manual pages, tested with the real shells and `man`.

use crate::common::{binary, run};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn ours() -> Command {
    let mut command = Command::new(binary());
    command.env_clear();
    command
}

fn completions(shell: &str) -> String {
    run(ours().args(["completions", shell]), 0).stdout
}

/// The completions that bash offers for these words after sourcing the script, with this environment.
fn offered(script: &Path, environment: &[(&str, &Path)], words: &[&str]) -> BTreeSet<String> {
    let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let last = words.len() - 1;
    let driver = format!(
        "source '{}'; COMP_WORDS=({quoted}); COMP_CWORD={last}; f=$(complete -p homelab-deploy); f=${{f##*-F }}; \
         ${{f%% *}} homelab-deploy '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words[last],
        words[last - 1]
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &driver]).env_clear().env("PATH", path()).envs(environment.iter().copied());
    run(&mut bash, 0).stdout.lines().map(str::to_owned).collect()
}

/// A search path on which the binary is first.
fn path() -> String {
    format!("{}:{}", binary().parent().unwrap().display(), std::env::var("PATH").unwrap())
}

#[test]
fn bash_loads_its_completion_and_offers_commands_flags_and_values() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("homelab-deploy.bash");
    fs::write(&script, completions("bash")).unwrap();
    run(Command::new("bash").arg("-n").arg(&script), 0);
    let offers = |words: &[&str]| offered(&script, &[], words);
    let commands = offers(&["homelab-deploy", ""]);
    for command in ["listener", "deploy", "tui", "completions", "man"] {
        assert!(commands.contains(command), "{commands:?}");
    }
    assert!(!commands.contains("activation"), "hidden helper commands are not offered: {commands:?}");
    assert!(offers(&["homelab-deploy", "deploy", "--bra"]).contains("--branch"));
    let formats = offers(&["homelab-deploy", "hosts", "--output", ""]);
    assert_eq!(formats, ["human", "json"].map(str::to_owned).into());
    let actions = offers(&["homelab-deploy", "deploy", "--action", ""]);
    assert_eq!(actions, ["boot", "build", "dry-activate", "switch", "test"].map(str::to_owned).into());
    let kinds = offers(&["homelab-deploy", "keys", "new", ""]);
    assert!(["listener", "deployer", "mcp"].iter().all(|kind| kinds.contains(*kind)), "{kinds:?}");
    // No files are offered for names.
    for words in [&["deploy", "--branch", ""][..], &["logs", "--id", ""]] {
        let offered = offers(&[&["homelab-deploy"], words].concat());
        assert!(!offered.contains("src") && !offered.contains("Cargo.toml"), "{words:?}: {offered:?}");
    }
}

/// Two contexts, of which `home` is the default. Their servers do not exist.
const CONTEXTS: &str = "\
context = \"home\"
[contexts.home]
nats_url = \"nats://127.0.0.1:9\"
nkey_file = \"no such file\"
fleet = \"fleet.toml\"
aliases.dns = \"ns1\"
hosts.web1 = { tier = \"test\", role = \"web\" }
hosts.web2 = { tier = \"prod\", role = \"web\" }
[contexts.work]
nats_url = \"nats://127.0.0.1:9\"
hosts.desk = { tier = \"office\" }
";

#[test]
fn known_hosts_tiers_roles_and_contexts_are_offered_without_a_connection() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("homelab-deploy.bash");
    fs::write(&script, completions("bash")).unwrap();
    let config = directory.path().join("config/homelab-deploy");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.toml"), CONTEXTS).unwrap();
    let key = run(
        ours().args(["keys", "new", "listener", "--host", "ns1", "--out"]).arg(config.join("ns1.nkey")),
        0,
    );
    let entry =
        format!("[hosts.ns1]\ntier = \"prod\"\nrole = \"dns\"\npublic_key = {:?}\n", key.stdout.trim());
    fs::write(config.join("fleet.toml"), entry).unwrap();
    // A host that was seen before.
    let inventory = directory.path().join("state/homelab-deploy/inventory/home.json");
    fs::create_dir_all(inventory.parent().unwrap()).unwrap();
    fs::write(
        &inventory,
        r#"{"db1": {"tier": "test", "role": "db", "deploy_subjects": ["deploy.test.db1"]}}"#,
    )
    .unwrap();
    let environment = [
        ("XDG_CONFIG_HOME", directory.path().join("config")),
        ("XDG_STATE_HOME", directory.path().join("state")),
        ("HOMELAB_DEPLOY_ALIAS_ALL_DNS", "deploy.prod.role.dns".into()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_path()));
    let offers = |line: &str| {
        let words: Vec<&str> = std::iter::once("homelab-deploy").chain(line.split(' ')).collect();
        let offered = offered(&script, &environment, &words);
        offered.into_iter().filter(|word| !word.starts_with('-')).collect::<Vec<_>>().join(" ")
    };
    for (line, expected) in [
        ("deploy ", "all-dns db1 dns ns1 web1 web2"),
        ("deploy w", "web1 web2"),
        ("deploy web1 w", "web1 web2"),
        ("deploy --context work ", "all-dns desk"),
        ("deploy --context=work ", "all-dns desk"),
        ("deploy --context nosuch ", "all-dns"),
        ("deploy --canary ", "db1 ns1 web1 web2"),
        ("deploy --all --tier ", "prod test"),
        ("hosts --role ", "db web"),
        ("hosts --forget d", "db1"),
        ("logs ", "db1 ns1 web1 web2"),
        ("build n", "ns1"),
        ("tui --context ", "home work"),
        // Of one machine or a new fleet, not of a known one.
        ("listener --tier ", ""),
        ("keys new listener --tier ", ""),
    ] {
        assert_eq!(offers(line), expected, "{line}");
    }
    // If the configuration is wrong, the shell's line stays clean.
    fs::write(config.join("config.toml"), "context = 5").unwrap();
    assert_eq!(offers("deploy "), "all-dns");
}

#[test]
fn fish_and_zsh_load_their_completions() {
    let directory = tempfile::tempdir().unwrap();
    let script = |shell: &str| {
        let file = directory.path().join(shell);
        fs::write(&file, completions(shell)).unwrap();
        file
    };
    let there = |shell: &str| Command::new(shell).arg("--version").output().is_ok();
    if there("fish") {
        let driver =
            format!("source {}; complete -C 'homelab-deploy deploy --bra'", script("fish").display());
        let mut fish = Command::new("fish");
        fish.env("HOME", directory.path()).env("PATH", path()).args(["-c", &driver]);
        let offered = run(&mut fish, 0).stdout;
        assert!(offered.starts_with("--branch\t"), "{offered}");
    }
    if there("zsh") {
        run(Command::new("zsh").arg("-n").arg(script("zsh")), 0);
        // As zsh calls the script at the first completion, with stand-ins for the functions of its completion system.
        fs::rename(directory.path().join("zsh"), directory.path().join("_homelab-deploy")).unwrap();
        let driver = format!(
            "fpath=({}); autoload -Uz _homelab-deploy; compdef() {{ : }}; _describe() {{ print -l -- ${{(P)3}} }}; \
             words=(homelab-deploy deploy --bra); CURRENT=3; _homelab-deploy",
            directory.path().display()
        );
        let offered = run(Command::new("zsh").env("PATH", path()).args(["-fc", &driver]), 0).stdout;
        assert!(offered.starts_with("--branch:"), "{offered}");
    }
}

/// A page as `man` renders it, or its source if `man` is not available.
fn read(page: &Path) -> String {
    let mut man = Command::new("man");
    let set = man.args(["-P", "cat", "-l"]).arg(page).env("MANWIDTH", "90");
    let text = set.output().ok().filter(|output| output.status.success() && !output.stdout.is_empty());
    let bytes = text.map_or_else(|| fs::read(page).unwrap(), |output| output.stdout);
    String::from_utf8_lossy(&bytes).replace("\\-", "-").replace('\u{2010}', "-")
}

#[test]
fn there_is_a_page_for_each_command_and_the_first_one_names_the_others() {
    let directory = tempfile::tempdir().unwrap();
    // The directory is created if it does not exist.
    let out = directory.path().join("share/man1");
    run(ours().arg("man").arg("--out").arg(&out), 0);
    let first = run(ours().arg("man"), 0).stdout;
    assert_eq!(first.trim_end(), fs::read_to_string(out.join("homelab-deploy.1")).unwrap().trim_end());
    let page = read(&out.join("homelab-deploy.1"));
    let mut named: BTreeSet<String> = page
        .split(|c: char| c.is_whitespace())
        .filter_map(|word| word.strip_suffix("(1)"))
        .map(str::to_owned)
        .collect();
    for group in ["config", "keys"] {
        let page = read(&out.join(format!("homelab-deploy-{group}.1")));
        named.extend(page.split_whitespace().filter_map(|word| word.strip_suffix("(1)")).map(str::to_owned));
    }
    // The header of a page names the page itself, and `help` has no page.
    named.retain(|name| name.starts_with("homelab-deploy-") && !name.ends_with("-help"));
    let files = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: BTreeSet<String> = files.map(|file| file.strip_suffix(".1").unwrap().to_owned()).collect();
    assert!(pages.remove("homelab-deploy"));
    assert_eq!(pages, named);
    assert!(!pages.iter().any(|page| page.contains("activation")));
}

#[test]
fn the_page_of_a_command_has_its_flags_with_what_they_do() {
    let directory = tempfile::tempdir().unwrap();
    run(ours().arg("man").arg("--out").arg(directory.path()), 0);
    let page = read(&directory.path().join("homelab-deploy-listener.1"));
    for text in ["--confirm-timeout", "Seconds between reports of a running job", "--tier"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[test]
fn groff_reports_no_warnings() {
    if Command::new("groff").arg("--version").output().is_err() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    run(ours().arg("man").arg("--out").arg(directory.path()), 0);
    for page in fs::read_dir(directory.path()).unwrap() {
        let page = page.unwrap().path();
        let set = run(Command::new("groff").args(["-man", "-ww", "-z", "-Kutf8", "-Tutf8"]).arg(&page), 0);
        assert_eq!(set.stderr, "", "{}", page.display());
    }
}

#[test]
fn an_unwritable_directory_is_named() {
    run(ours().args(["man", "--out", "/dev/null/man"]), 1)
        .assert_stderr(&["could not write manual pages to /dev/null/man", "Not a directory"]);
}

#[test]
fn scripts_and_pages_match_their_snapshots() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        insta::assert_snapshot!(format!("completion-{shell}"), completions(shell));
    }
    let directory = tempfile::tempdir().unwrap();
    run(ours().arg("man").arg("--out").arg(directory.path()), 0);
    let pages = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    for page in pages {
        let name = page.file_stem().unwrap().to_str().unwrap().to_owned();
        insta::assert_snapshot!(format!("man-{name}"), fs::read_to_string(&page).unwrap());
    }
}
