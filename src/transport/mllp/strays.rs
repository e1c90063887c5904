//! Replies nobody waits for, on their way to whoever keeps them.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::transport::Stray;

/// Holds strays until they are taken or forwarded; dropped with some inside, it still forwards them.
pub(super) struct StrayBag {
    strays: VecDeque<Stray>,
    keeper: mpsc::Sender<Stray>,
}

impl StrayBag {
    pub(super) fn new(keeper: mpsc::Sender<Stray>) -> Self {
        Self { strays: VecDeque::new(), keeper }
    }

    pub(super) fn push(&mut self, stray: Stray) {
        self.strays.push_back(stray);
    }

    pub(super) fn append(&mut self, other: &mut Self) {
        self.strays.append(&mut other.strays);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.strays.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Stray> {
        std::mem::take(&mut self.strays).into()
    }

    /// Forwards one, waiting for room. Cancel safe.
    pub(super) async fn forward_one(&mut self) {
        let Ok(room) = self.keeper.reserve().await else {
            return give_up(&mut self.strays);
        };
        if let Some(stray) = self.strays.pop_front() {
            room.send(stray);
        }
    }
}

fn give_up(strays: &mut VecDeque<Stray>) {
    tracing::warn!(strays = strays.len(), "replies to no request were dropped: nobody keeps strays any more");
    strays.clear();
}

impl Drop for StrayBag {
    fn drop(&mut self) {
        while let Some(stray) = self.strays.pop_front() {
            match self.keeper.try_send(stray) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(stray)) => {
                    self.strays.push_front(stray);
                    give_up(&mut self.strays);
                }
                Err(mpsc::error::TrySendError::Full(stray)) => {
                    self.strays.push_front(stray);
                    self.forward_later();
                }
            }
        }
    }
}

impl StrayBag {
    fn forward_later(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return give_up(&mut self.strays) };
        let mut bag = Self { strays: std::mem::take(&mut self.strays), keeper: self.keeper.clone() };
        runtime.spawn(async move {
            while !bag.is_empty() {
                bag.forward_one().await;
            }
        });
    }
}
