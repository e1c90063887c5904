//! What the acts stand on: a bridge, a pretend EPR, calls that are shown, waits that end, and the list of what was observed.

use super::child::BridgeProcess;
use super::stage::Stage;
use crate::app::SystemClock;
use crate::cli::bridge::{Bridge, causes};
use crate::cli::failure::Failure;
use crate::cli::outbox::{look, message, timeline};
use crate::cli::output::{Look, Out};
use crate::cli::words::word;
use crate::domain::ambient::Clock;
use crate::simulator::{Record, Settings, Simulator};
use crate::transport::mllp::ClientSettings;
use crate::wire::v1::{Delivery, DeliveryState, GetDeliveryRequest, ListAttemptsRequest};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::{Response, Status};

/// For anything that should happen by itself.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub struct Scene<'o> {
    pub out: &'o mut Out,
    pub stage: Stage,
    pub epr: Simulator,
    pub bridge: Bridge,
    process: Option<BridgeProcess>,
    observed: usize,
    missing: Vec<String>,
    acts: usize,
    began: Instant,
}

impl<'o> Scene<'o> {
    /// Starts the EPR, then the bridge.
    pub async fn open(stage: Stage, out: &'o mut Out) -> Result<Self, Failure> {
        let began = Instant::now();
        let mut settings = Settings::new(Arc::new(|| SystemClock.now()));
        settings.partner = Some(ClientSettings::new(stage.inbound.to_string()));
        let epr = Simulator::start(settings)
            .await
            .map_err(|e| Failure::Refused(format!("the pretend EPR: {}", causes(&e))))?;
        stage.write_config(epr.addr())?;
        let (process, bridge, ready) = BridgeProcess::start(&stage).await?;
        let id = process.id();
        let mut scene =
            Self { out, stage, epr, bridge, process: Some(process), observed: 0, missing: Vec::new(), acts: 0, began };
        let (grpc, inbound, epr) = (scene.stage.grpc, scene.stage.inbound, scene.epr.addr());
        scene.say(format!("IPS Bridge   process {id}, gRPC at {grpc}, MLLP at {inbound}, a SQLite store in a temporary folder; ready after {} ms", ready.as_millis()))?;
        scene.say(format!("pretend EPR  MLLP at {epr}; keeps a clinical record and counts copies"))?;
        scene.faint("Everybody here is made up. > went to the EPR, < came from it.")?;
        Ok(scene)
    }

    pub fn say(&mut self, text: impl std::fmt::Display) -> Result<(), Failure> {
        self.out.line(text)
    }

    pub fn faint(&mut self, text: &str) -> Result<(), Failure> {
        let text = self.out.paint(Look::Faint, text);
        self.out.line(text)
    }

    /// The heading of an act.
    pub fn act(&mut self, title: &str) -> Result<(), Failure> {
        self.acts += 1;
        let title = self.out.paint(Look::Strong, format!("\n{}  {title}", self.acts));
        self.out.line(title)
    }

    /// Something that must be so: shown, counted, and remembered when it is not.
    pub fn check(&mut self, holds: bool, what: impl Into<String>) -> Result<(), Failure> {
        let what = what.into();
        let mark = if holds { self.out.paint(Look::Good, "  ✓") } else { self.out.paint(Look::Bad, "  ✗ NOT:") };
        self.out.line(format!("{mark} {what}"))?;
        if holds {
            self.observed += 1;
        } else {
            self.missing.push(what);
        }
        Ok(())
    }

