//! The one binary: everything it can do is a command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ips_bridge::cli::main()
}
