//! Starts a source of several logs, and continues it after a restart.
//!
//! A position names the log of each of its files. So each log is resumed as a source of its own would be, with its part of
//! every position.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    path::Path,
    sync::Arc,
    time::Instant,
};

use rustix::process::{Resource, getrlimit};

use super::{Logs, discover::Found};
use crate::{
    position::{FileMark, Frontier, Inventory, InventoryChange, KnownFile},
    tail::{
        catalog::Catalog,
        error::TailError,
        globs::Glob,
        numbers::Numbers,
        options::{Begin, OnGone, TailOptions},
        tailer::{Tailer, Wanted},
        view::OpenFiles,
    },
};

/// The descriptors that are left to the rest of the process, unless these are more than half of all.
const RESERVED: u64 = 256;

impl Logs {
    /// Continues after `frontiers`, or starts a new source if there is nothing to continue: see [`Tailer::resume`].
    ///
    /// Logs that the state does not know have appeared since, and are read from their start. A new source begins in each log
    /// where [`TailOptions::begin`] says.
    ///
    /// # Errors
    ///
    /// Those of [`Tailer::resume`], [`TailError::Unclear`], [`TailError::Unmatched`] and [`TailError::TooManyLogs`].
    pub fn resume(
        options: TailOptions,
        frontiers: &[Frontier],
        inventory: Option<&Inventory>,
        now: Instant,
    ) -> Result<Self, TailError> {
        // A path that is no pattern is refused when the pipeline is built.
        let glob =
            if options.is_literal { None } else { Glob::parse(&options.path).ok().flatten().map(Arc::new) };
        let Some(glob) = glob else {
            let path: Arc<str> = options.path.to_string_lossy().into();
            let tailer = Tailer::resume(options.clone(), frontiers, inventory, now)?;
            let mut logs = Self::new(options, None, Numbers::new(1, 1), now);
            logs.add(path, tailer);
            return Ok(logs);
        };
        let wanted = Wanted::merge(frontiers)?;
        let is_new = wanted.is_empty() && inventory.is_none();
        let marks = frontiers.iter().flat_map(|frontier| &frontier.files);
        let last = marks.max_by_key(|mark| mark.number).cloned();
        let number = last.as_ref().map_or(0, |mark| mark.number) + 1;
        let id =
            inventory.iter().flat_map(|inventory| inventory.files()).map(|file| file.id).max().unwrap_or(0)
                + 1;
        let mut logs = Self::new(options, Some(Arc::clone(&glob)), Numbers::new(number, id), now);
        let found = logs.find_logs(&glob)?;
        if is_new {
            logs.start(&glob, &found)?;
        } else {
            let state = State::new(&glob, wanted, inventory)?;
            logs.go_on(&glob, found, state, last)?;
        }
        logs.share_descriptors();
        Ok(logs)
    }

    /// Makes one without logs.
    fn new(options: TailOptions, glob: Option<Arc<Glob>>, numbers: Numbers, now: Instant) -> Self {
        Self {
            open_max: descriptors(),
            options,
            glob,
            numbers,
            open: Arc::new(OpenFiles::default()),
            logs: Vec::new(),
            by_path: HashMap::new(),
            ready: VecDeque::new(),
            directories: Vec::new(),
            discover_due: now,
            discover_rest: now,
            forgotten: Vec::new(),
            change: InventoryChange::default(),
            kept: None,
            complained: HashSet::new(),
            events: Vec::new(),
            wake: None,
            now,
        }
    }

    /// Returns an error if there are more logs than files may be open.
    fn check_room(&self, logs: usize) -> Result<(), TailError> {
        match self.logs_max() {
            most if logs > most => {
                Err(TailError::TooManyLogs { path: self.options.path.clone(), logs, most })
            }
            _ => Ok(()),
        }
    }

