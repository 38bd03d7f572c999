//! What whoever tries Berth out may break on purpose. A wish is heard here and carried out by the program `berth`; no other one offers it.

use tokio::sync::broadcast;

/// Wishes that wait to be carried out. Beyond, the oldest are forgotten: whoever wished can wish again.
const WISHES_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// One instance ends, as for a deploy, and begins again.
    Restart { instance: String },
    /// The bus between the instances carries nothing, or carries again.
    Bus { on: bool },
}

/// The way from those who wish to whoever carries it out.
#[derive(Clone, Debug)]
pub struct Trial(broadcast::Sender<Wish>);

impl Default for Trial {
    fn default() -> Self {
        Self(broadcast::Sender::new(WISHES_MAX))
    }
}

impl Trial {
    pub fn wish(&self, wish: Wish) {
        if self.0.send(wish).is_err() {
            tracing::debug!("nobody carries wishes out");
        }
    }

    #[must_use]
    pub fn wishes(&self) -> broadcast::Receiver<Wish> {
        self.0.subscribe()
    }
}