    /// Shows a call and what it said.
    pub async fn call<T>(
        &mut self,
        name: &str,
        says: &[(&str, &str)],
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        let shown = self.out.paint(Look::Name, name);
        self.out.line(format!("  call {shown}"))?;
        for (field, value) in says {
            for (n, line) in value.lines().enumerate() {
                let field = self.out.paint(Look::Faint, format!("{:<18}", if n == 0 { field } else { "" }));
                self.out.line(format!("       {field} {line}"))?;
            }
        }
        let began = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, call).await;
        let answer =
            answer.map_err(|_| Failure::Refused(format!("{name} was not answered within {} s", PATIENCE.as_secs())))?;
        let took = began.elapsed();
        match answer {
            Ok(answer) => {
                let ok = self.out.paint(Look::Good, "OK");
                self.out.line(format!("    -> {ok} in {:.1} ms", took.as_secs_f64() * 1000.0))?;
                Ok(answer.into_inner())
            }
            Err(status) => Err(Failure::Refused(format!("{name}: {}", Failure::from(status)))),
        }
    }

    /// Waits until a delivery is as wanted, and gives it as it is then.
    pub async fn delivery(&mut self, id: &str, wanted: impl Fn(&Delivery) -> bool) -> Result<Delivery, Failure> {
        let began = Instant::now();
        let mut client = self.bridge.deliveries();
        loop {
            let request = GetDeliveryRequest { delivery_id: id.to_owned() };
            let found = client.get_delivery(request).await?.into_inner().delivery;
            let Some(found) = found else {
                return Err(Failure::Refused("GetDelivery answered without a delivery".into()));
            };
            // Late is shown as it is; the check that follows says that it was not as wanted.
            if wanted(&found) || began.elapsed() > PATIENCE {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until it has reached a state, or another one that is an end.
    pub async fn until(&mut self, id: &str, state: DeliveryState) -> Result<Delivery, Failure> {
        let is = |d: &Delivery, s: DeliveryState| d.state == i32::from(s);
        let over = |d: &Delivery| {
            [DeliveryState::Filed, DeliveryState::Parked, DeliveryState::Cancelled].iter().any(|s| is(d, *s))
        };
        self.delivery(id, |d| is(d, state) || over(d)).await
    }

    /// Waits for FILED and shows the message, its acknowledgement and the timeline.
    pub async fn filed(&mut self, id: &str, what: &str) -> Result<Delivery, Failure> {
        let delivery = self.until(id, DeliveryState::Filed).await?;
        self.exchange(id).await?;
        self.timeline(&delivery)?;
        let filed = delivery.state == i32::from(DeliveryState::Filed);
        self.check(filed, format!("{what} is FILED: \"{}\"", delivery.author_sentence))?;
        Ok(delivery)
    }

    /// What went out and what came back, byte for byte.
    pub async fn exchange(&mut self, id: &str) -> Result<(), Failure> {
        let request = ListAttemptsRequest { delivery_id: id.to_owned(), include_bytes: true };
        let attempts = self.bridge.deliveries().list_attempts(request).await?.into_inner().attempts;
        for attempt in &attempts {
            if let Some(sent) = &attempt.sent {
                message(sent, "    > ", self.out)?;
            }
            for reply in attempt.replies.iter().filter_map(|r| r.received.as_ref()) {
                message(reply, "    < ", self.out)?;
            }
        }
        let shown = attempts.iter().any(|a| a.sent.as_ref().is_some_and(|s| !s.is_empty()) && !a.replies.is_empty());
        self.check(shown, "the bridge keeps the message and the acknowledgement")
    }

    pub fn timeline(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        let state = self.out.paint(look(delivery.state), word::<DeliveryState>(delivery.state));
        self.out.line(format!("  delivery {} {state}", delivery.id))?;
        timeline(&delivery.timeline, self.out)
    }

    pub fn record(&self) -> Record {
        self.epr.record()
    }

    /// What the EPR calls a delivery's document: our id and the namespace that TXA-12 gives it. Empty while it holds none.
    pub fn document_id(&self, delivery: &Delivery) -> String {
        let ours = delivery.document_id.split('^').next().unwrap_or_default();
        let is_it = |id: &str| !ours.is_empty() && id.split('^').next() == Some(ours);
        self.epr.ask(|r| r.documents().map(|d| d.id.clone()).find(|id| is_it(id)).unwrap_or_default())
    }

    /// SIGKILL.
    pub async fn kill_bridge(&mut self) -> Result<(), Failure> {
        let Some(process) = self.process.take() else { return Ok(()) };
        let id = process.id();
        let status = process.kill().await?;
        self.check(super::child::was_killed(status), format!("process {id} ended by SIGKILL"))
    }

    /// Starts it again on the same store and the same addresses.
    pub async fn start_bridge(&mut self) -> Result<(), Failure> {
        let (process, bridge, ready) = BridgeProcess::start(&self.stage).await?;
        let id = process.id();
        (self.process, self.bridge) = (Some(process), bridge);
        self.check(
            true,
            format!(
                "the bridge is back as process {id}, on the same store and ports, ready after {} ms",
                ready.as_millis()
            ),
        )
    }

    /// Everything observed, or what was not.
    pub fn verdict(&mut self) -> Result<(), Failure> {
        let (observed, took) = (self.observed, self.began.elapsed().as_secs_f64());
        if self.missing.is_empty() {
            let all = self.out.paint(Look::Good, format!("\nAll {observed} checks held, in {took:.1} s."));
            return self.out.line(all);
        }
        let missing = self.missing.iter().map(|m| format!("\n  {m}")).collect::<String>();
        Err(Failure::Refused(format!("{observed} checks held; not observed:{missing}")))
    }

    /// Before an error ends the demonstration.
    pub fn said_before_failing(&mut self) -> Result<(), Failure> {
        let (observed, missing) = (self.observed, self.missing.clone());
        self.out.line(format!("\nuntil then {observed} checks held"))?;
        missing.iter().try_for_each(|m| self.out.line(format!("  not: {m}")))
    }

    /// Stops both. The folder goes with the stage.
    pub async fn close(self) {
        if let Some(process) = self.process {
            process.stop().await;
        }
        self.epr.shutdown().await;
    }
}
