//! Where a directive holds: in its own block and in those inside it, unless they have their own.

use super::tree::Directive;

/// The blocks around a `location`, the outermost first.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope<'d> {
    blocks: Vec<&'d [Directive]>,
}

impl<'d> Scope<'d> {
    pub(super) fn within(&self, block: &'d [Directive]) -> Self {
        let mut blocks = self.blocks.clone();
        blocks.push(block);
        Self { blocks }
    }

    /// The directives of that name which hold here: those of the innermost block that has any.
    pub(super) fn all(&self, name: &str) -> Vec<&'d Directive> {
        let mut found = self.blocks.iter().rev().map(|block| {
            let named = block.iter().filter(|directive| directive.name == name);
            named.collect::<Vec<_>>()
        });
        found.find(|named| !named.is_empty()).unwrap_or_default()
    }

    /// The text with the value of each variable that a `set` gives plainly, and those `set`s.
    pub(super) fn with_values(&self, text: &str) -> (String, Vec<&'d Directive>) {
        let (mut known, mut sets) = (text.to_owned(), Vec::new());
        for set in self.blocks.iter().rev().flat_map(|block| block.iter()) {
            let [name, value] = set.words.as_slice() else {
                continue;
            };
            if set.name != "set" || value.contains('$') {
                continue;
            }
            if let Some(replaced) = name
                .strip_prefix('$')
                .and_then(|n| replaced(&known, n, value))
            {
                known = replaced;
                sets.push(set);
            }
        }
        (known, sets)
    }

    pub(super) fn nearest(&self, name: &str) -> Option<&'d Directive> {
        self.all(name).first().copied()
    }
}

/// `text` with `value` for the variable `name`; `None` if it is not in there.
fn replaced(text: &str, name: &str, value: &str) -> Option<String> {
    let braced = format!("${{{name}}}");
    if text.contains(&braced) {
        return Some(text.replace(&braced, value));
    }
    let plain = format!("${name}");
    let at = text.find(&plain)?;
    let behind = text.get(at + plain.len()..).unwrap_or_default();
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if behind.starts_with(goes_on) {
        return None;
    }
    let before = text.get(..at).unwrap_or_default();
    Some(format!("{before}{value}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_by_their_whole_names() {
        let of = |text: &str| replaced(text, "app", "b:1");
        assert_eq!(of("http://$app/x").as_deref(), Some("http://b:1/x"));
        assert_eq!(of("http://${app}x").as_deref(), Some("http://b:1x"));
        assert_eq!(of("http://$apps"), None);
        assert_eq!(of("http://app"), None);
    }
}