    /// Starts a new source.
    fn start(&mut self, glob: &Arc<Glob>, found: &BTreeMap<Arc<str>, Found>) -> Result<(), TailError> {
        self.check_room(found.len())?;
        for (path, found) in found {
            // Its lines would be older than the source if it is a rotated file, and new ones if it is a log.
            if let Some(unclear) = found.unclear.clone().filter(|_| !found.is_live)
                && self.options.begin != Begin::Oldest
            {
                return Err(TailError::Unclear { path: unclear, log: path.to_string() });
            }
            let options = self.options_of(glob, path);
            let catalog = Catalog::default().with_ids_of(&self.numbers);
            let tailer = Tailer::start_with(options, catalog, self.numbers.clone(), self.now)?;
            self.add(Arc::clone(path), tailer);
        }
        Ok(())
    }

    /// Continues a source.
    fn go_on(
        &mut self,
        glob: &Arc<Glob>,
        found: BTreeMap<Arc<str>, Found>,
        mut state: State,
        last: Option<FileMark>,
    ) -> Result<(), TailError> {
        let mut paths: BTreeSet<Arc<str>> = found.into_keys().collect();
        let unmatched: Vec<_> =
            state.wanted.extract_if(.., |path, _| !paths.contains(path) && !glob.may_match(path)).collect();
        for (log, wanted) in unmatched {
            if self.options.on_gone == OnGone::Stop {
                return Err(TailError::Unmatched { log: log.to_string(), path: self.options.path.clone() });
            }
            self.events.extend(wanted.iter().map(Wanted::given_up));
        }
        paths.extend(state.wanted.keys().cloned());
        self.check_room(paths.len())?;
        for path in paths {
            let catalog = state.has_inventory.then(|| {
                Catalog::of(state.known.remove(&path).unwrap_or_default()).with_ids_of(&self.numbers)
            });
            let wanted = state.wanted.remove(&path).unwrap_or_default();
            let options = self.options_of(glob, &path);
            let tailer = Tailer::resume_with(options, wanted, catalog, self.numbers.clone(), self.now)?;
            self.add(path, tailer);
        }
        self.forgotten = state.known.into_values().flatten().collect();
        self.forgotten.sort_by_key(|file| file.id);
        self.bound_forgotten();
        let is_listed = |last: &FileMark| self.logs.iter().any(|log| log.tailer.last_number() == last.number);
        self.kept = last.filter(|last| !is_listed(last));
        Ok(())
    }
}

/// The state of a source, by log.
struct State {
    wanted: BTreeMap<Arc<str>, Vec<Wanted>>,
    known: BTreeMap<Arc<str>, Vec<Arc<KnownFile>>>,
    has_inventory: bool,
}

impl State {
    /// Groups what is known by log.
    fn new(glob: &Glob, wanted: Vec<Wanted>, inventory: Option<&Inventory>) -> Result<Self, TailError> {
        let mut state =
            Self { wanted: BTreeMap::new(), known: BTreeMap::new(), has_inventory: inventory.is_some() };
        for wanted in wanted {
            let log = log_of(glob, wanted.latest().log.as_ref(), &wanted.latest().path);
            state.wanted.entry(log).or_default().push(wanted);
        }
        for file in inventory.iter().flat_map(|inventory| inventory.files()) {
            let log = log_of(glob, file.log.as_ref(), &file.path);
            state.known.entry(log).or_default().push(Arc::clone(file));
        }
        Ok(state)
    }
}

/// Returns the log of a file. If the source was a single log before, that follows from the last path of the file.
fn log_of(glob: &Glob, log: Option<&Arc<str>>, path: &str) -> Arc<str> {
    if let Some(log) = log {
        return Arc::clone(log);
    }
    let path = Path::new(path);
    let owner = path.file_name().and_then(|name| name.to_str()).and_then(|name| glob.owner(name));
    owner.map_or(path.to_path_buf(), |owner| path.with_file_name(owner)).to_string_lossy().into()
}

/// Returns the number of files that the logs may have open together.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit - RESERVED.min(limit / 2)).unwrap_or(usize::MAX)
}
