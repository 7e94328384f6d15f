//! Derives fields from a request, a target or a query, for many lines at once.
//!
//! A typical request (`GET /path?query HTTP/1.1`) is cut at the bits of masks. Any other is cut as the reference does
//! it.
//!
//! ```text
//! request    GET /ad?c=7&v=1.50 HTTP/1.1
//! method     ^^^
//! target         ^^^^^^^^^^^^^^
//! path           ^^^
//! args               ^^^^^^^^^^
//! protocol                      ^^^^^^^^
//! arg_c                ^                   asked for c and v: two words are compared
//! arg_v                    ^^^^            with eight bytes at the start of each pair
//! ```
//!
//! All fields of one source are derived together, so a request is cut once, however many of its arguments the
//! statistics use.

use std::ops::Range;

use memchr::memchr;

use super::{
    columns::{Columns, Span},
    template::{Candidates, Extent},
};
use crate::format::{
    compile::Escape,
    decode::{
        args::{ArgNames, NOT_FOUND},
        request::{self, Parts},
    },
    masks::{RequestMasks, request_masks},
    reference::{Part, SourceKind},
    work,
};

/// The target of a request must end within this many bytes to be cut by masks.
const MASKED_BYTES_MAX: usize = 128;

/// The number of names that are compared with each argument one by one. With more names, a lookup in [`ArgNames`] is as
/// fast.
const SHORT_NAMES_MAX: usize = 4;

/// A function that finds the masks of 64 bytes.
type Masks = fn(&[u8; 64]) -> RequestMasks<u64>;

/// A value of the line, and the fields that are derived from it.
#[derive(Clone, Debug)]
pub(super) struct Derivation {
    /// The positions between which the value stands.
    pub(super) extent: Extent,
    /// The kind of the value: a request, a target or a query.
    kind: SourceKind,
    /// The fields that are parts of the value, other than arguments.
    parts: Vec<(usize, Part)>,
    /// The fields that are arguments in the value, each with the number of its name in `names`.
    args: Vec<(usize, usize)>,
    /// The names of the arguments.
    names: ArgNames,
    /// The names once more, if all of them are short and there are few of them, as in most statistics. They are then
    /// compared as words.
    short_names: Vec<ArgName>,
    /// The escapes of a value.
    escape: Escape,
    /// The fastest function of the processor that finds the masks of a request.
    masks: Masks,
    /// The ranges of the arguments of one line, by the number of the name.
    // Used again for every line:
    found: Vec<(usize, usize)>,
    /// The value of one line once its escapes are undone.
    unescaped: Vec<u8>,
}

/// The name of an argument, as a word that is compared with eight bytes at once.
///
/// For `c`, the word is `c=` and the mask covers two bytes; a letter is compared without the bit 0x20, so `C=` is
/// equal.
#[derive(Clone, Debug)]
struct ArgName {
    /// The length of the name, without the `=`.
    len: usize,
    /// The name and the `=` after it.
    word: u64,
    /// The bits of `word` that count. The bit that distinguishes small letters from capitals does not.
    mask: u64,
}

impl ArgName {
    /// `None` if the name is too long for a word, or has other characters than usual.
    fn new(name: &[u8]) -> Option<Self> {
        let (mut word, mut mask) = ([0; 8], [0; 8]);
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.len() >= 8 || !name.iter().all(is_plain) {
            return None;
        }
        for (at, byte) in name.iter().chain(b"=").enumerate() {
            word[at] = *byte;
            mask[at] = if byte.is_ascii_alphabetic() { !0x20 } else { u8::MAX };
        }
        let [word, mask] = [word, mask].map(u64::from_le_bytes);
        Some(Self { len: name.len(), word, mask })
    }

    /// True if the eight bytes begin with the name and its `=`, without regard to case.
    #[inline]
    fn begins(&self, bytes: u64) -> bool {
        (bytes ^ self.word) & self.mask == 0
    }
}

impl Derivation {
    /// A derivation from the value at `extent`, without fields yet.
    pub(super) fn new(extent: Extent, kind: SourceKind, escape: Escape) -> Self {
        Self {
            extent,
            kind,
            parts: Vec::new(),
            args: Vec::new(),
            names: ArgNames::default(),
            short_names: Vec::new(),
            masks: request_masks(),
            escape,
            found: Vec::new(),
            unescaped: Vec::new(),
        }
    }

