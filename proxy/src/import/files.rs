//! Where the text of a configuration comes from, and which files an `include` means.
//!
//! Owns the pattern matching. What the files say is `tree`'s concern.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Larger than any real file; keeps an `include` of a log or a disk image from being read into memory.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A place that holds files. The importer reads nothing but what this gives.
pub trait Files {
    /// # Errors
    /// When there is no such file, or it cannot be read.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The names of what is in a folder; none if there is no such folder.
    fn names(&self, folder: &Path) -> Vec<String>;
}

/// This machine's files.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other(format!(
                "it is longer than {FILE_BYTES_MAX} bytes"
            )));
        }
        // nginx reads bytes; what is not UTF-8 is nearly always in a comment.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect()
    }
}

/// Whether the path is a pattern, as nginx decides it.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The files that a pattern means, in `glob`'s order.
pub(super) fn matching(files: &impl Files, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !is_pattern(&text) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        found = found
            .iter()
            .flat_map(|folder| {
                let mut names = files.names(folder);
                names.sort();
                names.retain(|name| matches(text.as_bytes(), name.as_bytes()));
                names.into_iter().map(|name| folder.join(name))
            })
            .collect();
    }
    found
}

/// `glob(7)` for one name: `*`, `?`, `[abc]`, `[a-z]`, `[!a]`. A dot at the beginning is only met by a dot.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut at, mut of) = (0, 0);
    // Where to go on when the last `*` has to take one byte more.
    let mut retry = None;
    while of < name.len() {
        let step = match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, of));
                at += 1;
                continue;
            }
            Some(_) => one(&pattern[at..], name[of]),
            None => None,
        };
        match (step, retry) {
            (Some(length), _) => {
                at += length;
                of += 1;
            }
            (None, Some((behind_star, from))) => {
                retry = Some((behind_star, from + 1));
                at = behind_star;
                of = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The length of the pattern's first element if it matches the byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            // A `]` directly behind the bracket is a member.
            let skip = 1 + usize::from(matches!(class.first(), Some(b'!' | b'^')));
            let end = class.iter().skip(skip).position(|b| *b == b']');
            let Some(end) = end.map(|end| end + skip) else {
                return (byte == b'[').then_some(1);
            };
            let (is_negated, members) = match &class[..end] {
                [b'!' | b'^', members @ ..] => (true, members),
                members => (false, members),
            };
            (in_class(members, byte) != is_negated).then_some(end + 2)
        }
        [b'\\', plain, ..] => (*plain == byte).then_some(2),
        [plain, ..] => (*plain == byte).then_some(1),
        [] => None,
    }
}

fn in_class(mut members: &[u8], byte: u8) -> bool {
    loop {
        match members {
            [from, b'-', to, rest @ ..] => {
                if (*from..=*to).contains(&byte) {
                    return true;
                }
                members = rest;
            }
            [member, rest @ ..] => {
                if *member == byte {
                    return true;
                }
                members = rest;
            }
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, met: &[&str], missed: &[&str]) {
        for name in met {
            assert!(
                matches(pattern.as_bytes(), name.as_bytes()),
                "{pattern} {name}"
            );
        }
        for name in missed {
            assert!(
                !matches(pattern.as_bytes(), name.as_bytes()),
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn patterns_are_those_of_the_shell() {
        check(
            "*.conf",
            &["a.conf", "a.b.conf"],
            &[".conf", "a.conf~", "aconf"],
        );
        check("*", &["a"], &[".hidden"]);
        check("a*b*c", &["abc", "axxbxxc", "abbcc"], &["ab", "acb"]);
        check("?[0-9x]", &["a0", "bx"], &["a", "aa", "a00"]);
        check("[!a]b", &["bb"], &["ab"]);
        check("[]]", &["]"], &["["]);
        check("[", &["["], &["a"]);
    }

    proptest! {
        #[test]
        fn no_pattern_panics_and_a_star_meets_all(pattern in "[ab*?\\[\\]!\\\\-]{0,12}", name in "[ab\\[\\]-]{0,12}") {
            matches(pattern.as_bytes(), name.as_bytes());
            prop_assert!(matches(b"*", name.as_bytes()));
        }
    }
}
