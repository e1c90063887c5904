//! `adapter`: packs on the bench, and which of them an endpoint works with. Most works on a pack's folder; `diff --endpoint`, `activate` and `rollback`
//! ask a running bridge.

mod diff;
mod live;
mod new;

pub use live::version;

use super::failure::Failure;
use super::output::{Look, Out, visible};
use super::table::Table;
use crate::adapter::examples::{self, Report};
use crate::adapter::{Fault, Format, Packs, Status, by_hand, check, schema};
use crate::verdict::verdict;
use clap::Subcommand;
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  ips-bridge adapter new my-epr --extends hl7v2-uk
  ips-bridge adapter check adapters/hl7v2-uk
  ips-bridge adapter test adapters/hl7v2-uk --bless
  ips-bridge adapter render adapters/hl7v2-uk adapters/hl7v2-uk/examples/render-note/input.json
  ips-bridge adapter parse adapters/hl7v2-uk message.hl7 --settings site.toml
  ips-bridge adapter diff adapters/hl7v2-uk adapters/rio
  ips-bridge adapter diff adapters/rio --endpoint rz9-rio --limit 20
  ips-bridge adapter activate --endpoint rz9-rio --version 1.4.2 --because 'change 4711, tested'
  ips-bridge adapter rollback --endpoint rz9-rio --because 'change 4711 undone: titles cut'
  ips-bridge adapter schema manifest > adapters/schema/adapter.json";

