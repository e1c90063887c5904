//! `simulate-epr`: a pretend EPR to try a bridge against. It keeps a record and counts copies.

use super::failure::Failure;
use super::output::Out;
use super::pretend::{PEOPLE, Referring};
use super::signals::Signals;
use crate::app::{SystemClock, SystemEntropy};
use crate::domain::ambient::Clock;
use crate::domain::ids::random_80_bits;
use crate::simulator::control::{Options, RunError, run as simulate};
use crate::simulator::record::RecordSettings;
use crate::simulator::{Record, Settings, Show};
use crate::transport::mllp::ClientSettings;
use jiff::tz::TimeZone;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Faults (--fault, any number of them): WHAT, or WHAT@WHEN, or WHAT@WHEN#AT-MOST
  WHAT  refuse:AE:206  refuse:AR      not filed; this code, this error
        delay:500ms                   filed and answered later
        late-ack:2s                   filed at once, answered later
        drop-ack                      filed, never answered
        ack-twice                     filed, answered twice
        wrong-id  foreign-id          filed; the answer names no message, or another one
        close  file-and-close  close-mid-frame
        silence  garbage  noise       neither filed nor answered; no HL7; no frame
        late-application-ack:1s       CA now, AA over the bridge's listener later
        commit-only                   CA and nothing more
        go-away  go-away:5s           refuses connections, for ever or for a time
  WHEN  all (without @), 3 (the third message), every:10, 5% (by chance), MDM^T11, id:<MSH-10, TXA-12 or OBR-3>

Examples:
  ips-bridge simulate-epr --listen 127.0.0.1:2601 --bridge 127.0.0.1:2611 --send-referral
  ips-bridge simulate-epr --fault drop-ack@10% --fault refuse:AE:206@3 --seed 7 --messages
  ips-bridge simulate-epr --record-file epr.json --files-repeats --print-record";

/// Run a pretend EPR over MLLP that keeps a record one can look at.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where it listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:2601", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The bridge's listener for this EPR: referrals and late acknowledgements go there.
    #[arg(long, value_name = "HOST:PORT")]
    bridge: Option<String>,
    /// Send so many referrals of made-up people when it is up (1 to 5; without a number, one).
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1", requires = "bridge", value_parser = clap::value_parser!(u8).range(1..=5))]
    send_referral: Option<u8>,
    /// Send the message in this file when it is up.
    #[arg(long, value_name = "FILE", requires = "bridge")]
    send: Vec<PathBuf>,
    /// The trust's ODS code, for the referrals.
    #[arg(long, default_value = "RZ9", value_name = "ODS")]
    facility: String,
    /// The IPS team the referrals are for.
    #[arg(long, default_value = "moor-north", value_name = "ID")]
    team: String,
    /// What goes wrong; see below.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<String>,
    /// Seed of the faults that come by chance: the same one brings the same faults.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Keep the record in this file between runs (JSON).
    #[arg(long, value_name = "FILE")]
    record_file: Option<PathBuf>,
    /// Be an EPR that does not recognise a repeat: every copy is filed, so that second copies show.
    #[arg(long)]
    files_repeats: bool,
    /// Print the messages themselves, not a line for each.
    #[arg(long)]
    messages: bool,
    /// Print the record at the end.
    #[arg(long)]
    print_record: bool,
    /// Print the record's counts at the end as JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    crate::transport::tls::install_crypto_provider();
    let mut signals = Signals::new()?;
    let mut settings = Settings::new(Arc::new(|| SystemClock.now()));
    settings.listen = args.listen;
    settings.partner = args.bridge.as_ref().map(ClientSettings::new);
    settings.record = RecordSettings { recognises_repeats: !args.files_repeats, ..RecordSettings::default() };
    settings.record_file.clone_from(&args.record_file);
    let mut send = referrals(&args)?;
    for file in &args.send {
        let bytes =
            std::fs::read(file).map_err(|e| Failure::Usage(format!("{} cannot be read: {e}", file.display())))?;
        send.push(bytes);
    }
    let options = Options {
        settings,
        faults: args.fault,
        seed: args.seed,
        send,
        print_messages: args.messages,
        print_record: args.print_record.then(Show::default),
    };
    let record = simulate(options, out.writer(), signals.asked()).await.map_err(failed)?;
    if args.json {
        out.json(&counts(&record))?;
    }
    if record.duplicates().is_empty() { Ok(()) } else { Err(Failure::Refused("the record holds second copies".into())) }
}

fn failed(e: RunError) -> Failure {
    match e {
        RunError::Fault(_) | RunError::Start(_) => Failure::Usage(e.to_string()),
        RunError::Send { .. } => Failure::Unreachable(e.to_string()),
        RunError::Print(e) => Failure::Output(e),
    }
}

fn referrals(args: &Args) -> Result<Vec<Vec<u8>>, Failure> {
    let time = SystemClock.now().to_zoned(TimeZone::UTC);
    let wanted = PEOPLE.iter().take(args.send_referral.unwrap_or(0).into());
    let bytes = wanted.map(|person| {
        let (control_id, random) = (format!("REF{}", random_80_bits(&SystemEntropy)), random_80_bits(&SystemEntropy));
        let referral_id = format!("REF-{}", &random[..8]);
        let referring = Referring {
            person,
            control_id: &control_id,
            referral_id: &referral_id,
            time: &time,
            facility: &args.facility,
            team: &args.team,
        };
        referring.to_bytes().map_err(|e| Failure::Usage(format!("--facility or --team cannot be written in HL7: {e}")))
    });
    bytes.collect()
}

fn counts(record: &Record) -> serde_json::Value {
    json!({
        "messages": record.arrivals().len(),
        "documents": record.documents().count(),
        "duplicates": record.duplicates(),
        "arrivals": record.arrivals(),
    })
}
