//! Compression: how a file is compressed, by its bytes, and the extensions of compressors.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// The extensions that compressors append, without the dot.
const EXTENSIONS: [&str; 14] =
    ["gz", "zst", "xz", "bz2", "lz4", "br", "lzma", "lzo", "lz", "z", "Z", "zip", "7z", "sz"];

/// The compression of a file. Its bytes decide, not its name.
///
/// A name can be wrong: `access.log.1.gz` may be plain text that somebody renamed, and `access.log.2` may be
/// compressed. To read compressed bytes as lines would reject them all, and to decompress text fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Bzip2,
    Gzip,
    Xz,
    Zstd,
    /// The file is named like a compressed one, but does not begin with the bytes of a supported format. It
    /// is of another format, damaged, or not yet written.
    Unreadable,
}

impl Packing {
    /// Returns the compression of the file at `path`, which begins with `head`.
    pub(super) fn of(path: &Path, head: &[u8]) -> Self {
        let is_bzip2 = head.starts_with(b"BZh") && head.get(3).is_some_and(u8::is_ascii_digit);
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ if is_bzip2 => Self::Bzip2,
            _ if extension(path.as_os_str()).is_some() => Self::Unreadable,
            _ => Self::Plain,
        }
    }

    /// Returns true if the file is not compressed.
    pub(super) fn is_plain(self) -> bool {
        self == Self::Plain
    }
}

/// Returns the extension of `name` if it is that of a compressor.
fn extension(name: &OsStr) -> Option<&str> {
    let extension = Path::new(name).extension()?.to_str()?;
    EXTENSIONS.contains(&extension).then_some(extension)
}

/// Returns the paths that a plain file may have when it is compressed.
pub(super) fn packed_paths(plain: &Path) -> impl Iterator<Item = PathBuf> {
    EXTENSIONS.iter().map(|extension| {
        let mut path = plain.as_os_str().to_owned();
        path.push(".");
        path.push(extension);
        PathBuf::from(path)
    })
}

/// Returns `name` without the extension of a compressor.
pub(super) fn without_extension(name: &str) -> &str {
    let extension = extension(OsStr::new(name));
    extension.and_then(|extension| name.strip_suffix(extension)?.strip_suffix('.')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_then_the_name_tell_how_a_file_is_packed() {
        let cases: [(&str, &[u8], Packing); 8] = [
            ("a.log.1", b"192.0.2.1", Packing::Plain),
            ("a.log.1", b"\x1f\x8b\x08\0", Packing::Gzip),
            ("a.log.1.gz", b"\x1f\x8b\x08\0", Packing::Gzip),
            ("a.log.1.gz", b"\x1f", Packing::Unreadable),
            ("a.log.1.gz", b"not gzip", Packing::Unreadable),
            ("a.log.1.lz4", b"\x04\x22\x4d\x18", Packing::Unreadable),
            ("a.log.1.xz", b"\xfd7zXZ\0", Packing::Xz),
            ("a.log.1.bz2", b"BZh91AY", Packing::Bzip2),
        ];
        for (name, head, packing) in cases {
            assert_eq!(Packing::of(Path::new(name), head), packing, "{name} {head:?}");
        }
    }

    #[test]
    fn only_the_extension_of_a_compressor_is_taken_off() {
        let cases = [("a.log.1.gz", "a.log.1"), ("a.log.1", "a.log.1"), ("a.log", "a.log"), ("gz", "gz")];
        for (name, expected) in cases {
            assert_eq!(without_extension(name), expected);
        }
    }
}
