//! A stub of a node that refuses every client: it speaks the native protocol, version 4, up to the password.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const STARTUP: u8 = 0x01;
const OPTIONS: u8 = 0x05;

const ERROR: u8 = 0x00;
const AUTHENTICATE: u8 = 0x03;
const SUPPORTED: u8 = 0x06;

/// Starts a node that refuses every client with the given message.
pub(super) async fn refuses_credentials(says: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // Ends when the client hangs up.
            tokio::spawn(async move { drop(refuse(connection, says).await) });
        }
    });
    address
}

async fn refuse(mut connection: TcpStream, says: &str) -> std::io::Result<()> {
    loop {
        let mut header = [0; 9];
        connection.read_exact(&mut header).await?;
        let version = header[0];
        let (stream, length) =
            ([header[2], header[3]], u32::from_be_bytes([header[5], header[6], header[7], header[8]]));
        let mut body = vec![0; length as usize];
        connection.read_exact(&mut body).await?;
        let (opcode, body) = if version != 4 {
            (
                ERROR,
                error(0x000A, "Invalid or unsupported protocol version; the lowest supported version is 3"),
            )
        } else {
            match header[4] {
                OPTIONS => (SUPPORTED, vec![0, 0]),
                STARTUP => (AUTHENTICATE, string("org.apache.cassandra.auth.PasswordAuthenticator")),
                _ => (ERROR, error(0x0100, says)),
            }
        };
        // The frame has the stub's version. That also tells the client which version to use.
        let mut frame = vec![0x84, 0, stream[0], stream[1], opcode];
        frame.extend((body.len() as u32).to_be_bytes());
        frame.extend(body);
        connection.write_all(&frame).await?;
    }
}

fn error(code: u32, says: &str) -> Vec<u8> {
    [code.to_be_bytes().to_vec(), string(says)].concat()
}

fn string(text: &str) -> Vec<u8> {
    [(text.len() as u16).to_be_bytes().to_vec(), text.as_bytes().to_vec()].concat()
}
