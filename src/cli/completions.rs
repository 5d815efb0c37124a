//! `completions`: what a shell needs to complete our arguments.

use super::exit::Exit;
use super::out::Out;
use clap::{Args, Command, ValueHint};
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that is to complete
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn run(&self) -> Exit {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut no_files(super::command()), super::NAME, &mut script);
        let script = String::from_utf8_lossy(&script);
        // clap_complete 4.6.11 mangles the hyphen of our name in two ways within one script, so bash offered nothing after
        // the first word.
        let script = script.replace("homelab__subcmd__deploy", "homelab__deploy");
        Out::new().line(script.trim_end());
        Exit::Done
    }
}

/// Keeps shells from offering files for what is a name, a revision or a number.
fn no_files(command: Command) -> Command {
    let no_file = |arg: clap::Arg| match arg.get_value_hint() {
        ValueHint::Unknown if arg.get_action().takes_values() => arg.value_hint(ValueHint::Other),
        _ => arg,
    };
    command.mut_args(no_file).mut_subcommands(no_files)
}
