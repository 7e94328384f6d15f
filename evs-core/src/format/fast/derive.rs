//! Fields that are parts of a request, for many lines at once: the usual request is cut at the bits of masks, any
//! other one as the reference does it.

use std::ops::Range;

use memchr::memchr;

use super::{
    columns::{Columns, Span},
    template::{Candidates, Place},
};
use crate::format::{
    decode::{
        args::{ArgNames, NOT_FOUND},
        escape::undo_default,
        request::{self, Parts},
    },
    masks::{RequestMasks, request_masks},
    reference::{Kind, Part},
    work,
};

/// How far into a request its target may reach to be cut by masks.
const MASKED_BYTES_MAX: usize = 128;

/// How many names may be compared with each argument: looking for one among more is as quick.
const FEW: usize = 4;

/// What finds the masks of 64 bytes.
type Masks = fn(&[u8; 64]) -> RequestMasks<u64>;

/// A logged value, and what is derived from it.
#[derive(Clone, Debug)]
pub(super) struct Derivation {
    pub(super) place: Place,
    kind: Kind,
    /// The fields that are parts of it.
    parts: Vec<(usize, Part)>,
    /// The fields that are arguments in it, with the numbers of these.
    args: Vec<(usize, usize)>,
    names: ArgNames,
    /// The names once more, if they are few and short: most often they are, and then are compared at once.
    few: Vec<ArgName>,
    masks: Masks,
    // Used again for every line:
    found: Vec<(usize, usize)>,
    unescaped: Vec<u8>,
}

/// The name of an argument, and how it is compared with eight bytes at once.
#[derive(Clone, Debug)]
struct ArgName {
    len: usize,
    /// The name and the `=`, and which bits of them count: not the one that tells small letters from capitals.
    word: u64,
    mask: u64,
}

impl ArgName {
    /// `None` if the name is too long for that.
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

    #[inline]
    fn begins(&self, bytes: u64) -> bool {
        (bytes ^ self.word) & self.mask == 0
    }
}

impl Derivation {
    pub(super) fn new(place: Place, kind: Kind) -> Self {
        Self {
            place,
            kind,
            parts: Vec::new(),
            args: Vec::new(),
            names: ArgNames::default(),
            few: Vec::new(),
            masks: request_masks(),
            found: Vec::new(),
            unescaped: Vec::new(),
        }
    }

    /// Has it make field number `field`, too.
    pub(super) fn add(&mut self, field: usize, part: &Part) {
        let Part::Arg(name) = part else { return self.parts.push((field, part.clone())) };
        let number = self.names.add(name);
        self.args.push((field, number));
        // Those before were few if each of them is there.
        if number < FEW && number == self.few.len() {
            self.few.extend(ArgName::new(name));
        }
    }

    /// Fills the columns of its fields for the lines that are `sure`; the others get anything. Those that are `escaped`
    /// may have escapes.
    pub(super) fn fill(
        &mut self,
        lines: Candidates<'_>,
        sure: &[bool],
        escaped: &[bool],
        columns: &mut Columns,
    ) {
        let block = lines.block;
        for (line, sure) in sure.iter().enumerate() {
            let (start, end) = if *sure { lines.place(self.place, line) } else { (0, 0) };
            if !escaped.is_empty() && escaped[line] && memchr(b'\\', &block[start..end]).is_some() {
                self.fill_escaped(&block[start..end], columns);
                continue;
            }
            let usual = match self.kind {
                Kind::Request => Usual::request(block, start, end, self.masks),
                Kind::Target => Usual::target(block, start, end, self.masks),
                Kind::Args => None,
            };
            match usual {
                Some(usual) => self.fill_usual(&usual, block, start, columns),
                None => self.fill_any(&block[start..end], Text::InBlock(start), columns),
            }
        }
    }

    /// Undoes the escapes of a text first, aside.
    #[cold]
    fn fill_escaped(&mut self, text: &[u8], columns: &mut Columns) {
        let mut unescaped = std::mem::take(&mut self.unescaped);
        unescaped.clear();
        undo_default(text, &mut unescaped);
        let whole = columns.put_aside(|aside| aside.extend_from_slice(&unescaped));
        self.fill_any(&unescaped, Text::Aside(whole), columns);
        self.unescaped = unescaped;
    }

    #[inline]
    fn fill_usual(&mut self, usual: &Usual, block: &[u8], start: usize, columns: &mut Columns) {
        let span = |range: &Range<usize>| Span::in_block(start + range.start, start + range.end);
        for (field, part) in &self.parts {
            let made = match part {
                Part::Method => span(&usual.method),
                Part::Target => span(&usual.target),
                Part::Protocol => span(&usual.protocol),
                Part::Path if usual.is_path_normal() => span(&usual.path),
                Part::Path => path(&block[start..], usual.path.clone(), Text::InBlock(start), columns),
                Part::Args if usual.args.is_empty() => Span::ABSENT,
                Part::Args | Part::Arg(_) => span(&usual.args),
            };
            columns.fields[*field].push(made);
        }
        if self.args.is_empty() {
            return;
        }
        if self.few.len() == self.names.len() && usual.finds_few(&block[start..]) {
            usual.find_few(&block[start..], &self.few, &mut self.found);
        } else {
            self.names.find(&block[start..], usual.args.clone(), &mut self.found);
        }
        for (field, number) in &self.args {
            let found = self.found[*number];
            let range = found.0..found.1;
            let made = match found {
                NOT_FOUND => Span::ABSENT,
                _ if !usual.is_encoded(&range) => span(&range),
                _ => columns.put_aside(|aside| request::decode(&block[start..][range], aside)),
            };
            columns.fields[*field].push(made);
        }
    }

