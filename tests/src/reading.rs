//! Requests as servers of many kinds would read them off a connection, some of them far too kindly.
//!
//! What a proxy sends has to mean the same to all of them: then nothing can be smuggled past it.

/// One request that somebody read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// `METHOD TARGET`.
    pub asked: String,
    /// The body ended, as far as this reader knows.
    pub is_whole: bool,
}

/// How a server reads what the standard forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// By the book.
    Strict,
    PrefersLength,
    PrefersCoding,
    /// A line feed alone ends a line.
    BareFeeds,
    /// A carriage return alone ends a line.
    BareReturns,
    /// A line that begins with a blank goes on with the one before.
    Folds,
    /// `Transfer_Encoding`, `Content Length`, names with blanks or control bytes around.
    SloppyNames,
    /// Any value that contains `chunked`.
    SloppyCoding,
    /// Lengths and sizes as C's `strtol` with base 0 reads them: blanks, signs, `0x`, octal, and an end anywhere.
    SloppyNumbers,
    /// Of several lengths the last one; others take the first.
    LastLength,
    /// Takes a chunk's size up to the first line feed, quoted or not.
    SloppyExtensions,
    /// Knows no trailer fields: a body ends with `0` and two line ends.
    NoTrailers,
}

impl Reader {
    pub const ALL: [Self; 12] = [
        Self::Strict,
        Self::PrefersLength,
        Self::PrefersCoding,
        Self::BareFeeds,
        Self::BareReturns,
        Self::Folds,
        Self::SloppyNames,
        Self::SloppyCoding,
        Self::SloppyNumbers,
        Self::LastLength,
        Self::SloppyExtensions,
        Self::NoTrailers,
    ];

    /// All requests in the bytes of one connection.
    #[must_use]
    pub fn all(self, mut bytes: &[u8]) -> Vec<Read> {
        let mut all = Vec::new();
        while let Some((read, used)) = self.next(bytes) {
            let is_whole = read.is_whole;
            all.push(read);
            if !is_whole {
                break;
            }
            bytes = &bytes[used..];
        }
        all
    }

    /// The first request and its length in bytes, if its head is there.
    #[must_use]
    pub fn next(self, bytes: &[u8]) -> Option<(Read, usize)> {
        let mut at = 0;
        let mut lines: Vec<Vec<u8>> = Vec::new();
        loop {
            let (line, used) = self.line(&bytes[at..])?;
            at += used;
            let is_fold = self == Self::Folds && matches!(line.first(), Some(b' ' | b'\t'));
            match lines.last_mut() {
                None if line.is_empty() => {}
                Some(last) if is_fold => last.extend_from_slice(&line),
                Some(_) if line.is_empty() => break,
                _ => lines.push(line),
            }
        }
        let asked = String::from_utf8_lossy(&lines[0]).into_owned();
        let asked = asked.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let (length, is_chunked) = self.framing(&lines[1..]);
        let body = &bytes[at..];
        let end = if is_chunked {
            self.chunks_end(body)
        } else {
            usize::try_from(length)
                .ok()
                .filter(|length| *length <= body.len())
        };
        let read = Read {
            asked,
            is_whole: end.is_some(),
        };
        Some((read, at + end.unwrap_or(body.len())))
    }

    /// The first line without its end, and its length with it.
    fn line(self, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        let is_end = |rest: &[u8]| match rest {
            [b'\r', b'\n', ..] => Some(2),
            [b'\n', ..] if self == Self::BareFeeds => Some(1),
            [b'\r', ..] if self == Self::BareReturns => Some(1),
            _ => None,
        };
        (0..bytes.len())
            .find_map(|at| is_end(&bytes[at..]).map(|end| (bytes[..at].to_vec(), at + end)))
    }

    fn framing(self, fields: &[Vec<u8>]) -> (u64, bool) {
        let (mut lengths, mut is_chunked) = (Vec::new(), false);
        for field in fields {
            let text = field
                .iter()
                .map(|byte| char::from(*byte))
                .collect::<String>();
            let Some((name, value)) = text.split_once(':') else {
                continue;
            };
            let name = self.name(name);
            let value = value.trim_matches([' ', '\t']).to_ascii_lowercase();
            if name == "content-length" {
                lengths.push(self.number(&value, 10).unwrap_or(0));
            } else if name == "transfer-encoding" {
                is_chunked |=
                    value == "chunked" || (self == Self::SloppyCoding && value.contains("chunked"));
            }
        }
        let length = match self {
            Self::LastLength => lengths.last(),
            _ => lengths.first(),
        };
        if self == Self::PrefersLength && length.is_some() {
            is_chunked = false;
        }
        (length.copied().unwrap_or(0), is_chunked)
    }

    fn name(self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        if self != Self::SloppyNames {
            return name;
        }
        let is_noise = |byte: char| byte.is_control() || byte == ' ' || !byte.is_ascii();
        name.trim_matches(is_noise).replace(['_', ' ', '\t'], "-")
    }

    fn number(self, text: &str, base: u32) -> Option<u64> {
        if self != Self::SloppyNumbers {
            let is_number = !text.is_empty() && text.chars().all(|digit| digit.is_digit(base));
            return is_number
                .then(|| u64::from_str_radix(text, base).ok())
                .flatten();
        }
        let text = text.trim_start_matches([' ', '\t', '+', '-']);
        let (text, base) = match text.strip_prefix("0x") {
            Some(hex) => (hex, 16),
            None if base == 10 && text.len() > 1 && text.starts_with('0') => (text, 8),
            None => (text, base),
        };
        let end = text
            .find(|digit: char| !digit.is_digit(base))
            .unwrap_or(text.len());
        u64::from_str_radix(&text[..end], base).ok()
    }

    /// Where a chunked body ends, if it is all there.
    fn chunks_end(self, body: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = body.get(at..)?;
            let (line, used) = if self == Self::SloppyExtensions {
                let feed = rest.iter().position(|byte| *byte == b'\n')?;
                (rest[..feed].to_vec(), feed + 1)
            } else {
                self.line(rest)?
            };
            let text = line
                .iter()
                .map(|byte| char::from(*byte))
                .collect::<String>();
            let size = text
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            at += used;
            match self.number(&size, 16)? {
                0 => break,
                size => at += usize::try_from(size).ok()? + 2,
            }
        }
        if self == Self::NoTrailers {
            return (body.len() >= at + 2).then_some(at + 2);
        }
        loop {
            let (line, used) = self.line(body.get(at..)?)?;
            at += used;
            if line.is_empty() {
                return Some(at);
            }
        }
    }
}
