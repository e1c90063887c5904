//! What the gRPC edge has of an endpoint's two ways beside its facts: the way in, for messages that come over gRPC or are run again, and the
//! feed that its EPR pulls.

use super::endpoints::Ready;
use super::serve::source;
use crate::api;
use crate::config::Transport;
use crate::domain::ambient::{Clock, Entropy};
use crate::inbound::receive::WayIn;
use crate::store::Store;
use crate::transport::Sender;
use crate::transport::feed;
use futures::future::BoxFuture;
use std::sync::Arc;

/// By the rules of the endpoint's listener, where it has one. Whether its pack reads anything may change with the next one.
pub fn way_in(ready: &Ready, store: &Store, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Arc<WayIn> {
    let listen = ready.config.listen.as_ref();
    let allowed = listen.map(|l| l.sources.iter().map(|s| (s.application.clone(), s.facility.clone())).collect());
    let ack_mode = listen.map_or(ready.config.ack_mode, |l| l.ack_mode);
    let source = source(ready, store, clock, entropy, ack_mode, allowed.unwrap_or_default());
    // An endpoint's format is its transport's: no other pack of it has another.
    let theirs = match &ready.config.transport {
        Transport::Mesh(mesh) => Some(mesh.to_mailbox.clone()),
        _ => None,
    };
    Arc::new(WayIn::new(source, ready.in_use.now().pack.format()).for_mailbox(theirs))
}

/// Where the endpoint pulls.
pub fn feed(sender: &Sender) -> Option<Arc<dyn api::Feed>> {
    match sender {
        Sender::Feed(feed) => Some(Arc::new(Pulled(feed.clone()))),
        Sender::Mllp(_) | Sender::Folder(_) | Sender::Https(_) | Sender::Mesh(_) => None,
    }
}

/// The transport's feed, as the edge knows one.
struct Pulled(feed::Feed);

impl api::Feed for Pulled {
    fn attach(&self) -> Box<dyn api::Line> {
        Box::new(Line(self.0.attach()))
    }

    fn is_attached(&self) -> bool {
        self.0.is_attached()
    }

    fn confirm(&self, control_id: &str) -> bool {
        self.0.confirm(control_id)
    }
}

struct Line(feed::Line);

impl api::Line for Line {
    fn next(&mut self) -> BoxFuture<'_, Option<api::Offered>> {
        Box::pin(async {
            let offered = self.0.next().await?;
            Some(api::Offered { control_id: offered.id, message: offered.bytes })
        })
    }
}