/// Check, test and try out adapter packs, and say which an endpoint works with.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a pack: small, and one that passes its check.
    New(new::Args),
    /// What would be sent differently: pack against pack, or against what was sent to an endpoint. Exit code 1 when anything would.
    Diff(Box<diff::Args>),
    /// Let an endpoint of a running bridge work with what its packs folder holds now: checked whole, kept byte for byte, audited.
    /// What no byte of can have been seen is made anew; what may have been received is held for you.
    Activate(Box<live::Activate>),
    /// Let an endpoint work with the pack it had before, byte for byte, whatever the folder holds. Again: one further back.
    Rollback(Box<live::Args>),
    /// Print the JSON Schema of a kind of file, for editors.
    Schema {
        /// Of which file.
        of: SchemaOf,
    },
    /// Report every fault of a pack at once, as file:line: what; try this.
    Check {
        /// The pack's folder.
        folder: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run a pack's examples.
    Test {
        /// The pack's folder.
        folder: PathBuf,
        /// Write what is expected anew from what the pack gives now. Review the difference.
        #[arg(long)]
        bless: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Render one entry and print the message.
    Render {
        /// The pack's folder.
        folder: PathBuf,
        /// A RenderInput as proto JSON, as in examples/render-*/input.json; - reads stdin.
        input: PathBuf,
        #[command(flatten)]
        settings: SettingsFile,
        /// Print the bytes as they are sent (HL7 ends its lines with CR, a document is a PDF), not as they are read.
        #[arg(long)]
        raw: bool,
    },
    /// Parse a message, or each of a batch, and print what the pack's map reads from it, as JSON; not_read: segments that it looks at nothing of.
    Parse {
        /// The pack's folder.
        folder: PathBuf,
        /// A file with one message, or with a batch of them; - reads stdin.
        message: PathBuf,
        #[command(flatten)]
        settings: SettingsFile,
    },
    /// List the packs of a folder.
    List {
        /// The folder that holds the packs.
        #[arg(default_value = "adapters")]
        folder: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `adapter.toml`, `maps/*.toml`, and the bridge's configuration, which stands beside the packs in whoever's editor it is.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SchemaOf {
    Manifest,
    Map,
    Config,
}

#[derive(Debug, clap::Args)]
struct SettingsFile {
    /// TOML with an endpoint's settings; what it leaves out has its default, or where it has none the manifest's example.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl SettingsFile {
    fn read(&self) -> Result<toml::Table, Failure> {
        let Some(file) = &self.settings else { return Ok(toml::Table::new()) };
        let text = String::from_utf8(bytes_of(file)?)
            .map_err(|_| Failure::Usage(format!("{} is not UTF-8", file.display())))?;
        text.parse()
            .map_err(|e: toml::de::Error| Failure::Usage(format!("{} is not TOML: {}", file.display(), e.message())))
    }
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    match args.command {
        Command::New(args) => new::run(&args, out),
        Command::Diff(args) => Box::pin(diff::run(*args, out)).await,
        Command::Activate(args) => Box::pin(live::activate(*args, out)).await,
        Command::Rollback(args) => Box::pin(live::rollback(*args, out)).await,
        Command::Schema { of: SchemaOf::Manifest } => out.json(&schema::manifest()),
        Command::Schema { of: SchemaOf::Map } => out.json(&schema::map()),
        Command::Schema { of: SchemaOf::Config } => out.json(&crate::config::schema()),
        Command::Check { folder, json } => report(&check::check(folder_of(&folder)?, verdict), json, out),
        Command::Test { folder, bless, json } => {
            report(&examples::test(folder_of(&folder)?, bless, verdict), json, out)
        }
        Command::Render { folder, input, settings, raw } => {
            // What a lookup is answered stands beside an example's input.
            let beside = if input == Path::new("-") { None } else { input.parent().map(Path::to_owned) };
            let input = String::from_utf8(bytes_of(&input)?)
                .map_err(|_| Failure::Usage(format!("{} is not UTF-8", input.display())))?;
            let (format, made) = examples::render(folder_of(&folder)?, &input, &settings.read()?, beside.as_deref())
                .map_err(|faults| refused(&faults))?;
            match (raw, format) {
                (true, _) => out.bytes(&made.bytes),
                // As in expected.files: what a PDF says, not its bytes.
                (false, Format::Document) => made.text_for_display.lines().try_for_each(|l| out.line(visible(l))),
                (false, Format::Hl7v2 | Format::Fhir | Format::Xml) => super::outbox::message(&made.bytes, "", out),
            }
        }
        Command::Parse { folder, message, settings } => {
            let value = by_hand::parse(folder_of(&folder)?, &message_of(bytes_of(&message)?), &settings.read()?);
            out.json(&value.map_err(|faults| refused(&faults))?)
        }
        Command::List { folder, json } => list(folder_of(&folder)?, json, out),
    }
}

fn folder_of(folder: &Path) -> Result<&Path, Failure> {
    if folder.is_dir() { Ok(folder) } else { Err(Failure::Usage(format!("{} is not a folder", folder.display()))) }
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |e| Failure::Usage(format!("{} cannot be read: {e}", file.display()));
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(cannot)?;
        return Ok(bytes);
    }
    std::fs::read(file).map_err(cannot)
}

/// A message from a file: its frame taken off if it has one. Line ends are left to whoever reads it, as at a listener: an editor's, or
/// a torn transfer's, may be of several kinds in one file.
fn message_of(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.first() == Some(&0x0b) {
        bytes.remove(0);
        let end = bytes.iter().rposition(|b| *b == 0x1c).unwrap_or(bytes.len());
        bytes.truncate(end);
    }
    bytes
}

fn report(report: &Report, json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        let faults: Vec<_> = report.faults.iter().map(fault_json).collect();
        out.json(&json!({ "good": report.is_good(), "done": report.done, "faults": faults }))?;
    } else {
        report.done.iter().try_for_each(|line| out.line(line))?;
        report.faults.iter().try_for_each(|fault| out.line(fault))?;
        let verdict = match report.faults.len() {
            0 => out.paint(Look::Good, "good"),
            1 => out.paint(Look::Bad, "1 fault"),
            n => out.paint(Look::Bad, format!("{n} faults")),
        };
        out.line(verdict)?;
    }
    if report.is_good() { Ok(()) } else { Err(Failure::Told) }
}

fn fault_json(f: &Fault) -> serde_json::Value {
    json!({ "file": f.file, "line": f.line, "what": f.what, "hint": f.hint })
}

fn refused(faults: &[Fault]) -> Failure {
    Failure::Refused(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn list(folder: &Path, json: bool, out: &mut Out) -> Result<(), Failure> {
    let (packs, faulty) = Packs::load_each(folder);
    let faults: Vec<Fault> = faulty.into_values().flatten().collect();
    if packs.iter().next().is_none() {
        let none = || Failure::Refused(format!("{} holds no pack", folder.display()));
        return Err(if faults.is_empty() { none() } else { refused(&faults) });
    }
    // Those that can be loaded are shown; the others end it with 1.
    let ended = if faults.is_empty() { Ok(()) } else { Err(refused(&faults)) };
    if json {
        let all: Vec<_> = packs
            .iter()
            .map(|p| {
                let m = &p.manifest;
                json!({ "id": m.id, "name": m.name, "version": m.version, "status": status(m.status), "format": p.format().name(),
                    "extends": m.extends, "fingerprint": p.fingerprint(), "renders": p.renders(), "parses": p.parses() })
            })
            .collect();
        out.json(&all)?;
        return ended;
    }
    let mut table = Table::new(&["pack", "status", "format", "renders", "parses", "name"]);
    for pack in packs.iter() {
        let m = &pack.manifest;
        table.row([
            pack.pin(),
            status(m.status).into(),
            pack.format().name().into(),
            pack.renders().len().to_string(),
            families(&pack.parses()),
            m.name.clone(),
        ]);
    }
    table.lines().iter().try_for_each(|line| out.line(line))?;
    ended
}

/// `REF^I12 ADT(27)`: HL7 has a type for each event, more than a line holds; --json names them all.
fn families(types: &[&str]) -> String {
    let mut counted: Vec<(&str, Vec<&str>)> = Vec::new();
    for message_type in types {
        let family = message_type.split('^').next().unwrap_or(message_type);
        match counted.iter_mut().find(|(name, _)| *name == family) {
            Some((_, of)) => of.push(message_type),
            None => counted.push((family, vec![message_type])),
        }
    }
    let shown = counted.into_iter().map(|(family, of)| match of.as_slice() {
        [one] => (*one).to_owned(),
        many => format!("{family}({})", many.len()),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Draft => "draft",
        Status::Tested => "tested",
        Status::Live => "live",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_framed_or_not_and_no_line_end_of_it_is_lost() {
        use crate::adapter::hl7::{Charset, Message};
        let head = "MSH|^~\\&|EPR|RZZ|IPS|RZZ|20260301||ADT^A31|7|P|2.4";
        for (ends, framed) in [
            (["\r", "\r", "\r"], true),
            (["\n", "\n", "\n"], false),
            (["\r\n", "\r\n", "\r\n"], false),
            (["\r", "\n", "\r\n"], false),
            (["\r\n", "\n", "\r"], true),
        ] {
            let [a, b, c] = ends;
            let text = format!("{head}{a}EVN||20260301{b}PID|1||1{c}");
            let text = if framed { format!("\u{b}{text}\u{1c}\r") } else { text };
            let message = Message::read(&message_of(text.into_bytes()), Charset::Utf8).expect("readable");
            let ids: Vec<&str> = message.segments().map(|s| s.id()).collect();
            assert_eq!(ids, ["MSH", "EVN", "PID"], "{ends:?}");
        }
    }
}
