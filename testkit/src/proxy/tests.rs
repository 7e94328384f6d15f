//! The proxy before a small server, which answers every message with the same text in capitals.

use std::io::{Read, Write};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a server that answers every message with the same text in capitals, and records the messages.
fn server() -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, got) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let keep = Arc::clone(&got);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, keep) = (client.unwrap(), Arc::clone(&keep));
            std::thread::spawn(move || {
                while let Some(message) = receive(&mut client) {
                    keep.lock().unwrap().push(message.clone());
                    let answer = message.to_ascii_uppercase();
                    if client.write_all(&answer).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, got)
}

/// A message in Cassandra's form: a header of nine bytes, whose end is the body's length.
fn message(text: &str) -> Vec<u8> {
    let mut message = vec![b'x'; 5];
    message.extend((text.len() as u32).to_be_bytes());
    message.extend(text.as_bytes());
    message
}

fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = vec![0; 9];
    stream.read_exact(&mut message).ok()?;
    let length = u32::from_be_bytes(*message[5..].first_chunk().unwrap());
    message.resize(9 + length as usize, 0);
    stream.read_exact(&mut message[9..]).ok()?;
    Some(message)
}

fn proxy(server: SocketAddr) -> Proxy {
    Proxy::start("127.0.0.1:0".parse().unwrap(), server, Protocol::Cassandra).unwrap()
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, text: &str) -> Option<Vec<u8>> {
    stream.write_all(&message(text)).ok()?;
    receive(stream)
}

#[test]
fn what_passes_is_not_changed() {
    let (server, got) = server();
    let proxy = proxy(server);
    let (mut one, mut two) = (connect(&proxy), connect(&proxy));
    let large = "b".repeat(1 << 20);
    assert_eq!(ask(&mut one, "a").unwrap(), message("a").to_ascii_uppercase());
    assert_eq!(ask(&mut two, &large).unwrap(), message(&large).to_ascii_uppercase());
    assert_eq!(*got.lock().unwrap(), [message("a"), message(&large)]);
    assert_eq!(proxy.happened(), 0);
}

#[test]
fn a_cut_comes_at_its_byte() {
    let (server, got) = server();
    let proxy = proxy(server);
    let mut stream = connect(&proxy);
    proxy.cut_within(Sender::Client, 1, 10);
    assert!(ask(&mut stream, "first").is_some());
    assert!(ask(&mut stream, "second").is_none());
    proxy.cut_within(Sender::Server, 0, 12);
    let mut stream = connect(&proxy);
    stream.write_all(&message("third")).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, message("third").to_ascii_uppercase()[..12]);
    assert!(proxy.await_happened(2, PATIENCE));
    assert_eq!(*got.lock().unwrap(), [message("first"), message("third")]);
}

#[test]
fn a_lost_answer_was_given() {
    let (server, got) = server();
    let proxy = proxy(server);
    proxy.arm(Trigger { pass: 1, matches: any_request, fault: Fault::LoseAnswer });
    let mut stream = connect(&proxy);
    assert!(ask(&mut stream, "first").is_some());
    assert!(ask(&mut stream, "second").is_none());
    assert!(proxy.await_happened(1, PATIENCE));
    assert_eq!(got.lock().unwrap().len(), 2);
    assert!(ask(&mut connect(&proxy), "third").is_some());
    assert_eq!(proxy.happened(), 1);
}

#[test]
fn a_lost_request_was_never_received() {
    let (server, got) = server();
    let proxy = proxy(server);
    proxy.lose_request(1);
    let execution = |text: &str| {
        let mut message = message(text);
        message[4] = 10;
        message
    };
    let mut stream = connect(&proxy);
    for text in ["first", "second"] {
        stream.write_all(&execution(text)).unwrap();
        assert_eq!(receive(&mut stream).is_some(), text == "first");
    }
    assert!(proxy.await_happened(1, PATIENCE));
    assert_eq!(*got.lock().unwrap(), [execution("first")]);
}

#[test]
fn silence_ends_no_connection_and_holds_for_new_ones() {
    let (server, got) = server();
    let proxy = proxy(server);
    let mut old = connect(&proxy);
    assert!(ask(&mut old, "first").is_some());
    proxy.fall_silent();
    let mut new = connect(&proxy);
    for stream in [&mut old, &mut new] {
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.write_all(&message("second")).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
    proxy.speak();
    assert!(ask(&mut connect(&proxy), "third").is_some());
    assert_eq!(*got.lock().unwrap(), [message("first"), message("third")]);
}

#[test]
fn what_is_held_ends_with_the_server() {
    let (server, got) = server();
    let proxy = proxy(server);
    proxy.hold(1);
    let mut stream = connect(&proxy);
    assert!(ask(&mut stream, "first").is_some());
    stream.write_all(&message("second")).unwrap();
    assert!(proxy.await_happened(1, PATIENCE));
    // Ending the proxy simulates a server that is killed.
    drop(proxy);
    assert!(receive(&mut stream).is_none());
    let mut got = got.lock().unwrap().clone();
    got.truncate(1);
    assert_eq!(got, [message("first")]);
}

#[test]
fn without_a_server_and_without_a_proxy_clients_are_turned_away() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let proxy = proxy(nobody);
    assert!(ask(&mut connect(&proxy), "first").is_none());
    let address = proxy.address();
    drop(proxy);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn writes_are_told_from_the_rest() {
    let query = |text: &[u8]| [&[text.len() as u8 + 1, 0, 0, 0, 3], text].concat();
    assert!(mysql_commit(Sender::Client, &query(b"COMMIT")));
    assert!(!mysql_commit(Sender::Client, &query(b"BEGIN")));
    assert!(postgres_commit(Sender::Client, b"Q\0\0\0\x0bCOMMIT\0"));
    assert!(!postgres_commit(Sender::Client, b"Q\0\0\0\x0aBEGIN\0"));
    assert!(postgres_committed(Sender::Server, b"C\0\0\0\x0bCOMMIT\0"));
    assert!(!postgres_committed(Sender::Server, b"C\0\0\0\x0aBEGIN\0"));
    let command = |name: &[u8]| {
        let mut message = vec![0; 26];
        message[12..16].copy_from_slice(&2013_u32.to_le_bytes());
        [&message, name].concat()
    };
    assert!(mongo_write(Sender::Client, &command(b"update\0")));
    assert!(!mongo_write(Sender::Client, &command(b"find\0")));
    assert!(cassandra_execution(Sender::Client, &[4, 0, 0, 0, 10, 0, 0, 0, 0]));
    assert!(!cassandra_execution(Sender::Client, &[4, 0, 0, 0, 7, 0, 0, 0, 0]));
    assert!(cassandra_written(Sender::Server, &[0x84, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, 1]));
    assert!(!cassandra_written(Sender::Server, &[0x84, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, 2]));
}
