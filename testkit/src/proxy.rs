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

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The protocol of a connection without TLS and compression, by which the proxy separates its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The protocol of MySQL and MariaDB.
    MySql,
    /// PostgreSQL's protocol, version 3.
    Postgres,
    /// MongoDB's `OP_MSG`.
    Mongo,
    /// Cassandra's native protocol, version 3 or 4.
    Cassandra,
    /// Any protocol: the bytes that arrive at once count as one message.
    Bytes,
}

/// The sender of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The program that connects to the proxy.
    Client,
    /// The program that the proxy connects to.
    Server,
}

/// The faults of a connection, each of which happens at a certain message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The server gets the message, but the client never gets the answer: the connection is cut as soon as there is
    /// one.
    LoseAnswer,
    /// The message passes, and nothing after it. Both sides wait until either closes the connection.
    Hold,
    /// The given number of bytes of the message pass, and then the connection is cut.
    CutAfter(usize),
}

/// A pending fault: it happens at the first message for which `matches` is true, after `pass` others.
struct Trigger {
    /// The number of matching messages that pass first.
    pass: u64,
    /// True for the messages that count.
    matches: fn(Sender, &[u8]) -> bool,
    fault: Fault,
}

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

/// The part of a proxy that all of its threads use.
struct Shared {
    /// The address that connections are forwarded to.
    server: SocketAddr,
    /// The protocol by which messages are separated.
    protocol: Protocol,
    state: Mutex<State>,
    /// Notified when `happened` grows.
    changed: Condvar,
}

/// The state that a test changes.
#[derive(Default)]
struct State {
    /// True if new connections are silent.
    is_silent: bool,
    /// True once the proxy is being dropped.
    is_ended: bool,
    /// The fault that was asked for and has not happened yet.
    trigger: Option<Trigger>,
    /// The number of faults that have happened.
    happened: u64,
    /// The connections that are open, or were open a moment ago.
    connections: Vec<Arc<Connection>>,
}

/// Both ends of a connection through the proxy.
struct Connection {
    /// The connection from the client.
    client: TcpStream,
    /// `None` if no connection to the server was made.
    server: Option<TcpStream>,
    /// The fate of its bytes. It has a mutex of its own, since it is looked at for each message.
    fate: Mutex<Fate>,
}

/// The fate of a connection's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Forwards everything.
    Passes,
    /// Discards everything, and never ends, like a firewall that has forgotten the connection.
    Silent,
    /// Discards everything, and ends when either side does.
    Held,
    /// Waits for the server's next message, and is then cut.
    LosesAnswer,
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

impl Shared {
    /// The state. A thread that panicked has not left it half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that is due at this message, if there is one.
    fn due(&self, sender: Sender, message: &[u8]) -> Option<Fault> {
        let mut state = self.state();
        let trigger = state.trigger.as_mut().filter(|trigger| (trigger.matches)(sender, message))?;
        if trigger.pass > 0 {
            trigger.pass -= 1;
            return None;
        }
        state.trigger.take().map(|trigger| trigger.fault)
    }

    /// Counts a fault that has happened.
    fn count(&self) {
        self.state().happened += 1;
        self.changed.notify_all();
    }
}

impl Connection {
    /// The fate of the connection's bytes.
    fn fate(&self) -> Fate {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the fate of the connection's bytes.
    fn set_fate(&self, fate: Fate) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }

    fn cut(&self) {
        // Either side may have closed it already.
        let _ = self.client.shutdown(Shutdown::Both);
        if let Some(server) = &self.server {
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}

/// Accepts connections until the proxy ends.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        // This fails without free file descriptors, for example. The client then gets nothing, and tries again.
        let Ok((client, _)) = listener.accept() else { continue };
        if shared.state().is_ended {
            return;
        }
        // Each connection has its own threads, so that a server that is slow to accept delays nobody else.
        let shared = Arc::clone(shared);
        std::thread::spawn(move || serve(client, &shared));
    }
}

/// Forwards one connection in both directions until it ends.
fn serve(client: TcpStream, shared: &Arc<Shared>) {
    let is_silent = shared.state().is_silent;
    let server = if is_silent {
        None
    } else {
        // Without a server, the client's connection is closed by dropping it.
        let Ok(server) = TcpStream::connect(shared.server) else { return };
        Some(server)
    };
    for stream in std::iter::once(&client).chain(&server) {
        let _ = stream.set_nodelay(true);
    }
    let connection = {
        let mut state = shared.state();
        // The proxy may have fallen silent, or ended, while it connected to the server.
        if state.is_ended {
            return;
        }
        let fate = if state.is_silent { Fate::Silent } else { Fate::Passes };
        let connection = Arc::new(Connection { client, server, fate: Mutex::new(fate) });
        state.connections.push(Arc::clone(&connection));
        connection
    };
    let answers = connection.server.as_ref().map(|_| {
        let (connection, shared) = (Arc::clone(&connection), Arc::clone(shared));
        std::thread::spawn(move || pump(&connection, Sender::Server, &shared))
    });
    pump(&connection, Sender::Client, shared);
    if let Some(answers) = answers {
        let _ = answers.join();
    }
    connection.cut();
    shared.state().connections.retain(|other| !Arc::ptr_eq(other, &connection));
}

