//! The threads that forward the bytes of the connections.
//!
//! A connection has two threads, one for each direction, which copy bytes as they come. A fault is decided in the
//! shared state and carried out here: bytes are held back, dropped, or the connection is cut after the server's
//! answer was read and before the client gets it. The last one is the fault that matters most: the batch is
//! committed, and nobody told evs.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use super::{
    protocol::Sender,
    shared::{Connection, Fate, Fault, Shared},
};

/// Accepts connections until the proxy ends.
pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
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
