//! `completions`: print a shell completion script. The script asks this program at each completion, which offers the
//! hosts, tiers, roles and contexts that it knows without a connection.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::output::Output;
use super::resolved_config::ResolvedConfig;
use super::selector::all_aliases_from_env;
use crate::config::Config;
use crate::keys::read_host_keys;
use crate::ordered::CollectOrdered;
use crate::protocol::Name;
use clap::{Args, Command, Parser, ValueHint};
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::process::ExitCode;

/// The environment variable in which the script names its shell.
const VARIABLE: &str = "HOMELAB_DEPLOY_COMPLETE";
/// Commands that do not select hosts of a fleet.
const SERVICES: [&str; 5] = ["listener", "builder", "notify", "keys", "demo"];

/// Completes at once if zsh has loaded the script as the function of this file name.
const ZSH_AUTOLOADED: &str =
    r#"[[ $funcstack[1] != _homelab-deploy ]] || _clap_dynamic_completer_homelab_deploy "$@""#;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Shell to generate completions for
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let mut script = Vec::new();
        if let Some(shell) = Shells::builtins().completer(&self.shell.to_string()) {
            let written =
                shell.write_registration(VARIABLE, super::NAME, super::NAME, super::NAME, &mut script);
            written.map_err(CommandError::usage)?;
        }
        if self.shell == Shell::Zsh {
            script.extend_from_slice(ZSH_AUTOLOADED.as_bytes());
        }
        Output::new().line(String::from_utf8_lossy(&script).trim());
        Ok(Exit::Success)
    }
}

/// Answers the script of a shell; `None` if these are not its arguments.
pub(super) fn answer_shell(arguments: &[OsString]) -> Option<ExitCode> {
    let dir = std::env::current_dir().ok();
    match CompleteEnv::with_factory(completable).var(VARIABLE).try_complete(arguments, dir.as_deref()) {
        Ok(true) => Some(ExitCode::SUCCESS),
        Ok(false) => None,
        Err(error) => {
            let _ = error.print();
            Some(ExitCode::FAILURE)
        }
    }
}

fn completable() -> Command {
    let selects = |command: &Command| !SERVICES.contains(&command.get_name());
    super::command()
        .mut_subcommands(|command| if selects(&command) { with_names(command) } else { command })
        .mut_subcommands(no_files)
}

/// Adds the known names to the arguments that take them.
fn with_names(command: Command) -> Command {
    let with_names = |arg: clap::Arg| {
        let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        match (name.as_deref(), arg.get_id().as_str()) {
            (Some("HOST" | "HOST|N"), _) => arg.add(ArgValueCandidates::new(hosts)),
            (Some("TARGET"), _) => {
                arg.add(ArgValueCandidates::new(|| hosts().into_iter().chain(known_aliases()).collect()))
            }
            (_, "tier") => arg.add(ArgValueCandidates::new(tiers)),
            (_, "role") => arg.add(ArgValueCandidates::new(roles)),
            (_, "context") => arg.add(ArgValueCandidates::new(contexts)),
            _ => arg,
        }
    };
    command.mut_args(with_names).mut_subcommands(self::with_names)
}

/// Keeps shells from offering files for arguments that are not paths, such as names and revisions.
fn no_files(command: Command) -> Command {
    let no_file = |arg: clap::Arg| match arg.get_value_hint() {
        ValueHint::Unknown if arg.get_action().takes_values() => arg.value_hint(ValueHint::Other),
        _ => arg,
    };
    command.mut_args(no_file).mut_subcommands(no_files)
}

/// The part of the completed command line that selects the inventory.
#[derive(Parser)]
struct InventoryCli {
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The configuration that the completed command line selects; `None` if it is incomplete.
fn resolved() -> Option<ResolvedConfig> {
    let mut selecting = vec![OsString::from(super::NAME)];
    // The script passes the command line after `--`.
    let mut words = std::env::args_os().skip_while(|word| word != "--").skip(2);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let (flag, has_value) = text.split_once('=').map_or((&*text, false), |(flag, _)| (flag, true));
        if ["--context", "--nats-url"].contains(&flag) {
            let value = if has_value { None } else { words.next() };
            selecting.extend(std::iter::once(word).chain(value));
        }
    }
    InventoryCli::try_parse_from(selecting).ok()?.connection.resolve().ok()
}

/// The tier and the role of each known host: of the inventory, the configuration and the fleet file.
fn known_hosts() -> BTreeMap<Name, (Name, Option<Name>)> {
    let Some(resolved) = resolved() else { return BTreeMap::new() };
    let fleet = resolved.selected.fleet.as_ref().and_then(|file| read_host_keys(&file.value).ok());
    let fleet = fleet.into_iter().flatten().map(|host| (host.name, (host.tier, None)));
    let inventory = resolved.inventory().unwrap_or_default().hosts;
    let seen = inventory.into_iter().map(|(name, entry)| (name, (entry.tier.clone(), entry.role.clone())));
    fleet.chain(seen).collect_map()
}

fn hosts() -> Vec<CompletionCandidate> {
    let candidate = |(name, (tier, role)): (Name, (Name, Option<Name>))| {
        let help = role.map_or_else(|| tier.to_string(), |role| format!("{tier}, {role}"));
        CompletionCandidate::new(name.as_str()).help(Some(help.into()))
    };
    known_hosts().into_iter().map(candidate).collect()
}

fn known_aliases() -> Vec<CompletionCandidate> {
    let file = resolved().map(|resolved| resolved.selected.aliases).unwrap_or_default();
    let file = file.into_values().map(|alias| (alias.value.name, alias.value.meaning));
    let all: BTreeMap<String, String> = file.chain(all_aliases_from_env()).collect_map();
    let candidate =
        |(name, meaning): (String, String)| CompletionCandidate::new(name).help(Some(meaning.into()));
    all.into_iter().map(candidate).collect()
}

fn tiers() -> Vec<CompletionCandidate> {
    names(known_hosts().into_values().map(|(tier, _)| tier))
}

fn roles() -> Vec<CompletionCandidate> {
    names(known_hosts().into_values().filter_map(|(_, role)| role))
}

fn contexts() -> Vec<CompletionCandidate> {
    let config = Config::load(|name| std::env::var_os(name)).ok();
    names(config.iter().flat_map(Config::contexts).cloned())
}

fn names(all: impl Iterator<Item = Name>) -> Vec<CompletionCandidate> {
    let all: BTreeSet<Name> = all.collect_set();
    all.iter().map(|name| CompletionCandidate::new(name.as_str())).collect()
}
