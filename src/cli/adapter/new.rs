//! `adapter new`.

use super::{refused, report};
use crate::adapter::{Pack, check, examples, scaffold};
use crate::cli::failure::Failure;
use crate::cli::output::Out;
use crate::domain::organisation::PackId;
use crate::verdict::verdict;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The new pack's id: 1 to 40 of a-z, 0-9 and -.
    id: String,
    /// The pack that the new one is laid over, in the same folder.
    #[arg(long, value_name = "BASE")]
    extends: Option<String>,
    /// The folder that holds the packs.
    #[arg(long = "in", value_name = "FOLDER", default_value = "adapters")]
    folder: PathBuf,
}

pub fn run(args: &Args, out: &mut Out) -> Result<(), Failure> {
    if PackId::parse(&args.id).is_err() {
        return Err(Failure::Usage(format!("\"{}\" is no id for a pack: use 1 to 40 of a-z, 0-9 and -", args.id)));
    }
    if !args.folder.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no folder {} here; go to where the packs lie, or name their folder with --in",
            args.folder.display()
        )));
    }
    let folder = args.folder.join(&args.id);
    if folder.exists() {
        return Err(Failure::Usage(format!("{} is there already; choose another id", folder.display())));
    }
    let files = match &args.extends {
        None => scaffold::from_template(&args.id),
        Some(base) => {
            let below = args.folder.join(base);
            if PackId::parse(base).is_err() || !below.is_dir() {
                return Err(Failure::Usage(format!("{} is not a pack's folder", below.display())));
            }
            scaffold::over(&args.id, &Pack::load(&below).map_err(|faults| refused(&faults))?)
        }
    };
    // They name commands for packs under adapters/.
    let shown = args.folder.display().to_string();
    for (path, text) in &files {
        let text = ["`", " "].iter().fold(text.clone(), |t, before| {
            let names = [Some(&args.id), args.extends.as_ref()].into_iter().flatten();
            names.fold(t, |t, id| t.replace(&format!("{before}adapters/{id}"), &format!("{before}{shown}/{id}")))
        });
        write(&folder.join(path), &text)
            .map_err(|e| Failure::Refused(format!("{} cannot be written: {e}", folder.join(path).display())))?;
    }
    let blessed = examples::test(&folder, true, verdict);
    if !blessed.is_good() {
        return report(&blessed, false, out);
    }
    out.line(format!("{} written; its README says what to fill in", folder.display()))?;
    report(&check::check(&folder, verdict), false, out)
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(file.parent().unwrap_or(Path::new("")))?;
    std::fs::write(file, text)
}
