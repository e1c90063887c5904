//! `inbound submit`: a message from a file, as the EPR itself would send it.

use crate::adapter::hl7::Reply;
use crate::cli::bridge::Server;
use crate::cli::failure::Failure;
use crate::cli::outbox::message;
use crate::cli::output::Out;
use crate::wire::v1::{SubmitMessageRequest, SubmitMessageResponse, submit_message_request::Message};
use std::path::PathBuf;

/// Give the bridge a message from a file, as the endpoint's EPR would send it, and print the answer. Needs the role epr_system for that endpoint.
/// Ends with 1 when the answer is a refusal.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The endpoint it is of.
    #[arg(long, value_name = "ID")]
    endpoint: String,
    /// HL7 v2 (a file whose lines end with LF is sent with CR), a FHIR resource in JSON, which begins with a brace, or XML.
    file: PathBuf,
    /// For FHIR: what X-Request-Id is over HTTPS. Without it the same body is the same message.
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// As proto JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let shown = args.file.display();
    let bytes = std::fs::read(&args.file).map_err(|e| Failure::Usage(format!("{shown} cannot be read: {e}")))?;
    let begins = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes).trim_ascii_start().first().copied();
    let message_is = match begins {
        Some(b'{') => Message::Fhir(bytes),
        Some(b'<') => Message::Xml(bytes),
        _ => Message::Hl7v2(with_cr(bytes)),
    };
    let is_reply = matches!(&message_is, Message::Hl7v2(bytes) if Reply::read(bytes).is_ok());
    let request = SubmitMessageRequest {
        endpoint_id: args.endpoint,
        message: Some(message_is),
        message_id: args.message_id.unwrap_or_default(),
    };
    let answer = server.connect().await?.inbound().submit_message(request).await?.into_inner();
    if args.json {
        out.json(&answer)?;
    } else {
        if answer.http_status != 0 {
            out.line(format!("{} {}", answer.http_status, answer.location).trim_end())?;
        }
        answer.answers.iter().try_for_each(|a| message(a, "  > ", out))?;
        if answer.answers.is_empty() {
            // An acknowledgement is not acknowledged; to anything else there would have been an answer.
            out.line(if is_reply { "kept; nothing is answered to it" } else { UNREADABLE })?;
        }
    }
    if is_taken(&answer, is_reply) { Ok(()) } else { Err(Failure::Told) }
}

/// Editors end lines with LF; HL7 ends segments with CR.
fn with_cr(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.contains(&b'\r') { bytes } else { bytes.into_iter().map(|b| if b == b'\n' { b'\r' } else { b }).collect() }
}

const UNREADABLE: &str = "kept and parked: it is no message that could be answered; ips-bridge inbound list says why";

fn is_taken(answer: &SubmitMessageResponse, is_reply: bool) -> bool {
    match answer.http_status {
        0 if answer.answers.is_empty() => is_reply,
        0 => answer.answers.iter().all(|a| Reply::read(a).is_ok_and(|r| r.code.is_positive())),
        status => (200..300).contains(&status),
    }
}
