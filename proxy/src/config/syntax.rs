//! Turns the TOML parser's errors into problems that say which setting they hit and what to write.
//!
//! The parser carries on after an error, so that one missing quote does not hide the mistakes below it. Its commonest
//! messages are known here by their beginning and put into a person's words; the others pass as they are.

use toml::de::{DeArray, DeTable, DeValue, Error};

use super::problem::{PROBLEMS_MAX, Report};
use super::table::join;

pub(super) fn report(text: &str, tree: &DeTable<'_>, errors: &[Error], report: &Report) {
    let mut errors: Vec<(usize, &Error)> = errors
        .iter()
        .map(|error| (error.span().map_or(0, |span| span.start), error))
        .collect();
    errors.sort_by_key(|(offset, _)| *offset);

    let torn = torn_at(text, &errors);
    if let Some((offset, _)) = errors.get(PROBLEMS_MAX) {
        report.cut_from(*offset);
    }
    let mut last_key = None;
    for (index, (offset, error)) in errors.into_iter().enumerate() {
        // Looking for the key takes time; what is beyond the limit is only counted.
        let key = if index < PROBLEMS_MAX {
            path_at(tree, offset)
        } else {
            None
        };
        let key = key.unwrap_or_else(|| "syntax".to_owned());
        let is_secret = key.ends_with(".keys");
        if let Some(torn) = torn.filter(|torn| offset >= *torn) {
            // A mistake that was told in the same value, such as a missing quote, is why its bracket seems open.
            if last_key != Some(key.clone()) {
                let message = "a bracket that was opened before this is not closed; close it first";
                report.syntax(offset, &key, message);
            }
            report.cut_from(torn);
            return;
        }
        last_key = Some(key.clone());
        report.syntax(offset, &key, explain(text, error, is_secret));
    }
}

/// Where the file's structure is lost: what follows an unclosed bracket is read as its content, which is one mistake
/// and not one per line. Its first sign is a line that makes no sense inside brackets, else the end of the file.
fn torn_at(text: &str, errors: &[(usize, &Error)]) -> Option<usize> {
    let is_unclosed = |error: &Error| error.message().starts_with("unclosed");
    errors.iter().find(|(_, error)| is_unclosed(error))?;
    let line_start = |offset: usize| {
        let before = text.get(..offset).unwrap_or_default();
        before.rfind('\n').map_or(0, |newline| newline + 1)
    };
    let is_sign = |offset: usize, error: &Error| {
        let begins_its_line = text
            .get(line_start(offset)..offset)
            .is_some_and(|t| t.trim().is_empty());
        is_unclosed(error)
            || error.message().contains("` in ")
            || error.message().starts_with("missing comma") && begins_its_line
    };
    let (sign, _) = errors
        .iter()
        .find(|(offset, error)| is_sign(*offset, error))?;
    Some(line_start(*sign))
}

/// What may be a signing key is not quoted: problems end in logs.
fn explain(text: &str, error: &Error, is_secret: bool) -> String {
    let span = error.span().unwrap_or_default();
    let before = text.get(..span.start).unwrap_or_default();
    let found = text.get(span).unwrap_or_default();
    if found.is_empty() && before.trim_end_matches([' ', '\t']).ends_with('=') {
        return "has no value; write one after the =".to_owned();
    }
    match error.message() {
        "duplicate key" => format!("{found} stands here a second time; keep one of the two"),
        message if message.starts_with("string values must be quoted") && is_secret => {
            "a key is a text; write it in quotes".to_owned()
        }
        message if message.starts_with("string values must be quoted") => {
            format!("{found} is not a TOML value; write \"{found}\" if it is text or has a unit")
        }
        message
            if message.ends_with("string, expected `\"`")
                || message.ends_with("string, expected `'`") =>
        {
            "a text does not end on its line; write the closing quote".to_owned()
        }
        message if message.starts_with("key with no value") => {
            "a key without a value; write it as key = value".to_owned()
        }
        message if message.starts_with("invalid unquoted key") => {
            "this cannot stand in a key; write the line as key = value".to_owned()
        }
        message if message.starts_with("unexpected key or value") => {
            "there is more behind the value; begin a new line, or a comment with #".to_owned()
        }
        message if message.starts_with("missing comma") => {
            "two items of a list stand side by side; write a comma between them".to_owned()
        }
        message => match message.split_once(", expected ") {
            Some((what, expected)) => format!("not valid TOML: {what}; expected {expected}"),
            None => format!("not valid TOML: {message}; see https://toml.io/en/v1.0.0"),
        },
    }
}

/// The deepest key whose value reaches over `offset`.
fn path_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let key = join("", key.get_ref());
        let span = value.span();
        match value.get_ref() {
            DeValue::Table(inner) => path_at(inner, offset).map(|path| format!("{key}.{path}")),
            DeValue::Array(items) => path_in_items(items, offset).map(|path| key.clone() + &path),
            _ => None,
        }
        .or_else(|| {
            let reaches = !value.get_ref().is_table() && (span.start..=span.end).contains(&offset);
            reaches.then_some(key)
        })
    })
}

fn path_in_items(items: &DeArray<'_>, offset: usize) -> Option<String> {
    items.iter().enumerate().find_map(|(index, item)| {
        let path = path_at(item.get_ref().as_table()?, offset)?;
        Some(format!("[{index}].{path}"))
    })
}
