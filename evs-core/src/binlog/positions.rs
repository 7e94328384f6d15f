//! The numbers of positions in a binlog: see [`Move`].
//!
//! A position with a number is in the state as a whole, with its number: as that of the ledger or of a statistic. So the
//! state has no table of them, and a position goes when nothing stands there any more. A frame has the number alone, and
//! [`BinlogState::resolve`] finds what it stands for.

use std::{collections::BTreeMap, sync::Arc};

use super::{error::Contradiction, state::BinlogState};
use crate::position::{Frontier, Move, is_wide};

impl BinlogState {
    /// Returns all positions that have a number.
    fn numbered(&self) -> impl Iterator<Item = &Arc<Frontier>> {
        let statistics = self.statistics.values().map(|known| &known.to);
        let all = self.moved.iter().chain([&self.ledger.frontier]).chain(statistics);
        all.filter(|frontier| frontier.position.is_some() && !frontier.files.is_empty())
    }

    /// Returns the position with a number.
    fn position(&self, number: u64) -> Result<&Arc<Frontier>, Contradiction> {
        let found = self.numbered().find(|known| known.position == Some(number));
        found.ok_or(Contradiction::UnknownPosition { position: number })
    }

    /// Returns the position that a frame names, with its files.
    pub(super) fn resolve(&self, frontier: &Arc<Frontier>) -> Result<Arc<Frontier>, Contradiction> {
        match frontier.position {
            Some(number) if frontier.files.is_empty() => {
                let known = self.position(number)?;
                if known.older == frontier.older {
                    return Ok(Arc::clone(known));
                }
                Ok(Arc::new(Frontier::clone(known).with_older(frontier.older)))
            }
            _ => Ok(Arc::clone(frontier)),
        }
    }

    /// Applies a move. The position that it makes is known until the end of the commit, and afterwards if something stands
    /// there.
    pub(super) fn make_move(&mut self, to: &Move) -> Result<(), Contradiction> {
        if self.numbered().any(|known| known.position == Some(to.position)) {
            return Err(Contradiction::UnknownPosition { position: to.position });
        }
        let base = to.base.map(|base| self.position(base)).transpose()?;
        let made = Arc::new(to.apply(base.map(|base| &**base)));
        self.moved.push(made);
        Ok(())
    }

    /// Returns a position with its number, if it is one that gets a number, and the move that makes it, if it is new.
    pub(super) fn number(&self, frontier: &Arc<Frontier>) -> (Arc<Frontier>, Option<Move>) {
        // The latest position is the nearest one: it is the ledger's, of this commit or of the last one.
        let base = self.moved.first().unwrap_or(&self.ledger.frontier);
        if let Some(number) = frontier.position.filter(|_| !frontier.files.is_empty()) {
            match self.position(number) {
                Ok(known) if known.files == frontier.files => return (Arc::clone(frontier), None),
                Ok(_) => {}
                Err(_) => return (Arc::clone(frontier), Some(Move::between(Some(base), frontier, number))),
            }
        }
        if !is_wide(frontier) {
            let narrow = Frontier {
                position: frontier.position.filter(|_| frontier.files.is_empty()),
                ..Frontier::clone(frontier)
            };
            return (if narrow == **frontier { Arc::clone(frontier) } else { Arc::new(narrow) }, None);
        }
        let with = |number: Option<u64>| {
            if frontier.position == number {
                return Arc::clone(frontier);
            }
            Arc::new(Frontier { position: number, ..Frontier::clone(frontier) })
        };
        if let Some(known) = self.numbered().find(|known| known.files == frontier.files) {
            return (with(known.position), None);
        }
        let next = self.numbered().filter_map(|known| known.position).max().unwrap_or(0) + 1;
        (with(Some(next)), Some(Move::between(Some(base), frontier, next)))
    }

    /// Returns the state for a snapshot, if there are positions with a number: they are listed in it.
    pub(super) fn with_positions(&self) -> Option<Self> {
        let numbered: BTreeMap<u64, &Arc<Frontier>> =
            self.numbered().filter_map(|known| Some((known.position?, known))).collect();
        let mut base: Option<&Frontier> = None;
        let mut positions = Vec::with_capacity(numbered.len());
        for (number, known) in numbered {
            positions.push(Move::between(base, known, number));
            base = Some(known);
        }
        (!positions.is_empty()).then(|| Self { positions, ..self.clone() })
    }

    /// Returns the state of a snapshot with all its positions.
    pub(super) fn resolved(mut self) -> Result<Self, Contradiction> {
        for to in std::mem::take(&mut self.positions) {
            self.make_move(&to)?;
        }
        self.ledger.frontier = self.resolve(&self.ledger.frontier)?;
        let names: Vec<String> = self.statistics.keys().cloned().collect();
        for name in names {
            let to = self.resolve(&self.statistics[&name].to)?;
            self.known(&name)?.to = to;
        }
        self.moved.clear();
        Ok(self)
    }
}
