//! A pretend EPR run from a command line: until told to stop, printing each message as it comes.

use std::future::Future;
use std::io::{self, Write};

use tokio::sync::broadcast::error::RecvError;

use super::faults::{BadFault, Faults};
use super::record::{Became, Record};
use super::server::{Direction, Seen, SendFailure, Settings, Simulator, SimulatorError};
use super::show::{Show, show};

/// What a command line can say.
#[derive(Clone)]
pub struct Options {
    pub settings: Settings,
    /// As [`Faults::parse`] reads them. Empty: those of `settings`.
    pub faults: Vec<String>,
    /// Of the faults that come by chance.
    pub seed: u64,
    /// Messages that the EPR sends when it is up, in this order, each when the one before was acknowledged.
    pub send: Vec<Vec<u8>>,
    /// Print the messages themselves, and not a line for each.
    pub print_messages: bool,
    /// Print the record at the end.
    pub print_record: Option<Show>,
}

/// Why a run ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    #[error(transparent)]
    Fault(#[from] BadFault),
    #[error(transparent)]
    Start(#[from] SimulatorError),
    #[error("message {number} of those to send: {source}")]
    Send {
        number: usize,
        #[source]
        source: SendFailure,
    },
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// Runs until `stop` is ready; says first where it listens, and gives back the record.
///
/// # Errors
/// A fault that cannot be read, a start that fails, a message of its own that nobody acknowledges, or an output that is
/// closed.
pub async fn run(
    options: Options,
    out: &mut (dyn Write + Send),
    stop: impl Future<Output = ()>,
) -> Result<Record, RunError> {
    let mut settings = options.settings;
    if !options.faults.is_empty() {
        settings.faults = Faults::parse(&options.faults, options.seed)?;
    }
    let simulator = Simulator::start(settings).await?;
    writeln!(out, "a pretend EPR listens for MLLP at {}", simulator.addr())?;
    let mut seen = simulator.watch();
    let sending = async {
        for (number, message) in (1..).zip(&options.send) {
            simulator.send(message).await.map_err(|source| RunError::Send { number, source })?;
        }
        // There is nothing more to wait for here; `stop` ends the run.
        std::future::pending().await
    };
    let printing = async {
        loop {
            match seen.recv().await {
                Ok(seen) => print(out, &seen, options.print_messages)?,
                Err(RecvError::Lagged(missed)) => writeln!(out, "({missed} messages came too fast to be printed)")?,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    };
    let ended: Result<(), RunError> = tokio::select! {
        () = stop => Ok(()),
        ended = sending => ended,
        ended = printing => ended,
    };
    let record = simulator.record();
    simulator.shutdown().await;
    ended?;
    while let Ok(last) = seen.try_recv() {
        print(out, &last, options.print_messages)?;
    }
    if let Some(how) = &options.print_record {
        write!(out, "{}", show(&record, how))?;
    }
    Ok(record)
}

/// One message and what came of it.
fn print(out: &mut (dyn Write + Send), seen: &Seen, whole: bool) -> io::Result<()> {
    writeln!(out, "{}", one_line(seen))?;
    if whole {
        for (mark, bytes) in [("  > ", &seen.message)].into_iter().chain(seen.answers.iter().map(|a| ("  < ", a))) {
            for segment in String::from_utf8_lossy(bytes).split(['\r', '\n']).filter(|s| !s.is_empty()) {
                writeln!(out, "{mark}{}", visible(segment))?;
            }
        }
    }
    out.flush()
}

/// When, which way, what, and what came of it; no patient, no text.
fn one_line(seen: &Seen) -> String {
    use crate::adapter::hl7::{Envelope, Reply};
    let envelope = Envelope::peek(&seen.message);
    let what = envelope
        .map_or("no HL7 message".to_owned(), |e| format!("{}^{} {}", e.message_code(), e.trigger(), e.control_id()));
    let way = match seen.direction {
        Direction::Received => "received",
        Direction::Sent => "sent",
    };
    let became = match seen.became {
        Some(Became::Filed) => ", filed",
        Some(Became::Repeat) => ", had already",
        Some(Became::Refused) => ", refused",
        Some(Became::Ignored) => ", not looked at",
        None => "",
    };
    let answers: Vec<String> = seen.answers.iter().map(|a| said(Reply::read(a).ok())).collect();
    let answers = if answers.is_empty() { "no answer".to_owned() } else { answers.join(" + ") };
    let fault = seen.fault.as_ref().map(|f| format!("  [fault: {f}]")).unwrap_or_default();
    format!("{} {way} {}{became}: {answers}{fault}", seen.at.strftime("%H:%M:%S%.3f"), visible(&what))
}

fn said(reply: Option<crate::adapter::hl7::Reply>) -> String {
    let Some(reply) = reply else { return "bytes that are no reply".to_owned() };
    let errors: String = reply.errors.iter().map(|e| format!(" {}", e.code)).collect();
    format!("{}{errors} to {}", reply.code.as_str(), visible(&reply.control_id))
}

/// Control characters would move a terminal's cursor.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