    /// Adds field number `field`, which is `part` of the value.
    pub(super) fn add(&mut self, field: usize, part: &Part) {
        let Part::Arg(name) = part else { return self.parts.push((field, part.clone())) };
        let number = self.names.add(name);
        self.args.push((field, number));
        // The names before this one were all short if `short_names` has each of them.
        if number < SHORT_NAMES_MAX && number == self.short_names.len() {
            self.short_names.extend(ArgName::new(name));
        }
    }

    /// Appends to the columns of its fields. Lines that are not `confirmed` get arbitrary spans, which are removed
    /// later. Only lines that are `escaped` can have escapes.
    pub(super) fn fill(
        &mut self,
        lines: Candidates<'_>,
        confirmed: &[bool],
        escaped: &[bool],
        columns: &mut Columns,
    ) {
        let block = lines.block;
        for (line, confirmed) in confirmed.iter().enumerate() {
            let (start, end) = if *confirmed { lines.extent(self.extent, line) } else { (0, 0) };
            if !escaped.is_empty()
                && escaped[line]
                && memchr(self.escape.byte(), &block[start..end]).is_some()
            {
                self.fill_escaped(&block[start..end], columns);
                continue;
            }
            let typical = match self.kind {
                SourceKind::Request => TypicalRequest::request(block, start, end, self.masks),
                SourceKind::Target => TypicalRequest::target(block, start, end, self.masks),
                SourceKind::Args => None,
            };
            match typical {
                Some(typical) => self.fill_typical(&typical, block, start, columns),
                None => self.fill_any(&block[start..end], Location::InBlock(start), columns),
            }
        }
    }

    /// Undoes the escapes of a value first.
    #[cold]
    fn fill_escaped(&mut self, text: &[u8], columns: &mut Columns) {
        let mut unescaped = std::mem::take(&mut self.unescaped);
        unescaped.clear();
        self.escape.undo(text, &mut unescaped);
        let whole = columns.push_decoded(|decoded| decoded.extend_from_slice(&unescaped));
        self.fill_any(&unescaped, Location::Decoded(whole), columns);
        self.unescaped = unescaped;
    }

    /// Appends the parts and arguments of a typical request.
    #[inline]
    fn fill_typical(&mut self, typical: &TypicalRequest, block: &[u8], start: usize, columns: &mut Columns) {
        let span = |range: &Range<usize>| Span::in_block(start + range.start, start + range.end);
        for (field, part) in &self.parts {
            let made = match part {
                Part::Method => span(&typical.method),
                Part::Target => span(&typical.target),
                Part::Protocol => span(&typical.protocol),
                Part::Path if typical.is_path_normal() => span(&typical.path),
                Part::Path => path(&block[start..], typical.path.clone(), Location::InBlock(start), columns),
                Part::Args if typical.args.is_empty() => Span::ABSENT,
                Part::Args | Part::Arg(_) => span(&typical.args),
            };
            columns.fields[*field].push(made);
        }
        if self.args.is_empty() {
            return;
        }
        if self.short_names.len() == self.names.len() && typical.can_match_words(&block[start..]) {
            typical.find_by_words(&block[start..], &self.short_names, &mut self.found);
        } else {
            self.names.find(&block[start..], typical.args.clone(), &mut self.found);
        }
        for (field, number) in &self.args {
            let found = self.found[*number];
            let range = found.0..found.1;
            let made = match found {
                NOT_FOUND => Span::ABSENT,
                _ if !typical.is_encoded(&range) => span(&range),
                _ => columns.push_decoded(|decoded| request::decode(&block[start..][range], decoded)),
            };
            columns.fields[*field].push(made);
        }
    }

