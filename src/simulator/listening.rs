//! Being there and being away: a listener that can be stopped and started again at the same port.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::server::Inner;
use crate::transport::mllp::{Answer, Listener, ListenerSettings};

/// A stopped EPR cuts off what is not done by then.
const STOP_TIME: Duration = Duration::from_millis(500);

/// A listener that runs.
#[derive(Debug)]
pub(super) struct Listening {
    stop: CancellationToken,
    run: JoinHandle<()>,
}

impl Listening {
    pub(super) fn start(inner: &Arc<Inner>, tcp: TcpListener) -> Self {
        let settings = ListenerSettings { stop_timeout: STOP_TIME, ..inner.settings.listener.clone() };
        let stop = inner.stop.child_token();
        let (desk, until) = (inner.clone(), stop.clone());
        let run = Listener::new(tcp, settings).run(stop.clone(), move |received| {
            let (desk, until) = (desk.clone(), until.clone());
            async move {
                // The beginning of a message is none.
                if received.cut_off { Answer::silence() } else { desk.answer(received, until).await }
            }
        });
        Self { stop, run: tokio::spawn(run) }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        // It ends within its stop time; a panic in it was logged there.
        let _ = self.run.await;
    }
}

impl Inner {
    /// Refuses connections from now on and closes those that are open.
    pub(super) async fn go_away(&self) {
        let listening = self.listening.lock().await.take();
        if let Some(listening) = listening {
            listening.stop().await;
        }
    }

    /// Listens again at the address it had.
    pub(super) async fn come_back(self: &Arc<Self>) -> io::Result<()> {
        let mut listening = self.listening.lock().await;
        if listening.is_none() && !self.stop.is_cancelled() {
            *listening = Some(Listening::start(self, bind(self.address).await?));
        }
        Ok(())
    }

    /// Goes away without waiting for it: called from within an answer, which the listener would wait for.
    pub(super) fn leave(self: &Arc<Self>, back: Option<Duration>) {
        let inner = self.clone();
        self.running.spawn(async move {
            inner.go_away().await;
            let Some(back) = back else { return };
            tokio::select! {
                () = inner.stop.cancelled() => return,
                () = tokio::time::sleep(back) => {}
            }
            if let Err(e) = inner.come_back().await {
                tracing::error!(error = %e, "the pretend EPR cannot listen at its port again");
            }
        });
    }
}

/// Binds, also where an earlier listener's connections still linger.
pub(super) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
