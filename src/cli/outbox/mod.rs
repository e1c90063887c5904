//! `outbox`: what is not in the record yet, why, and the levers to mend it.

mod backfill;
mod each;
mod export;
mod list;
mod pages;
mod retry;
mod select;
mod show;

use super::bridge::Server;
use super::failure::Failure;
use super::output::Out;
use clap::Subcommand;

pub use list::entry;
pub use pages::all as pages;
pub use select::{AT_ONCE_MAX, How};
pub use show::{look, message, timeline};

const EXAMPLES: &str = "\
Examples:
  ips-bridge outbox list --state parked --waiting-for integrator
  ips-bridge outbox show 01JNBRZC5M8Q4T7V9XA2E3F4G1
  ips-bridge outbox retry --endpoint rz9-rio --reason refused --because 'RiO mended' --dry-run
  ips-bridge outbox cancel 01JNBRZC5M8Q4T7V9XA2E3F4G1 --because 'entered by hand' --yes
  ips-bridge outbox export --endpoint rz9-rio --because 'RiO away until Monday' > backlog.txt";

/// Look at deliveries of a running bridge and operate them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Retry(retry::Args),
    Rerender(each::Rerender),
    Park(each::Park),
    Cancel(each::Cancel),
    Backfill(backfill::Args),
    Export(export::Args),
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    let server = args.server;
    match args.command {
        Command::List(args) => list::run(args, &server, out).await,
        Command::Show(args) => show::run(args, &server, out).await,
        Command::Retry(args) => retry::run(args, &server, out).await,
        Command::Rerender(args) => each::run(args, &server, out).await,
        Command::Park(args) => each::run(args, &server, out).await,
        Command::Cancel(args) => each::run(args, &server, out).await,
        Command::Backfill(args) => backfill::run(args, &server, out).await,
        Command::Export(args) => export::run(args, &server, out).await,
    }
}
