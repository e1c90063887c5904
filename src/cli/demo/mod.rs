//! `demo`: the main job from referral to filed note, against a pretend EPR, on this machine. Every step's result is checked.
//!
//! 1. `stage` lays out a folder, addresses and a configuration;
//! 2. `child` is the bridge in a process of its own, so that it can be killed like one;
//! 3. `scene` is what the acts stand on: calls, patience, the list of what was observed;
//! 4. `acts` play: each act is a file there;
//! 5. `stay` leaves both running and says how to talk to them.

mod acts;
mod child;
mod scene;
mod stage;
mod stay;

use super::failure::Failure;
use super::output::{Look, Out};
use super::signals::Signals;
use scene::Scene;
use stage::Stage;

const LONG: &str = "\
Show the main job from referral to filed note, against a pretend EPR.

A bridge (a process of its own, with an embedded store in a temporary folder) and a pretend EPR talk over free loopback ports. \
A referral arrives and is accepted; notes are written, replaced and withdrawn; a job start is recorded; then the EPR goes away, \
the bridge is killed with SIGKILL and started again, and the waiting note still arrives exactly once. Everything that is claimed \
is checked: exit code 0 only if all of it was observed. All people are made up.";

/// Show the main job from referral to filed note, against a pretend EPR.
#[derive(Debug, clap::Args)]
#[command(long_about = LONG)]
pub struct Args {
    /// Leave the bridge and the pretend EPR running at the end, and say how to talk to them.
    #[arg(long)]
    stay: bool,
}

pub async fn run(args: Args, out: &mut Out) -> Result<(), Failure> {
    crate::transport::tls::install_crypto_provider();
    let mut signals = Signals::new()?;
    let stage = Stage::lay_out()?;
    let mut scene = Scene::open(stage, out).await?;
    // Whatever happens, the scene is closed: no process and no folder is left behind.
    let played = tokio::select! {
        played = Box::pin(acts::all(&mut scene)) => played,
        () = signals.asked() => Err(Failure::Refused("stopped before the end".into())),
    };
    let stays = args.stay && played.is_ok();
    let ended = match played {
        Ok(()) => scene.verdict(),
        Err(e) => {
            // The reason is said last, by main; what was observed until then is worth knowing.
            scene.said_before_failing()?;
            Err(e)
        }
    };
    let stayed = if stays { stay::until_told(&mut scene, &mut signals).await } else { Ok(()) };
    scene.close().await;
    if stays {
        let line = out.paint(Look::Faint, "both are stopped, and the temporary folder is gone");
        out.line(line)?;
    }
    ended.and(stayed)
}
