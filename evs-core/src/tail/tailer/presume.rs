//! What a resumed source takes for read if its state does not say which files are known.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use super::Tailer;
use crate::{
    position::{Digest, Standing},
    tail::{error::TailError, event::TailEvent, excerpt::changing, look::Look, names::Name},
};

impl Tailer {
    /// Without an inventory, marks the older files as read.
    ///
    /// These are the files whose names are older than the last one that was found again. If none was found again,
    /// they are the files that were last written before `since`.
    pub(super) fn presume(
        &mut self,
        names: &[Name],
        last: Option<usize>,
        since: Option<i64>,
    ) -> Result<(), TailError> {
        let since = since
            .map(|since| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(since).unwrap_or(0)));
        let live = self.names.live().map(Path::to_owned);
        let is_older = |at: usize, name: &Name| match (last, since) {
            (Some(last), _) => at < last,
            (None, Some(since)) => Some(&name.path) != live.as_ref() && name.stat.modified < since,
            (None, None) => Some(&name.path) != live.as_ref(),
        };
        let mut files = 0;
        for (at, name) in names.iter().enumerate() {
            if name.stat.size == 0 || !is_older(at, name) {
                continue;
            }
            let Some(mut look) = Look::at(&*self.options.fs, &name.path)? else {
                return Err(changing(&name.path));
            };
            // Another file may have the name by now. Taken for this one, it would leave this one to be counted again.
            if look.handle.id() != name.id() {
                return Err(changing(&name.path));
            }
            let head = look.unpack_head().map_or_else(|_| Digest::default(), |()| Digest::of(&look.head));
            let (content, packed) = (look.content(), look.packed());
            let is_unread = match self.classify(look) {
                Ok(class) => class.has_unread_bytes(),
                Err(TailError::Damaged { .. }) => true,
                Err(error) => return Err(error),
            };
            if is_unread {
                self.catalog.add(Standing::Foreign, head, content, packed, &name.path);
                files += 1;
            }
        }
        if files > 0 {
            self.events.push(TailEvent::Presumed { path: self.options.path.clone(), files });
        }
        Ok(())
    }
}