    /// Derives the fields as the reference does it. `text` has no escapes any more.
    #[cold]
    fn fill_any(&mut self, text: &[u8], location: Location, columns: &mut Columns) {
        let parts = match self.kind {
            SourceKind::Request => Parts::of_request(text),
            SourceKind::Target => Parts::of_target(text),
            SourceKind::Args => Parts::of_args(text),
        };
        for (field, part) in &self.parts {
            let range = match part {
                Part::Method => &parts.method,
                Part::Target => &parts.target,
                Part::Protocol => &parts.protocol,
                Part::Path => &parts.path,
                Part::Args | Part::Arg(_) => &parts.args,
            };
            let made = match range.clone() {
                None => Span::ABSENT,
                Some(range) if *part == Part::Path => path(text, range, location, columns),
                Some(range) => location.span(range),
            };
            columns.fields[*field].push(made);
        }
        if self.args.is_empty() {
            return;
        }
        self.names.find(text, parts.args.unwrap_or_default(), &mut self.found);
        for (field, number) in &self.args {
            let made = match self.found[*number] {
                NOT_FOUND => Span::ABSENT,
                (start, end) => argument(text, start..end, location, columns),
            };
            columns.fields[*field].push(made);
        }
    }
}

/// The location of a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Location {
    /// At this offset in the block.
    InBlock(usize),
    /// In this span of the decoded bytes.
    Decoded(Span),
}

impl Location {
    /// The span of a part of the text.
    fn span(self, range: Range<usize>) -> Span {
        match self {
            Self::InBlock(start) => Span::in_block(start + range.start, start + range.end),
            Self::Decoded(whole) => whole.part(range),
        }
    }
}

/// The span of an argument's value once its percent-encoding is undone. `text` stands at `location`.
pub(super) fn argument(text: &[u8], range: Range<usize>, location: Location, columns: &mut Columns) -> Span {
    let value = &text[range.clone()];
    if request::is_encoded(value) {
        columns.push_decoded(|decoded| request::decode(value, decoded))
    } else {
        location.span(range)
    }
}

/// The span of a path once it is normalised as in `$uri`. `text` stands at `location`.
#[cold]
fn path(text: &[u8], range: Range<usize>, location: Location, columns: &mut Columns) -> Span {
    let path = &text[range.clone()];
    if request::is_normal(path) {
        return location.span(range);
    }
    let mut is_path = false;
    let made = columns.push_decoded(|decoded| is_path = request::normalise(path, decoded).is_some());
    if is_path { made } else { Span::ABSENT }
}

/// A request as nearly all are: `GET /path?query HTTP/1.1`, with one blank before the target and one after it. The
/// target begins with a slash and has no `#`.
///
/// The ranges are those of [`Parts`]. Only where a request has no query, `args` is an empty range.
struct TypicalRequest {
    /// `GET`. Empty in a target.
    method: Range<usize>,
    /// The path, and the query with its `?`.
    target: Range<usize>,
    /// The target up to the `?`.
    path: Range<usize>,
    /// The query, without its `?`.
    args: Range<usize>,
    /// `HTTP/1.1`. Empty in a target.
    protocol: Range<usize>,
    /// The masks of the text from the start of the request on.
    masks: RequestMasks<u128>,
    /// True if the target has a `%` or a `+`.
    has_encoded: bool,
}

