//! The command line: one file per command.
//!
//! `serve`, `check-config`, `adapter` and `simulate-epr` need no running bridge. `outbox`, `inbound`, `endpoint`, `reconcile` and `status` are gRPC
//! clients of one, under a principal like any other caller; nothing here opens the store of a bridge that runs. `demo` starts
//! a bridge of its own.

mod adapter;
mod ask;
mod bridge;
mod check_config;
mod completions;
mod config_file;
mod demo;
mod endpoint;
mod failure;
mod inbound;
mod outbox;
mod output;
mod pretend;
mod reconcile;
mod refusal;
mod serve;
mod signals;
mod simulate_epr;
mod status;
mod table;
mod told;
mod words;

use crate::app::telemetry::{LAST_LINES, Queue};
use clap::{CommandFactory, Parser, Subcommand};
use failure::{EXIT_CODES, Failure};
use output::Out;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What still runs when a command is done (a blocked read of stdin) gets this long.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// Write an employment-support note once; it lands in the clinical record; you can see that it did.
#[derive(Debug, Parser)]
#[command(name = "ips-bridge", version, term_width = 100, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    CheckConfig(check_config::Args),
    Demo(demo::Args),
    SimulateEpr(Box<simulate_epr::Args>),
    Adapter(adapter::Args),
    Outbox(outbox::Args),
    Inbound(inbound::Args),
    Endpoint(endpoint::Args),
    Reconcile(reconcile::Args),
    Status(status::Args),
    Completions(completions::Args),
}

/// Reads the command line, carries it out, and says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Nobody is left to tell when this cannot be printed.
            let _ = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match crate::app::runtime(None) {
        Ok(runtime) => runtime,
        Err(e) => return ended(&Failure::Refused(format!("cannot start: {e}")), false),
    };
    let mut out = Out::stdout();
    let serves = matches!(cli.command, Command::Serve(_));
    // Commands hold whole conversations; on the heap they do not weigh on the main thread's stack.
    let result = runtime.block_on(Box::pin(run(cli.command, &mut out)));
    runtime.shutdown_timeout(LAST_MOMENT);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ended(&failure, serves),
    }
}

async fn run(command: Command, out: &mut Out) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args, out).await,
        Command::CheckConfig(args) => check_config::run(args, out).await,
        Command::Demo(args) => demo::run(args, out).await,
        Command::SimulateEpr(args) => simulate_epr::run(*args, out).await,
        Command::Adapter(args) => adapter::run(args, out).await,
        Command::Outbox(args) => outbox::run(args, out).await,
        Command::Inbound(args) => inbound::run(args, out).await,
        Command::Endpoint(args) => endpoint::run(args, out).await,
        Command::Reconcile(args) => reconcile::run(args, out).await,
        Command::Status(args) => status::run(args, out).await,
        Command::Completions(args) => completions::run(&args, out, Cli::command()),
    }
}

/// `in_time`: whoever supervises us is waiting for the end, whether somebody reads the last word or not.
#[expect(clippy::print_stderr, reason = "the command line's last word; logs may not be running")]
fn ended(failure: &Failure, in_time: bool) -> ExitCode {
    let text = failure.to_string();
    if !text.is_empty() && failure.code() != 0 {
        let last_word = format!("ips-bridge: {text}");
        match in_time.then(|| Queue::start(std::io::stderr(), |_| {})) {
            Some(Ok(queue)) => {
                // It never fails; whoever does not take it in time does without.
                let _ = writeln!(&*queue, "{last_word}");
                queue.flush_within(LAST_LINES);
            }
            _ => eprintln!("{last_word}"),
        }
    }
    failure.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// The help of every command, in one snapshot: what an operator can ask for is reviewed when it changes.
    #[test]
    fn help() {
        fn all(command: &mut clap::Command, path: &str, text: &mut String) {
            let path = format!("{path} {}", command.get_name()).trim().to_owned();
            text.push_str(&format!("$ {path} --help\n{}\n", command.render_long_help()));
            for sub in command.get_subcommands_mut().filter(|c| c.get_name() != "help") {
                all(sub, &path, text);
            }
        }
        let mut text = String::new();
        let mut command = Cli::command().term_width(100);
        command.build();
        all(&mut command, "", &mut text);
        insta::assert_snapshot!(text);
    }
}
