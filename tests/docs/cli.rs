//! `docs/cli.md` is generated from the arguments: `REFERENCE=write cargo test --test docs cli` writes it.

use crate::page::root;
use clap::{Arg, ArgAction, Command};
use std::fmt::Write;
use std::fs;

const HEAD: &str = "# Every command and flag

Made from the program's own arguments, as `homelab-deploy COMMAND --help` prints them. [deploy.md](deploy.md) tells what operators' commands do,
[listener.md](listener.md) and [activation.md](activation.md) what the listener does, [config.md](config.md) which setting wins.
";

#[test]
fn the_reference_matches_the_arguments() {
    let mut program = homelab_deploy::cli::command();
    program.build();
    let (mut listed, mut chapters) = (String::new(), String::new());
    commands(&program, "", &mut listed, &mut chapters);
    let page = format!("{HEAD}\n{listed}{chapters}");
    let file = root().join("docs/cli.md");
    if std::env::var("REFERENCE").is_ok_and(|value| value == "write") {
        fs::write(&file, &page).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap();
    let differs = page.lines().zip(committed.lines()).find(|(a, b)| a != b);
    assert_eq!(differs, None, "run REFERENCE=write cargo test --test docs cli");
    assert_eq!(page, committed);
}

/// Writes a chapter for each subcommand.
fn commands(above: &Command, path: &str, listed: &mut String, page: &mut String) {
    for command in above.get_subcommands().filter(|command| command.get_name() != "help") {
        let path = format!("{path}{}", command.get_name());
        if command.has_subcommands() {
            commands(command, &format!("{path} "), listed, page);
            continue;
        }
        let anchor = path.replace(' ', "-");
        let about = command.get_about().unwrap().to_string();
        let _ = writeln!(listed, "- [`{path}`](#{anchor}): {about}");
        chapter(command, &path, &about, page);
    }
}

fn chapter(command: &Command, path: &str, about: &str, page: &mut String) {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let _ = write!(page, "\n## {path}\n\n{about}.\n\n    {}\n", usage.replace('\n', "\n    "));
    let mut heading = None;
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help") {
        let own = arg.get_help_heading();
        if page.ends_with("    \n") || heading != Some(own) {
            let _ = match own {
                Some(own) => write!(page, "\n**{own}**\n\n| | |\n|---|---|\n"),
                None => write!(page, "\n| | |\n|---|---|\n"),
            };
            heading = Some(own);
        }
        let _ = writeln!(page, "| {} | {} |", spelled(arg), description(arg));
    }
}

/// `--flag VALUE`, or `VALUE` for a positional argument.
fn spelled(arg: &Arg) -> String {
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let names = arg.get_value_names().unwrap_or_default();
    let value =
        names.iter().map(clap::builder::Str::as_str).collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let many = matches!(arg.get_action(), ArgAction::Append)
        || arg.get_num_args().is_some_and(|n| n.max_values() > 1);
    let flag = match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => return format!("`{value}`{}", if many { ", several" } else { "" }),
    };
    if takes { format!("`{flag} {value}`") } else { format!("`{flag}`") }
}

/// The help of an argument, its possible values, its environment variable and its default.
fn description(arg: &Arg) -> String {
    let mut text =
        arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|").replace('<', "\\<");
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let possible: Vec<_> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes && !possible.is_empty() {
        let _ = write!(text, ": {}", possible.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, "; `${}`", variable.to_string_lossy());
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if takes && !defaults.is_empty() {
        let _ = write!(text, "; default {}", defaults.join(", "));
    }
    text
}
