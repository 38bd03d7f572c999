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

    pub(super) fn nearest(&self, name: &str) -> Option<&'d Directive> {
        self.all(name).first().copied()
    }
}
