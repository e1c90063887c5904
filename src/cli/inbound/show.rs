//! `inbound show`: one message, what became of it, and on request the message itself.

use super::list::why;
use crate::cli::bridge::Server;
use crate::cli::failure::Failure;
use crate::cli::outbox::message;
use crate::cli::output::{Look, Out, visible};
use crate::cli::words::{time, word};
use crate::wire::v1::{GetInboundMessageRequest, InboundMessage, InboundState};

/// Show a message: what became of it and why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The message's id.
    id: String,
    /// Show the message itself and our answer too. It is clinical text; reading it is audited. An integrator sees it masked.
    #[arg(long)]
    bytes: bool,
    /// As proto JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, server: &Server, out: &mut Out) -> Result<(), Failure> {
    let request = GetInboundMessageRequest { inbound_message_id: args.id, include_bytes: args.bytes };
    let answer = server.connect().await?.inbound().get_inbound_message(request).await?.into_inner();
    if args.json {
        return out.json(&answer);
    }
    let Some(m) = &answer.message else {
        return Err(Failure::Refused("the bridge's answer holds no message".into()));
    };
    head(m, out)?;
    if !args.bytes {
        return Ok(());
    }
    out.line("")?;
    if answer.received.is_empty() {
        out.line("its bytes were not kept")?;
    }
    if answer.masked {
        out.line(out.paint(Look::Doubtful, "masked: every letter and figure about the patient stands for another"))?;
    }
    message(&answer.received, "  < ", out)?;
    answer.answers.iter().try_for_each(|a| message(a, "  > ", out))
}

fn head(m: &InboundMessage, out: &mut Out) -> Result<(), Failure> {
    let parked = m.state == i32::from(InboundState::Parked);
    let rows = [
        ("message", m.id.clone()),
        ("state", word::<InboundState>(m.state)),
        ("why", why(m)),
        ("type", visible(&m.message_type)),
        ("endpoint", format!("{} of {}", m.endpoint_id, m.trust_ods)),
        ("from", visible(&m.source)),
        (
            "control id",
            format!(
                "{}{}",
                visible(&m.control_id),
                if m.reused_control_id { " (came before with other bytes)" } else { "" }
            ),
        ),
        ("received", time(m.received_at.as_ref())),
        ("referral", m.referral_id.clone().unwrap_or_default()),
        ("not read", m.segments_not_read.join(", ")),
        ("bytes", m.size_bytes.to_string()),
        (
            "next",
            if parked {
                format!("mend what is wrong, then: ips-bridge inbound reprocess {} --because …", m.id)
            } else {
                String::new()
            },
        ),
    ];
    for (name, value) in rows.into_iter().filter(|(_, v)| !v.is_empty()) {
        let name = out.paint(Look::Faint, format!("{name:<12}"));
        out.line(format!("{name} {value}"))?;
    }
    Ok(())
}
