//! A proxy that reads the driver's commands and decides how they are answered.
//! <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use mongodb::bson::{Document, RawDocumentBuf};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The outcomes of a command.
pub(super) enum Fate {
    /// The server answers it.
    Forward,
    /// The server never gets it, and this is the answer.
    Answer(Document),
    /// The server answers it, but the connection is cut before the answer arrives.
    LoseAnswer,
    /// Nobody answers, and the connection stays open.
    Silence,
}

#[async_trait]
pub(super) trait Judge: Send + Sync + 'static {
    async fn judge(&self, command: &Document) -> Fate;
}

/// The name of a command that writes, and the collection that it writes to. `None` for other commands.
pub(super) fn written(command: &Document) -> Option<(&'static str, &str)> {
    ["insert", "update"].into_iter().find_map(|name| Some((name, command.get_str(name).ok()?)))
}

/// Listens until it is dropped.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts a proxy in front of the server of a URL.
    pub(super) async fn before(url: &str, judge: Arc<impl Judge>) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), url, judge).await
    }

    /// Starts a proxy at an address of the caller's choice.
    pub(super) async fn at(address: SocketAddr, url: &str, judge: Arc<impl Judge>) -> Self {
        let (_, place) = url.split_once("://").unwrap();
        let host = place.split(['/', '?']).next().unwrap();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (host, judge) = (host.clone(), Arc::clone(&judge));
                connections.spawn(async move {
                    if let Ok(server) = TcpStream::connect(host).await {
                        serve(client, server, judge).await;
                    }
                });
            }
        });
        Self { address, task }
    }
}

async fn serve(client: TcpStream, server: TcpStream, judge: Arc<impl Judge>) {
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    let (lose, lost) = watch::channel(false);
    let answers = Arc::clone(&to_client);
    // One request can have many answers: that is how the driver watches servers.
    let replies = async move {
        while let Some(reply) = read(&mut from_server).await {
            if *lost.borrow() {
                return;
            }
            if answers.lock().await.write_all(&reply).await.is_err() {
                return;
            }
        }
    };
    let requests = async move {
        while let Some(request) = read(&mut from_client).await {
            match judge.judge(&body(&request)).await {
                Fate::Forward => {}
                Fate::Answer(document) => {
                    if to_client.lock().await.write_all(&reply(&request, &document)).await.is_err() {
                        return;
                    }
                    continue;
                }
                Fate::LoseAnswer => drop(lose.send_replace(true)),
                Fate::Silence => continue,
            }
            if to_server.write_all(&request).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = replies => {}
        () = requests => {}
    }
}

const HEADER_BYTES: usize = 16;
const FLAGS_BYTES: usize = 4;
const OP_MSG: i32 = 2013;

async fn read(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let length = stream.read_i32_le().await.ok()?;
    let mut message = length.to_le_bytes().to_vec();
    message.resize(usize::try_from(length).ok()?, 0);
    stream.read_exact(&mut message[4..]).await.ok()?;
    Some(message)
}

fn number(message: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(message[at..at + 4].try_into().unwrap())
}

/// The command of a message. The driver's first message is of another kind, and counts as an empty command.
fn body(message: &[u8]) -> Document {
    if number(message, 12) != OP_MSG {
        return Document::new();
    }
    let body = &message[HEADER_BYTES + FLAGS_BYTES..];
    assert_eq!(body[0], 0, "the body comes first");
    Document::from_reader(&body[1..]).unwrap()
}

fn reply(request: &[u8], document: &Document) -> Vec<u8> {
    let body = RawDocumentBuf::try_from(document).unwrap();
    let length = HEADER_BYTES + FLAGS_BYTES + 1 + body.as_bytes().len();
    let mut message = Vec::with_capacity(length);
    for word in [i32::try_from(length).unwrap(), 1, number(request, 4), OP_MSG, 0] {
        message.extend_from_slice(&word.to_le_bytes());
    }
    message.push(0);
    message.extend_from_slice(body.as_bytes());
    message
}
