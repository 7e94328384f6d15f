//! A proxy between a client and its database, which makes connections fail.
//!
//! It separates the messages of the database's protocol, so that a fault comes at an exact point: after a COMMIT has
//! reached the server and before its answer reaches the client, for example, which is the moment in which a client
//! cannot know what happened.
//!
//! ```text
//! client --> proxy --> server       Fault at a message:
//!        <--       <--              lose its answer, hold, or cut within it
//! ```
//!
//! Each connection has two threads, one per direction. The state of all connections is behind one mutex; a test
//! changes it, and the threads look at it before they forward a message.

mod forward;
mod protocol;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use forward::accept;
pub use protocol::{Protocol, Sender};
use protocol::{
    any_answer, any_request, cassandra_execution, cassandra_written, mongo_write, mysql_commit,
    postgres_commit, postgres_committed,
};
use shared::{Fate, Fault, Shared, Trigger};

/// A TCP proxy on an address of its own. When it is dropped, it cuts all connections.
///
/// ```no_run
/// use std::time::Duration;
///
/// use evs_testkit::{Proxy, proxy::Protocol};
///
/// let server = "127.0.0.1:3306".parse()?;
/// let proxy = Proxy::start("127.0.0.1:0".parse()?, server, Protocol::MySql)?;
/// // The second COMMIT from here on takes effect, but its answer is lost.
/// proxy.lose_answer(1);
/// println!("connect to {}", proxy.address());
/// assert!(proxy.await_happened(1, Duration::from_secs(60)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Proxy {
    /// The address on which it listens.
    address: SocketAddr,
    /// The part that the threads of the connections use, too.
    shared: Arc<Shared>,
    /// The thread that accepts connections. `None` once it has ended.
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on `listen`, and forwards each connection to `server`.
    ///
    /// # Errors
    ///
    /// If it cannot listen on that address.
    pub fn start(listen: SocketAddr, server: SocketAddr, protocol: Protocol) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let state = Mutex::default();
        let shared = Arc::new(Shared { server, protocol, state, changed: Condvar::new() });
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops answering: from now on, the data of open connections is discarded, and new connections are accepted and
    /// their data discarded, too.
    pub fn fall_silent(&self) {
        let mut state = self.shared.state();
        state.is_silent = true;
        for connection in &state.connections {
            connection.set_fate(Fate::Silent);
        }
    }

    /// Forwards new connections again. Those that fell silent stay silent.
    pub fn speak(&self) {
        self.shared.state().is_silent = false;
    }

    /// Cuts every connection that is open.
    pub fn cut(&self) {
        let state = self.shared.state();
        state.connections.iter().for_each(|connection| connection.cut());
    }

    /// Lets `pass` more writes take effect, and loses the server's answer to the write after them, together with the
    /// connection. Counted in [`happened`](Self::happened).
    ///
    /// The protocol shows which messages are writes: a COMMIT for MySQL and PostgreSQL, a command that writes for
    /// MongoDB, an answer without rows for Cassandra.
    pub fn lose_answer(&self, pass: u64) {
        let matches = match self.shared.protocol {
            Protocol::MySql => mysql_commit,
            Protocol::Postgres => postgres_committed,
            Protocol::Mongo => mongo_write,
            Protocol::Cassandra => cassandra_written,
            Protocol::Bytes => any_request,
        };
        self.arm(Trigger { pass, matches, fault: Fault::LoseAnswer });
    }

    /// Lets `pass` more writes take effect, and loses the request for the write after them, together with the connection:
    /// the server never gets it. The client sees the same as with [`lose_answer`](Self::lose_answer). Counted in
    /// [`happened`](Self::happened).
    ///
    /// The requests are a COMMIT for MySQL and PostgreSQL, a command that writes for MongoDB, and the execution of a
    /// statement or a batch for Cassandra.
    pub fn lose_request(&self, pass: u64) {
        let matches = match self.shared.protocol {
            Protocol::MySql => mysql_commit,
            Protocol::Postgres => postgres_commit,
            Protocol::Mongo => mongo_write,
            Protocol::Cassandra => cassandra_execution,
            Protocol::Bytes => any_request,
        };
        self.arm(Trigger { pass, matches, fault: Fault::CutAfter(0) });
    }

    /// Lets `pass` more messages of the client pass, and one more, and then nothing on that connection. Counted in
    /// [`happened`](Self::happened).
    pub fn hold(&self, pass: u64) {
        self.arm(Trigger { pass, matches: any_request, fault: Fault::Hold });
    }

    /// Lets `pass` more messages of `sender` pass, and then the first `bytes` of one more, or all of a shorter one.
    /// Then that connection is cut. Counted in [`happened`](Self::happened).
    pub fn cut_within(&self, sender: Sender, pass: u64, bytes: usize) {
        let matches = match sender {
            Sender::Client => any_request,
            Sender::Server => any_answer,
        };
        self.arm(Trigger { pass, matches, fault: Fault::CutAfter(bytes) });
    }

    /// Sets the pending fault. It replaces one that has not happened.
    fn arm(&self, trigger: Trigger) {
        self.shared.state().trigger = Some(trigger);
    }

    /// The number of requested faults that have happened.
    pub fn happened(&self) -> u64 {
        self.shared.state().happened
    }

    /// Waits until the given number of faults has happened in total. Returns false if that took longer than
    /// `patience`.
    pub fn await_happened(&self, faults: u64, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.state();
        while state.happened < faults {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().is_ended = true;
        // Wakes the accepting thread, which then sees that the proxy has ended.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.cut();
    }
}
