//! A connection that waits in the pool, with someone listening: it may close, or bring a late reply.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::link::{Heard, Link};
use super::strays::StrayBag;
use crate::transport::{Stray, StrayKind};

/// An open connection and what it has brought that nobody took yet.
pub(super) struct Live {
    pub(super) link: Link,
    pub(super) strays: StrayBag,
    /// It carried a message before: the far end may have closed it in the meantime.
    pub(super) reused: bool,
}

/// A connection in the pool. Dropping this closes it.
pub(super) struct Idle {
    wanted: oneshot::Sender<()>,
    watch: JoinHandle<Option<Live>>,
}

impl Idle {
    pub(super) fn new(runtime: &tokio::runtime::Handle, live: Live, late_replies: bool, limit: Duration) -> Self {
        let (wanted, is_wanted) = oneshot::channel();
        Self { wanted, watch: runtime.spawn(watch(live, late_replies, limit, is_wanted)) }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.watch.is_finished()
    }

    /// Takes the connection back, if it is still there.
    pub(super) async fn reclaim(self) -> Option<Live> {
        // A watcher that ended already has nobody to tell.
        let _ = self.wanted.send(());
        self.watch.await.ok().flatten()
    }
}

async fn watch(
    mut live: Live,
    late_replies: bool,
    limit: Duration,
    mut is_wanted: oneshot::Receiver<()>,
) -> Option<Live> {
    let end = tokio::time::sleep(limit);
    tokio::pin!(end);
    loop {
        let heard = tokio::select! {
            biased;
            // An error says that the pool is gone.
            wanted = &mut is_wanted => return wanted.ok().map(|()| live),
            () = live.strays.forward_one(), if !live.strays.is_empty() => continue,
            () = &mut end => return None,
            heard = live.link.hear() => heard,
        };
        match heard {
            Heard::Frame(bytes) => {
                live.strays.push(Stray { bytes, kind: StrayKind::Frame });
                if late_replies {
                    continue;
                }
                tracing::warn!(
                    "an idle connection brought a frame nobody asked for; it was kept and the connection closed"
                );
            }
            Heard::Closed { .. } | Heard::Failed(_) => {}
            Heard::TooLarge { .. } | Heard::NotFramed => {
                tracing::warn!("an idle connection brought bytes that are no frame; it was closed");
            }
        }
        // What is still in the bag is forwarded as it drops.
        if let Some(fragment) = live.link.take_fragment() {
            live.strays.push(fragment);
        }
        return None;
    }
}