    /// As the reference does it; `text` has no escapes.
    #[cold]
    fn fill_any(&mut self, text: &[u8], place: Text, columns: &mut Columns) {
        let parts = match self.kind {
            Kind::Request => Parts::of_request(text),
            Kind::Target => Parts::of_target(text),
            Kind::Args => Parts::of_args(text),
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
                Some(range) if *part == Part::Path => path(text, range, place, columns),
                Some(range) => place.span(range),
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
                (start, end) => argument(text, start..end, place, columns),
            };
            columns.fields[*field].push(made);
        }
    }
}

/// Where a text stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text {
    /// There in the block.
    InBlock(usize),
    /// There beside it.
    Aside(Span),
}

impl Text {
    /// The span of a part of it.
    fn span(self, range: Range<usize>) -> Span {
        match self {
            Self::InBlock(start) => Span::in_block(start + range.start, start + range.end),
            Self::Aside(whole) => whole.part(range),
        }
    }
}

/// An argument's value with its percent-encoding undone; `text` stands at `place`.
pub(super) fn argument(text: &[u8], range: Range<usize>, place: Text, columns: &mut Columns) -> Span {
    let value = &text[range.clone()];
    if request::is_encoded(value) {
        columns.put_aside(|aside| request::decode(value, aside))
    } else {
        place.span(range)
    }
}

/// A path as `$uri` has it; `text` stands at `place`.
#[cold]
fn path(text: &[u8], range: Range<usize>, place: Text, columns: &mut Columns) -> Span {
    let path = &text[range.clone()];
    if request::is_normal(path) {
        return place.span(range);
    }
    let mut is_path = false;
    let made = columns.put_aside(|aside| is_path = request::normalise(path, aside).is_some());
    if is_path { made } else { Span::ABSENT }
}

/// A request as nearly all are: `GET /path?query HTTP/1.1`, with one blank before and behind the target, which
/// begins with a slash and has no `#`. The ranges are those of [`Parts`], but for arguments that are not there:
/// these are an empty range.
struct Usual {
    method: Range<usize>,
    target: Range<usize>,
    path: Range<usize>,
    args: Range<usize>,
    protocol: Range<usize>,
    masks: RequestMasks<u128>,
    /// Whether anything in the target may be encoded.
    some_encoded: bool,
}

impl Usual {
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

    #[inline(always)]
    fn target(block: &[u8], start: usize, end: usize, masks: Masks) -> Option<Self> {
        let text = block.get(start..end)?;
        text.starts_with(b"/").then_some(())?;
        Self::new(block.get(start..)?, masks, text.len(), 0..0, 0..text.len())
    }

    /// Of what is in the first `len` bytes of `text`.
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
        // Only these bytes are looked at, though the masks are of more.
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
            some_encoded: masks.encoded & in_target != 0,
            masks,
        })
    }

    fn is_encoded(&self, range: &Range<usize>) -> bool {
        self.some_encoded && self.masks.encoded & bits(range) != 0
    }

    /// Whether it is sure that nginx leaves the path as it is.
    #[inline]
    fn is_path_normal(&self) -> bool {
        let behind_slash = self.masks.slash << 1;
        let odd = self.masks.encoded | (behind_slash & (self.masks.slash | self.masks.point));
        odd & bits(&self.path) == 0
    }

    /// Whether eight bytes can be loaded from wherever an argument begins, and there is a bit for each byte.
    #[inline]
    fn finds_few(&self, text: &[u8]) -> bool {
        self.args.len() <= 64 && self.args.end + 8 <= text.len()
    }

    /// Finds the first argument of each name; `text` begins with the request.
    #[inline]
    fn find_few(&self, text: &[u8], names: &[ArgName], found: &mut Vec<(usize, usize)>) {
        found.clear();
        found.resize(names.len(), NOT_FOUND);
        let Range { start: first, end: last } = self.args;
        if first == last {
            return;
        }
        work::examine(last - first);
        let mut ends = (self.masks.ampersand >> first) as u64 & (u64::MAX >> (64 - (last - first)));
        let (mut start, mut sought) = (first, names.len());
        // An empty argument at the end need not be looked at.
        while start < last && sought > 0 {
            let end = if ends == 0 { last } else { first + ends.trailing_zeros() as usize };
            ends &= ends.wrapping_sub(1);
            work::examine(names.len());
            let word = text[start..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            for (name, found) in names.iter().zip(&mut *found) {
                // Behind the arguments there may be anything, a `=` too.
                if name.begins(word) && start + name.len < end && *found == NOT_FOUND {
                    *found = (start + name.len + 1, end);
                    sought -= 1;
                }
            }
            start = end + 1;
        }
    }
}

/// The masks of a text of which the first `len` bytes count, 128 of them at most.
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

/// The bits of a range within 128.
#[inline]
fn bits(range: &Range<usize>) -> u128 {
    if range.start >= range.end {
        return 0;
    }
    (u128::MAX >> (128 - (range.end - range.start))) << range.start
}