/// Forwards the messages of one side, until the connection ends.
fn pump(connection: &Connection, sender: Sender, shared: &Shared) {
    let ended = hand_on(connection, sender, shared);
    // A silent connection hides the server's end from the client, which would otherwise notice it.
    if connection.fate() != Fate::Silent || sender == Sender::Client {
        connection.cut();
    }
    // An error ends the connection like a normal end.
    drop(ended);
}

/// Forwards the messages of one side. Returns when that side has closed the connection, or a fault has cut it.
fn hand_on(connection: &Connection, sender: Sender, shared: &Shared) -> io::Result<()> {
    let (mut from, to) = match (sender, &connection.server) {
        (Sender::Client, server) => (&connection.client, server.as_ref()),
        (Sender::Server, Some(server)) => (server, Some(&connection.client)),
        (Sender::Server, None) => return Ok(()),
    };
    let (mut held, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        held.extend_from_slice(&buffer[..read]);
        let mut start = 0;
        while let Some(bytes) = shared.protocol.message(&held[start..]) {
            let message = &held[start..start + bytes];
            start += bytes;
            match connection.fate() {
                Fate::Silent | Fate::Held => continue,
                Fate::LosesAnswer if sender == Sender::Server => {
                    connection.cut();
                    shared.count();
                    return Ok(());
                }
                Fate::LosesAnswer | Fate::Passes => {}
            }
            let Some(mut to) = to else { continue };
            match shared.due(sender, message) {
                None => to.write_all(message)?,
                Some(Fault::LoseAnswer) if sender == Sender::Server => {
                    connection.cut();
                    shared.count();
                    return Ok(());
                }
                Some(Fault::LoseAnswer) => {
                    // The fate is set before the message is sent, because the answer may arrive at once.
                    connection.set_fate(Fate::LosesAnswer);
                    to.write_all(message)?;
                }
                Some(Fault::Hold) => {
                    connection.set_fate(Fate::Held);
                    to.write_all(message)?;
                    shared.count();
                }
                Some(Fault::CutAfter(bytes)) => {
                    to.write_all(&message[..bytes.min(message.len())])?;
                    connection.cut();
                    shared.count();
                    return Ok(());
                }
            }
        }
        held.drain(..start);
    }
}

impl Protocol {
    /// The length of the message at the start of `bytes`, if it is complete.
    fn message(self, bytes: &[u8]) -> Option<usize> {
        let big_endian = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
        let length = match self {
            Self::MySql => {
                let &[low, middle, high, _] = bytes.first_chunk()?;
                4 + u32::from_le_bytes([low, middle, high, 0]) as usize
            }
            // A client's first message has no type byte before its length, which is below 2^24.
            Self::Postgres if bytes.first()? == &0 => big_endian(0)?,
            Self::Postgres => 1 + big_endian(1)?,
            Self::Mongo => u32::from_le_bytes(*bytes.first_chunk()?) as usize,
            Self::Cassandra => 9 + big_endian(5)?,
            Self::Bytes => bytes.len(),
        };
        (length > 0 && bytes.len() >= length).then_some(length)
    }
}

/// True for every message of the client.
fn any_request(sender: Sender, _: &[u8]) -> bool {
    sender == Sender::Client
}

/// True for every message of the server.
fn any_answer(sender: Sender, _: &[u8]) -> bool {
    sender == Sender::Server
}

/// COM_QUERY with the text COMMIT.
fn mysql_commit(sender: Sender, message: &[u8]) -> bool {
    const COM_QUERY: u8 = 3;
    sender == Sender::Client
        && message.get(4) == Some(&COM_QUERY)
        && message[5..].eq_ignore_ascii_case(b"COMMIT")
}

/// CommandComplete with the tag COMMIT: the transaction is committed, and the client does not know yet.
fn postgres_committed(sender: Sender, message: &[u8]) -> bool {
    sender == Sender::Server && message[0] == b'C' && message[5..] == *b"COMMIT\0"
}

/// `OP_MSG` whose first section begins with the name of a command that writes.
fn mongo_write(sender: Sender, message: &[u8]) -> bool {
    const OP_MSG: [u8; 4] = 2013_u32.to_le_bytes();
    // Header 16, flags 4, kind of the section 1, length of the document 4, type of its first element 1.
    const NAME_AT: usize = 26;
    let commands: [&[u8]; 3] = [b"update\0", b"insert\0", b"findAndModify\0"];
    sender == Sender::Client
        && message.get(12..16) == Some(&OP_MSG)
        && commands.iter().any(|&name| message.get(NAME_AT..).is_some_and(|rest| rest.starts_with(name)))
}

/// RESULT of kind Void: the write is done. Results with rows are of another kind.
fn cassandra_written(sender: Sender, message: &[u8]) -> bool {
    const RESULT: u8 = 8;
    const VOID: [u8; 4] = 1_u32.to_be_bytes();
    sender == Sender::Server && message[4] == RESULT && message.get(9..13) == Some(&VOID)
}

#[cfg(test)]
mod tests;
