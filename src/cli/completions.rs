//! `completions`: what a shell needs to complete our command line.

use super::failure::Failure;
use super::output::Out;
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  ips-bridge completions bash > /etc/bash_completion.d/ips-bridge
  ips-bridge completions zsh  > ~/.zfunc/_ips-bridge";

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which shell.
    shell: Shell,
}

pub fn run(args: &Args, out: &mut Out, mut command: clap::Command) -> Result<(), Failure> {
    // Its generator panics when it cannot write; into memory it always can.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "ips-bridge", &mut script);
    if args.shell == Shell::Bash {
        // clap_complete 4.6 writes other labels than it looks for where a name has a hyphen (clap-rs/clap #6421).
        script = String::from_utf8_lossy(&script).replace("ips__subcmd__bridge", "ips__bridge").into_bytes();
    }
    out.bytes(&script)
}
