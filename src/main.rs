//! The binary: calls the command line interface of the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    homelab_deploy::cli::main()
}
