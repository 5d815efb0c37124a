//! `completions`: what a shell needs to complete our arguments.

use super::exit::Exit;
use super::out::Out;
use clap::Args;
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
        clap_complete::generate(self.shell, &mut super::command(), super::NAME, &mut script);
        let script = String::from_utf8_lossy(&script);
        // clap_complete 4.6.11 mangles the hyphen of our name in two ways within one script, so bash offered nothing after
        // the first word.
        let script = script.replace("homelab__subcmd__deploy", "homelab__deploy");
        Out::new().line(script.trim_end());
        Exit::Done
    }
}
