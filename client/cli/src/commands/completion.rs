//! `holdfast completion`: scripts that let a shell complete the commands.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{exit::Result, output};

/// How to install them, for the help.
pub const EXAMPLES: &str = "\
Examples:
  # in ~/.bashrc
  source <(holdfast completion bash)
  # with ~/.zfunc in fpath
  holdfast completion zsh > ~/.zfunc/_holdfast
  holdfast completion fish > ~/.config/fish/completions/holdfast.fish";

/// Arguments of `holdfast completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell to write for.
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs `holdfast completion` for this command line.
pub fn run(args: &CompletionArgs, mut command_line: Command) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command_line, "holdfast", &mut script);
    output::write(&script);
    Ok(())
}
