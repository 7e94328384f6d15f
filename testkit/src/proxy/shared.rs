//! The state that a test changes and the threads of the connections look at.

use std::{
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::protocol::{Protocol, Sender};

/// The faults of a connection, each of which happens at a certain message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server gets the message, but the client never gets the answer: the connection is cut as soon as there is
    /// one.
    LoseAnswer,
    /// The message passes, and nothing after it. Both sides wait until either closes the connection.
    Hold,
    /// The given number of bytes of the message pass, and then the connection is cut.
    CutAfter(usize),
}

/// A pending fault: it happens at the first message for which `matches` is true, after `pass` others.
pub(super) struct Trigger {
    /// The number of matching messages that pass first.
    pub(super) pass: u64,
    /// True for the messages that count.
    pub(super) matches: fn(Sender, &[u8]) -> bool,
    pub(super) fault: Fault,
}

/// The part of a proxy that all of its threads use.
pub(super) struct Shared {
    /// The address that connections are forwarded to.
    pub(super) server: SocketAddr,
    /// The protocol by which messages are separated.
    pub(super) protocol: Protocol,
    pub(super) state: Mutex<State>,
    /// Notified when `happened` grows.
    pub(super) changed: Condvar,
}

/// The state that a test changes.
#[derive(Default)]
pub(super) struct State {
    /// True if new connections are silent.
    pub(super) is_silent: bool,
    /// True once the proxy is being dropped.
    pub(super) is_ended: bool,
    /// The fault that was asked for and has not happened yet.
    pub(super) trigger: Option<Trigger>,
    /// The number of faults that have happened.
    pub(super) happened: u64,
    /// The connections that are open, or were open a moment ago.
    pub(super) connections: Vec<Arc<Connection>>,
}

/// Both ends of a connection through the proxy.
pub(super) struct Connection {
    /// The connection from the client.
    pub(super) client: TcpStream,
    /// `None` if no connection to the server was made.
    pub(super) server: Option<TcpStream>,
    /// The fate of its bytes. It has a mutex of its own, since it is looked at for each message.
    pub(super) fate: Mutex<Fate>,
}

/// The fate of a connection's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Forwards everything.
    Passes,
    /// Discards everything, and never ends, like a firewall that has forgotten the connection.
    Silent,
    /// Discards everything, and ends when either side does.
    Held,
    /// Waits for the server's next message, and is then cut.
    LosesAnswer,
}

impl Shared {
    /// The state. A thread that panicked has not left it half changed.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that is due at this message, if there is one.
    pub(super) fn due(&self, sender: Sender, message: &[u8]) -> Option<Fault> {
        let mut state = self.state();
        let trigger = state.trigger.as_mut().filter(|trigger| (trigger.matches)(sender, message))?;
        if trigger.pass > 0 {
            trigger.pass -= 1;
            return None;
        }
        state.trigger.take().map(|trigger| trigger.fault)
    }

    /// Counts a fault that has happened.
    pub(super) fn count(&self) {
        self.state().happened += 1;
        self.changed.notify_all();
    }
}

impl Connection {
    /// The fate of the connection's bytes.
    pub(super) fn fate(&self) -> Fate {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the fate of the connection's bytes.
    pub(super) fn set_fate(&self, fate: Fate) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }

    pub(super) fn cut(&self) {
        // Either side may have closed it already.
        let _ = self.client.shutdown(Shutdown::Both);
        if let Some(server) = &self.server {
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}