impl TypicalRequest {
    /// Cuts a request line between two offsets of the block. `None` if it is not typical.
    #[inline(always)]
    fn request(block: &[u8], start: usize, end: usize, masks: Masks) -> Option<Self> {
        let text = block.get(start..end)?;
        let [.., last, b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = text else { return None };
        let target_end = text.len() - 9;
        let is_end = !last.is_ascii_whitespace() && major.is_ascii_digit() && minor.is_ascii_digit();
        let method = match text {
            [b'G', b'E', b'T', b' ', ..] => 3,
            [b'P', b'O', b'S', b'T', b' ', ..] => 4,
            _ => text.iter().position(|byte| !(byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-')))?,
        };
        let is_start = method > 0 && text.get(method..)?.starts_with(b" /") && method + 1 < target_end;
        if !is_end || !is_start {
            return None;
        }
        Self::new(block.get(start..)?, masks, text.len(), 0..method, method + 1..target_end)
    }

    /// Cuts a target between two offsets of the block. `None` if it is not typical: it does not begin with a slash,
    /// has a `#`, or is longer than [`MASKED_BYTES_MAX`].
    #[inline(always)]
    fn target(block: &[u8], start: usize, end: usize, masks: Masks) -> Option<Self> {
        let text = block.get(start..end)?;
        text.starts_with(b"/").then_some(())?;
        Self::new(block.get(start..)?, masks, text.len(), 0..0, 0..text.len())
    }

    /// Cuts the first `len` bytes of `text`.
    ///
    /// The first `?` of the target is the lowest bit of its mask. The `&` are left in the masks, for the search for
    /// arguments.
    #[inline(always)]
    fn new(
        text: &[u8],
        masks: Masks,
        len: usize,
        method: Range<usize>,
        target: Range<usize>,
    ) -> Option<Self> {
        let target_end = target.end;
        if target_end > MASKED_BYTES_MAX {
            return None;
        }
        // The masks may cover more bytes than the request; the bits after `target_end` are not used.
        let masks = masks_of(text, target_end, masks);
        let in_target = bits(&target);
        if masks.fragment & in_target != 0 {
            return None;
        }
        let question = masks.question & in_target;
        let question = if question == 0 { target_end } else { question.trailing_zeros() as usize };
        Some(Self {
            method,
            path: target.start..question,
            args: (question + 1).min(target_end)..target_end,
            protocol: (target_end + 1).min(len)..len,
            target,
            has_encoded: masks.encoded & in_target != 0,
            masks,
        })
    }

    /// True if a range of the target has a `%` or a `+`.
    fn is_encoded(&self, range: &Range<usize>) -> bool {
        self.has_encoded && self.masks.encoded & bits(range) != 0
    }

    /// True if nginx leaves the path as it is. False if in doubt.
    ///
    /// A path needs work if it has a `%`, or a slash followed by a slash or a point. Shifting the slashes by one bit
    /// puts each on the byte after it, so all pairs are found in two operations.
    #[inline]
    fn is_path_normal(&self) -> bool {
        let after_slash = self.masks.slash << 1;
        let odd = self.masks.encoded | (after_slash & (self.masks.slash | self.masks.point));
        odd & bits(&self.path) == 0
    }

    /// True if eight bytes can be loaded from every start of an argument, and the query has at most 64 bytes.
    #[inline]
    fn can_match_words(&self, text: &[u8]) -> bool {
        self.args.len() <= 64 && self.args.end + 8 <= text.len()
    }

    /// Finds the value of the first argument of each name. `text` begins with the request.
    ///
    /// For each pair, the eight bytes at its start are compared with the word of each name. In `c=7&v=1.50`, asked for
    /// `c` and `v`, the ends of the pairs are the bits of `&` (3) and the end of the query (10). The search stops once
    /// every name is found.
    #[inline]
    fn find_by_words(&self, text: &[u8], names: &[ArgName], found: &mut Vec<(usize, usize)>) {
        found.clear();
        found.resize(names.len(), NOT_FOUND);
        let Range { start: first, end: last } = self.args;
        if first == last {
            return;
        }
        work::examine(last - first);
        let mut ends = (self.masks.ampersand >> first) as u64 & (u64::MAX >> (64 - (last - first)));
        let (mut start, mut sought) = (first, names.len());
        // An empty argument at the end is skipped: it has no name.
        while start < last && sought > 0 {
            let end = if ends == 0 { last } else { first + ends.trailing_zeros() as usize };
            ends &= ends.wrapping_sub(1);
            work::examine(names.len());
            let word = text[start..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            for (name, found) in names.iter().zip(&mut *found) {
                // After the query there may be any byte, even a `=`.
                if name.begins(word) && start + name.len < end && *found == NOT_FOUND {
                    *found = (start + name.len + 1, end);
                    sought -= 1;
                }
            }
            start = end + 1;
        }
    }
}

/// The masks of the first `len` bytes of a text, at most 128.
#[inline]
fn masks_of(text: &[u8], len: usize, masks: Masks) -> RequestMasks<u128> {
    let at = |from: usize| match text[from..].first_chunk::<64>() {
        Some(chunk) => masks(chunk),
        None => {
            let mut padded = [0; 64];
            padded[..text.len() - from].copy_from_slice(&text[from..]);
            masks(&padded)
        }
    };
    if len <= 64 { at(0).widened() } else { at(0).widened().with_high(at(64)) }
}

/// The bits of a range within 128: `bits(&(2..4))` is `0b1100`.
#[inline]
fn bits(range: &Range<usize>) -> u128 {
    debug_assert!(range.end <= MASKED_BYTES_MAX);
    if range.start >= range.end {
        return 0;
    }
    (u128::MAX >> (128 - (range.end - range.start))) << range.start
}
