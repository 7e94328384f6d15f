//! A queue of messages from many threads and tasks to one thread.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    time::Duration,
};

use super::{Turns, deadline};

/// Makes a mailbox.
pub(crate) fn mailbox<M>(turns: &Turns) -> (Outbox<M>, Inbox<M>) {
    let (sender, receiver) = channel();
    (Outbox { sender, turns: turns.clone() }, Inbox { receiver, turns: turns.clone() })
}

/// The end of a mailbox where messages are posted. Clones post to the same one.
#[derive(Debug)]
pub(crate) struct Outbox<M> {
    sender: Sender<M>,
    turns: Turns,
}

impl<M> Outbox<M> {
    /// Posts a message. If the receiver has ended, it is dropped: a thread ends only after it has failed and reported
    /// the error, or after it was told to.
    pub(crate) fn send(&self, message: impl Into<M>) {
        // The error is the message itself.
        let _ = self.sender.send(message.into());
        self.turns.changed();
    }
}

/// A receiver that may not block learns of the end of the last sender by this, once that is gone.
impl<M> Drop for Outbox<M> {
    fn drop(&mut self) {
        self.turns.changed();
    }
}

impl<M> Clone for Outbox<M> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), turns: self.turns.clone() }
    }
}

/// The end of a mailbox where messages arrive, in the order in which they were posted.
#[derive(Debug)]
pub(crate) struct Inbox<M> {
    receiver: Receiver<M>,
    turns: Turns,
}

/// What has come of waiting for a message.
pub(crate) enum Received<M> {
    Message(M),
    /// There was none in time.
    Nothing,
    /// There will be none: nobody is left who could post one.
    Closed,
}

impl<M> Inbox<M> {
    /// Waits for a message, but no longer than `timeout`.
    pub(crate) async fn receive(&mut self, timeout: Duration) -> Received<M> {
        if self.turns.may_block() {
            return match self.receiver.recv_timeout(timeout) {
                Ok(message) => Received::Message(message),
                Err(RecvTimeoutError::Timeout) => Received::Nothing,
                Err(RecvTimeoutError::Disconnected) => Received::Closed,
            };
        }
        let until = deadline(timeout);
        loop {
            match self.receiver.try_recv() {
                Ok(message) => return Received::Message(message),
                Err(TryRecvError::Disconnected) => return Received::Closed,
                Err(TryRecvError::Empty) => {}
            }
            if !self.turns.change_before(until).await {
                return Received::Nothing;
            }
        }
    }
}
