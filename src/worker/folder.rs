//! A folder and its subfolders, watched through inotify. What counts is that something changed and that it is quiet since;
//! what changed is for the owner of the folder to find out.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};

/// A change is reported when there was none for this long.
const QUIET: Duration = Duration::from_millis(200);
/// It is reported after this long even when there is no quiet.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look for a folder that is not there.
const LOOK: Duration = Duration::from_secs(1);
/// How often to look whether the path still leads to the folder that is watched: a rename above it makes no event.
const REVIEW: Duration = Duration::from_secs(10);

/// One folder. It may come into being, go, and come again.
pub struct Folder {
    path: PathBuf,
    watch: Option<Watch>,
    noise: Option<Noise>,
    next_look: Instant,
    /// Why there is no watch, and whether that was told.
    problem: Option<(String, bool)>,
}

struct Watch {
    inotify: Inotify,
    root: WatchDescriptor,
    /// Device and inode of the watched folder.
    identity: (u64, u64),
}

struct Noise {
    first: Instant,
    last: Instant,
}

impl Folder {
    /// Begins to watch; a folder that is there counts as changed, so that its owner looks at it once.
    pub fn new(path: PathBuf) -> Self {
        let mut folder = Self { path, watch: None, noise: None, next_look: Instant::now(), problem: None };
        folder.look();
        folder
    }

    /// Why the folder cannot be watched; once for each reason.
    pub fn take_problem(&mut self) -> Option<String> {
        let (problem, is_told) = self.problem.as_mut()?;
        (!std::mem::replace(is_told, true)).then(|| problem.clone())
    }

    /// What to wait on; none while the folder is not there.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: inotify owns the descriptor, and the borrow of self keeps it open.
        self.watch.as_ref().map(|watch| unsafe { BorrowedFd::borrow_raw(watch.inotify.as_raw_fd()) })
    }

    /// When to call [`Self::take_change`] again, if the descriptor does not become readable before.
    pub fn next(&self) -> Instant {
        self.noise.as_ref().map_or(self.next_look, |noise| noise.due().min(self.next_look))
    }

    /// Whether the folder has changed and is quiet now. Resets the change.
    pub fn take_change(&mut self) -> bool {
        let now = Instant::now();
        if self.drain(now).is_err() {
            self.watch = None;
            self.next_look = now;
        }
        if now >= self.next_look {
            self.look();
        }
        let is_due = self.watch.is_some() && self.noise.as_ref().is_some_and(|noise| now >= noise.due());
        if is_due {
            self.noise = None;
        }
        is_due
    }

    /// Reads what inotify has to say.
    fn drain(&mut self, now: Instant) -> io::Result<()> {
        let Some(watch) = &mut self.watch else { return Ok(()) };
        let (mut is_changed, mut is_lost, mut has_new_folder) = (false, false, false);
        let mut buffer = [0; 16 * 1024];
        loop {
            let events = match watch.inotify.read_events(&mut buffer) {
                Ok(events) => events,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            for event in events {
                let is_root = event.wd == watch.root;
                let is_gone = EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::IGNORED | EventMask::UNMOUNT;
                is_lost |= is_root && event.mask.intersects(is_gone);
                has_new_folder |= event.mask.contains(EventMask::ISDIR);
                is_changed |= !event.mask.intersects(is_gone);
                // After an overflow some events are missing: of new folders too.
                has_new_folder |= event.mask.contains(EventMask::Q_OVERFLOW);
            }
        }
        if is_lost {
            return Err(io::ErrorKind::NotFound.into());
        }
        if has_new_folder {
            watch.add_subfolders(&self.path);
        }
        if is_changed {
            self.noise = Some(Noise { first: self.noise.as_ref().map_or(now, |noise| noise.first), last: now });
        }
        Ok(())
    }

    /// Takes hold of the folder, if it is there and not the one that is watched.
    fn look(&mut self) {
        let now = Instant::now();
        let found = std::fs::metadata(&self.path).and_then(|folder| {
            let identity = (folder.dev(), folder.ino());
            match self.watch.take() {
                Some(watch) if watch.identity == identity => Ok((watch, false)),
                _ => Ok((Watch::new(&self.path, identity)?, true)),
            }
        });
        match found {
            Ok((watch, is_new)) => {
                (self.watch, self.problem, self.next_look) = (Some(watch), None, now + REVIEW);
                if is_new {
                    self.noise = Some(Noise { first: now, last: now });
                }
            }
            Err(error) => {
                let problem = format!("could not watch folder \"{}\": {error}", self.path.display());
                let is_told = self.problem.as_ref().is_some_and(|(old, is_told)| *old == problem && *is_told);
                (self.watch, self.problem, self.next_look) = (None, Some((problem, is_told)), now + LOOK);
            }
        }
    }
}

impl Watch {
    fn new(path: &Path, identity: (u64, u64)) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let root = inotify.watches().add(path, mask() | WatchMask::ONLYDIR)?;
        let mut watch = Self { inotify, root, identity };
        watch.add_subfolders(path);
        Ok(watch)
    }

    /// Adds the folders in `path`; those that are watched already stay so. One that cannot be watched is left out: it may
    /// have gone again.
    fn add_subfolders(&mut self, path: &Path) {
        let Ok(entries) = std::fs::read_dir(path) else { return };
        for entry in entries.flatten() {
            let _ = self.inotify.watches().add(entry.path(), mask() | WatchMask::ONLYDIR);
        }
    }
}

impl Noise {
    fn due(&self) -> Instant {
        (self.last + QUIET).min(self.first + PATIENCE)
    }
}

fn mask() -> WatchMask {
    WatchMask::CLOSE_WRITE
        | WatchMask::MODIFY
        | WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::MOVE
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
}
