//! Parts of a URL or of its path, as logs have them.
//!
//! A URL in a log is what a client sent, and need not be a valid one. So these functions only cut: they refuse nothing,
//! and decode nothing.

use super::expr::ABSENT;

/// The authority and the rest of a URL such as `https://user@host:443/path`, or `None` for a text without a scheme.
fn split(url: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memmem::find(url, b"://")?;
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    if at == 0 || !url[..at].iter().all(is_allowed) {
        return None;
    }
    let rest = &url[at + 3..];
    let end = rest.iter().position(|byte| b"/?#\\".contains(byte)).unwrap_or(rest.len());
    Some(rest.split_at(end))
}

/// Appends the host of a URL in small letters, without user, port and brackets. `-` if there is none.
pub(super) fn write_host(url: &[u8], out: &mut Vec<u8>) {
    let authority = split(url).map_or(&[][..], |(authority, _)| authority);
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    let host = match host {
        [b'[', rest @ ..] => rest.split(|byte| *byte == b']').next().unwrap_or_default(),
        _ => host.split(|byte| *byte == b':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        out.extend_from_slice(ABSENT);
    } else {
        out.extend(host.iter().map(u8::to_ascii_lowercase));
    }
}

/// The path of a URL or of a request's URI: without scheme, host, query and fragment. `None` if the text has none.
///
/// A text that begins with `/` is a path, also with a second `/`: a client may well request `//a`.
pub(super) fn path(url: &[u8]) -> Option<&[u8]> {
    let rest = if url.first() == Some(&b'/') { url } else { split(url)?.1 };
    let end = rest.iter().position(|byte| b"?#".contains(byte)).unwrap_or(rest.len());
    match &rest[..end] {
        [] => Some(b"/"),
        path => Some(path),
    }
}

/// The first `segments` segments of a path: of `/a/b/c` and 2, it is `/a/b`.
pub(super) fn path_prefix(path: &[u8], segments: usize) -> &[u8] {
    let end = memchr::memchr_iter(b'/', path).nth(segments).unwrap_or(path.len());
    &path[..end]
}

/// Appends the extension of a path's last segment in small letters. `-` if there is none.
pub(super) fn write_extension(path: &[u8], out: &mut Vec<u8>) {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let extension = match memchr::memrchr(b'.', name) {
        Some(point) if point > 0 => &name[point + 1..],
        _ => &[],
    };
    let is_one = !extension.is_empty() && extension.iter().all(u8::is_ascii_alphanumeric);
    if is_one {
        out.extend(extension.iter().map(u8::to_ascii_lowercase));
    } else {
        out.extend_from_slice(ABSENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&[u8], &mut Vec<u8>), text: &str) -> String {
        let mut out = Vec::new();
        write(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hosts_of_urls() {
        for (url, host) in [
            ("https://Example.com/a?b", "example.com"),
            ("http://example.com", "example.com"),
            ("http://example.com:8080/a", "example.com"),
            ("http://user:pass@example.com:80/a@b", "example.com"),
            ("http://[2001:DB8::1]:80/a", "2001:db8::1"),
            ("//example.com/a", "-"),
            ("android-app://com.google.android.gm/", "com.google.android.gm"),
            ("http://example.com?next=//evil", "example.com"),
            ("http://example.com\\@evil/", "example.com"),
            ("/a//b", "-"),
            ("/a?u=http://x/", "-"),
            ("http:///a", "-"),
            ("http://:80/a", "-"),
            ("example.com", "-"),
            ("javascript:alert(1)//x", "-"),
        ] {
            assert_eq!(written(write_host, url), host, "{url}");
        }
    }

    #[test]
    fn paths_of_urls_and_uris() {
        for (url, expected) in [
            ("https://example.com/a/b?c#d", Some("/a/b")),
            ("https://example.com", Some("/")),
            ("https://example.com?x", Some("/")),
            ("/a/b?c=/d", Some("/a/b")),
            ("/a#b", Some("/a")),
            ("/", Some("/")),
            ("/a//b", Some("/a//b")),
            ("//a/b", Some("//a/b")),
            ("/a?u=http://x/", Some("/a")),
            ("*", None),
            ("example.com/a", None),
        ] {
            assert_eq!(path(url.as_bytes()), expected.map(str::as_bytes), "{url}");
        }
    }

    #[test]
    fn the_first_segments_of_a_path() {
        for (path, segments, expected) in [
            ("/a/b/c", 2, "/a/b"),
            ("/a/b/", 2, "/a/b"),
            ("/a/b", 2, "/a/b"),
            ("/a/", 2, "/a/"),
            ("/a", 1, "/a"),
            ("/", 1, "/"),
            ("/a/b", 0, ""),
            ("//a/b", 2, "//a"),
        ] {
            assert_eq!(path_prefix(path.as_bytes(), segments), expected.as_bytes(), "{path} {segments}");
        }
    }

    #[test]
    fn extensions_of_paths() {
        for (path, expected) in [
            ("/a/logo.PNG", "png"),
            ("/a/archive.tar.gz", "gz"),
            ("/a.b/c", "-"),
            ("/.htaccess", "-"),
            ("/a.", "-"),
            ("/a.b c", "-"),
            ("/", "-"),
        ] {
            assert_eq!(written(write_extension, path), expected, "{path}");
        }
    }
}
