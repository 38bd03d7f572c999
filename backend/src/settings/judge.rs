//! Takes one value at a time through its parser, and notes what is wrong and where.

use std::time::Duration;

use super::file::Key;
use super::problem::{Problem, place};
use super::units::{parse_duration, parse_size};

/// Collects problems while values are read.
pub(super) struct Judge<'a> {
    /// The file's name; empty when there is none.
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    pub(super) problems: Vec<Problem>,
}

impl Judge<'_> {
    /// A value of the file, through its parser; a problem is noted at the value's place.
    pub(super) fn file<T, U>(
        &mut self,
        key: &str,
        value: Key<T>,
        parse: impl FnOnce(T) -> Result<U, String>,
    ) -> Option<U> {
        let value = value?;
        let place = place(self.name, self.text, &value.span());
        match parse(value.into_inner()) {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                self.problem(place, &format!("{key}: {message}"));
                None
            }
        }
    }

    /// What a flag or variable says instead. An empty variable counts as unset, as shells and compose files write it.
    pub(super) fn over<U>(
        &mut self,
        place: &str,
        given: &Option<String>,
        below: Option<U>,
        parse: impl FnOnce(&str) -> Result<U, String>,
    ) -> Option<U> {
        let Some(given) = given.as_deref().filter(|text| !text.is_empty()) else {
            return below;
        };
        match parse(given) {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                self.problem(place.to_owned(), &message);
                None
            }
        }
    }

    pub(super) fn time(&mut self, key: &str, value: Key<String>, default: Duration) -> Duration {
        self.file(key, value, |text| match parse_duration(&text)? {
            Duration::ZERO => Err("must be longer than 0".to_owned()),
            duration => Ok(duration),
        })
        .unwrap_or(default)
    }

    pub(super) fn size(&mut self, key: &str, value: Key<String>, default: usize) -> usize {
        self.file(key, value, |text| match parse_size(&text)? {
            0 => Err("must be more than 0".to_owned()),
            bytes => Ok(bytes),
        })
        .unwrap_or(default)
    }

    pub(super) fn count32(&mut self, key: &str, value: Key<u32>, default: u32) -> u32 {
        self.file(key, value, |count| {
            if count == 0 {
                Err("must be at least 1".to_owned())
            } else {
                Ok(count)
            }
        })
        .unwrap_or(default)
    }

    pub(super) fn count(&mut self, key: &str, value: Key<u32>, default: usize) -> usize {
        let default32 = u32::try_from(default).unwrap_or(u32::MAX);
        usize::try_from(self.count32(key, value, default32)).unwrap_or(default)
    }

    pub(super) fn problem(&mut self, place: String, message: &str) {
        self.problems.push(Problem {
            place,
            message: message.to_owned(),
        });
    }

    pub(super) fn whole(&self) -> String {
        if self.name.is_empty() {
            "settings".to_owned()
        } else {
            self.name.to_owned()
        }
    }
}
