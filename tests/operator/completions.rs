//! Completions and manual pages, as shells and readers of pages take them.

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
    run(ours().args(["completions", shell]), 0).out
}

/// What bash offers for these words, with its own completion loaded as people load it.
fn offered(script: &Path, words: &[&str]) -> BTreeSet<String> {
    let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let last = words.len() - 1;
    let driver = format!(
        "source '{}'; COMP_WORDS=({quoted}); COMP_CWORD={last}; f=$(complete -p homelab-deploy); f=${{f##*-F }}; \
         ${{f%% *}} homelab-deploy '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words[last],
        words[last - 1]
    );
    let said = run(Command::new("bash").args(["--norc", "-c", &driver]), 0).out;
    said.lines().map(str::to_owned).collect()
}

#[test]
fn bash_loads_its_completion_and_offers_commands_flags_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("homelab-deploy.bash");
    fs::write(&script, completions("bash")).unwrap();
    run(Command::new("bash").arg("-n").arg(&script), 0);
    let offers = |words: &[&str]| offered(&script, words);
    let commands = offers(&["homelab-deploy", ""]);
    for command in ["listener", "deploy", "tui", "completions", "man"] {
        assert!(commands.contains(command), "{commands:?}");
    }
    assert!(!commands.contains("activation"), "our helpers are nobody's commands: {commands:?}");
    assert!(offers(&["homelab-deploy", "deploy", "--bra"]).contains("--branch"));
    let formats = offers(&["homelab-deploy", "hosts", "--output", ""]);
    assert_eq!(formats, ["human", "json"].map(str::to_owned).into());
    let actions = offers(&["homelab-deploy", "deploy", "--action", ""]);
    assert_eq!(actions, ["boot", "build", "dry-activate", "switch", "test"].map(str::to_owned).into());
    let kinds = offers(&["homelab-deploy", "keys", "new", ""]);
    assert!(["listener", "deployer", "mcp"].iter().all(|kind| kinds.contains(*kind)), "{kinds:?}");
    // Of files it says nothing where a name is meant.
    for words in [&["deploy", "--branch", ""][..], &["logs", "--id", ""]] {
        let offered = offers(&[&["homelab-deploy"], words].concat());
        assert!(!offered.contains("src") && !offered.contains("Cargo.toml"), "{words:?}: {offered:?}");
    }
}

#[test]
fn fish_and_zsh_load_theirs_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let script = |shell: &str| {
        let file = folder.path().join(shell);
        fs::write(&file, completions(shell)).unwrap();
        file
    };
    let there = |shell: &str| Command::new(shell).arg("--version").output().is_ok();
    if there("fish") {
        let driver =
            format!("source {}; complete -C 'homelab-deploy deploy --bra'", script("fish").display());
        let offered = run(Command::new("fish").env("HOME", folder.path()).args(["-c", &driver]), 0).out;
        assert!(offered.starts_with("--branch\t"), "{offered}");
    }
    if there("zsh") {
        run(Command::new("zsh").arg("-n").arg(script("zsh")), 0);
    }
}

#[test]
fn each_shell_has_a_script_that_knows_every_command_and_no_helper() {
    let help = run(ours().arg("--help"), 0).out;
    let commands = help.split("\nOptions:\n").next().unwrap().lines().filter(|line| line.starts_with("  "));
    let commands: Vec<_> = commands.map(|line| line.split_whitespace().next().unwrap()).collect();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = completions(shell);
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(!script.contains("--recover") && !script.contains("-l recover"), "{shell}");
    }
}

/// A page as a reader sees it, where this machine can set it; else its source.
fn read(page: &Path) -> String {
    let mut man = Command::new("man");
    let set = man.args(["-P", "cat", "-l"]).arg(page).env("MANWIDTH", "90");
    let text = set.output().ok().filter(|output| output.status.success() && !output.stdout.is_empty());
    let bytes = text.map_or_else(|| fs::read(page).unwrap(), |output| output.stdout);
    String::from_utf8_lossy(&bytes).replace("\\-", "-").replace('\u{2010}', "-")
}

#[test]
fn there_is_a_page_for_each_command_and_the_first_one_names_the_others() {
    let folder = tempfile::tempdir().unwrap();
    // Made where it is not there.
    let out = folder.path().join("share/man1");
    run(ours().arg("man").arg("--out").arg(&out), 0);
    let first = run(ours().arg("man"), 0).out;
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
    // The head of a page names the page itself, and `help` has none.
    named.retain(|name| name.starts_with("homelab-deploy-") && !name.ends_with("-help"));
    let files = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: BTreeSet<String> = files.map(|file| file.strip_suffix(".1").unwrap().to_owned()).collect();
    assert!(pages.remove("homelab-deploy"));
    assert_eq!(pages, named);
    assert!(!pages.iter().any(|page| page.contains("activation")));
}

#[test]
fn the_page_of_a_command_has_its_flags_with_what_they_do() {
    let folder = tempfile::tempdir().unwrap();
    run(ours().arg("man").arg("--out").arg(folder.path()), 0);
    let page = read(&folder.path().join("homelab-deploy-listener.1"));
    for text in ["--confirm-timeout", "Seconds between reports while a job runs", "--tier"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[test]
fn groff_has_nothing_to_complain_about() {
    if Command::new("groff").arg("--version").output().is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run(ours().arg("man").arg("--out").arg(folder.path()), 0);
    for page in fs::read_dir(folder.path()).unwrap() {
        let page = page.unwrap().path();
        let set = run(Command::new("groff").args(["-man", "-ww", "-z", "-Kutf8", "-Tutf8"]).arg(&page), 0);
        assert_eq!(set.err, "", "{}", page.display());
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    run(ours().args(["man", "--out", "/dev/null/man"]), 1)
        .complains(&["could not write manual pages to /dev/null/man", "Not a directory"]);
}

#[test]
fn scripts_and_pages_change_only_when_they_are_meant_to() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        insta::assert_snapshot!(format!("completion-{shell}"), completions(shell));
    }
    let folder = tempfile::tempdir().unwrap();
    run(ours().arg("man").arg("--out").arg(folder.path()), 0);
    let pages = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    for page in pages {
        let name = page.file_stem().unwrap().to_str().unwrap().to_owned();
        insta::assert_snapshot!(format!("man-{name}"), fs::read_to_string(&page).unwrap());
    }
}
