//! Formats of HAProxy: its `option httplog`, and strings of other formats that describe its lines.

use super::{class::Class, piece::Piece};

/// Tells what the values of `option httplog` are, which nginx has not.
///
/// HAProxy writes a captured cookie as the client sent it, with its blanks. So its end is only certain if the values after it
/// are known.
pub(super) fn classify(pieces: &mut [Piece]) {
    for piece in pieces {
        let Piece::Variable(_, name, class) = piece else { continue };
        *class = match &**name {
            "frontend" | "backend" | "server" | "response_cookie" | "termination_state" => Some(Class::Token),
            "retries" => Some(Class::Number),
            _ if ["_time", "conn", "_queue"].iter().any(|end| name.ends_with(end)) => Some(Class::Number),
            _ => None,
        };
    }
}

/// True for a string that describes lines of HAProxy, whose numbers may have a `+`, and be `-1` if they are not known. Its formats have times joined by slashes, as no other server's have, and
/// most name it in the header of syslog.
pub(super) fn are_of_haproxy(pieces: &[Piece]) -> bool {
    let texts = || {
        pieces.iter().filter_map(|piece| if let Piece::Text(_, text) = piece { Some(&**text) } else { None })
    };
    texts().any(|text| text.contains("haproxy"))
        || texts().zip(texts().skip(1)).any(|(text, next)| text == "/" && next == "/")
}
