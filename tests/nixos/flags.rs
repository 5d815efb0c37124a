//! Each flag of a service has an option.

use crate::builder::{BUILDER, EVERY_SETTING as OF_BUILDER};
use crate::common::{binary, run};
use crate::evaluate::{LISTENER, Library};
use crate::flake_update::{EVERY_SETTING as OF_FLAKE_UPDATE, unit as flake_update};
use crate::notify::{EVERY_SETTING as OF_NOTIFY, NOTIFY};
use crate::settings::EVERY_SETTING;
use crate::unit_text::command;
use std::collections::BTreeSet;
use std::process::Command;

const LOG_DIR: &[(&str, &str, &str)] = &[("logDir", "logDir = \"/var/log/x\";", "")];

/// A command and its flags that have no option, with the reason.
const WITHOUT_OPTION: [(&str, &[&str]); 4] = [
    // The unit has a state directory.
    ("listener", &["--state-dir"]),
    // --check is for the file when it is made, not for the unit; the file has trusted_keys.
    ("builder", &["--state-dir", "--check", "--trusted-key"]),
    // --check is for the file when it is made, and --test for people.
    ("notify", &["--state-dir", "--check", "--test"]),
    // For people: a checkout, the output format, a dry run, and settings of a context.
    ("flake-update", &["--remote", "--output", "--dry-run", "--forge-timeout", "--context", "--unproven"]),
];

/// The flags among these words.
fn flags<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let flags = words.into_iter().filter(|word| word.starts_with("--"));
    flags.map(|flag| flag.split('=').next().unwrap_or(flag).trim_end_matches(',').to_owned()).collect()
}

/// The flags in the help of a command.
fn of_help(command: &str) -> BTreeSet<String> {
    let help = run(Command::new(binary()).args([command, "--help"]), 0).stdout;
    // Only lines that start with a flag define one; other lines may mention flags.
    let first = |line: &str| {
        line.trim_start().trim_start_matches("-h, ").split(' ').next().unwrap_or_default().to_owned()
    };
    let lines: Vec<_> = help.lines().map(first).collect();
    let mut flags = flags(lines.iter().map(String::as_str));
    assert!(flags.remove("--help") && flags.len() > 9, "{flags:?}");
    flags
}

/// The flags that the settings of a module produce.
fn of_module(service: &str) -> BTreeSet<String> {
    let library = Library::Little;
    let with =
        |base: &str, setting: &str| base.replacen("enable = true;", &format!("enable = true; {setting}"), 1);
    let settings: Vec<_> = match service {
        "listener" => EVERY_SETTING.iter().chain(LOG_DIR).collect(),
        "builder" => OF_BUILDER.iter().chain(LOG_DIR).collect(),
        "notify" => OF_NOTIFY.iter().chain(LOG_DIR).collect(),
        _ => OF_FLAKE_UPDATE.iter().collect(),
    };
    let mut found = BTreeSet::new();
    for (_, setting, _) in settings.into_iter().filter(|(option, ..)| *option != "extraArgs") {
        let unit = match service {
            "listener" => library.unit(&with(LISTENER, setting)),
            "builder" => library.unit_of("builder", &with(BUILDER, setting)),
            "notify" => library.unit_of("notify", &with(NOTIFY, setting)),
            _ => flake_update(&library, setting),
        };
        found.extend(flags(command(&unit).iter().map(String::as_str)));
    }
    found
}

#[test]
fn each_flag_has_an_option_and_each_option_a_flag() {
    for (service, without) in WITHOUT_OPTION {
        let (mut program, module) = (of_help(service), of_module(service));
        for flag in without {
            assert!(program.remove(*flag), "{service} has no {flag}");
        }
        assert_eq!(program, module, "flags of {service}, and what its module can set");
    }
}
