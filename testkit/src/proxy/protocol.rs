//! The messages of each protocol: their length, and the ones that mean that something was written.

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

impl Protocol {
    /// The length of the message at the start of `bytes`, if it is complete.
    pub(super) fn message(self, bytes: &[u8]) -> Option<usize> {
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
pub(super) fn any_request(sender: Sender, _: &[u8]) -> bool {
    sender == Sender::Client
}

/// True for every message of the server.
pub(super) fn any_answer(sender: Sender, _: &[u8]) -> bool {
    sender == Sender::Server
}

/// COM_QUERY with the text COMMIT.
pub(super) fn mysql_commit(sender: Sender, message: &[u8]) -> bool {
    const COM_QUERY: u8 = 3;
    sender == Sender::Client
        && message.get(4) == Some(&COM_QUERY)
        && message[5..].eq_ignore_ascii_case(b"COMMIT")
}

/// Query with the text COMMIT.
pub(super) fn postgres_commit(sender: Sender, message: &[u8]) -> bool {
    sender == Sender::Client && message[0] == b'Q' && message[5..].eq_ignore_ascii_case(b"COMMIT\0")
}

/// CommandComplete with the tag COMMIT: the transaction is committed, and the client does not know yet.
pub(super) fn postgres_committed(sender: Sender, message: &[u8]) -> bool {
    sender == Sender::Server && message[0] == b'C' && message[5..] == *b"COMMIT\0"
}

/// `OP_MSG` whose first section begins with the name of a command that writes.
pub(super) fn mongo_write(sender: Sender, message: &[u8]) -> bool {
    const OP_MSG: [u8; 4] = 2013_u32.to_le_bytes();
    // Header 16, flags 4, kind of the section 1, length of the document 4, type of its first element 1.
    const NAME_AT: usize = 26;
    let commands: [&[u8]; 3] = [b"update\0", b"insert\0", b"findAndModify\0"];
    sender == Sender::Client
        && message.get(12..16) == Some(&OP_MSG)
        && commands.iter().any(|&name| message.get(NAME_AT..).is_some_and(|rest| rest.starts_with(name)))
}

/// RESULT of kind Void: the write is done. Results with rows are of another kind.
pub(super) fn cassandra_written(sender: Sender, message: &[u8]) -> bool {
    const RESULT: u8 = 8;
    const VOID: [u8; 4] = 1_u32.to_be_bytes();
    sender == Sender::Server && message[4] == RESULT && message.get(9..13) == Some(&VOID)
}

/// EXECUTE or BATCH. The request does not tell whether a prepared statement writes.
pub(super) fn cassandra_execution(sender: Sender, message: &[u8]) -> bool {
    const EXECUTE: u8 = 10;
    const BATCH: u8 = 13;
    sender == Sender::Client && matches!(message[4], EXECUTE | BATCH)
}
