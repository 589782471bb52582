//! Watches a folder and everything below it. It reports that something has changed and then been quiet; the caller finds out
//! what.
//!
//! A change is noticed in two ways. inotify reports changes at once, in folders and in the targets of linked files. But the
//! kernel limits the number of watches, and some changes cause no event (network file systems, a rename above the folder). So a
//! scan compares device, inode, size and times of every file from time to time, following links.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};

/// A change is reported once no other has followed for this long.
const QUIET: Duration = Duration::from_millis(200);
/// A change is reported after this long at the latest.
const MAX_DELAY: Duration = Duration::from_secs(2);
/// Interval of scans while the folder does not exist, or is watched incompletely.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// Interval of scans of a folder that is watched completely.
const SCAN_INTERVAL: Duration = Duration::from_secs(10);
/// Scans take at most 1/SCAN_SHARE of the time.
const SCAN_SHARE: u32 = 50;
/// Maximum depth of nested folders.
const MAX_DEPTH: usize = 8;
/// Maximum number of files and folders; changes of further ones are not noticed.
const MAX_ENTRIES: usize = 100_000;

/// A watched folder. It may be created, removed, and created again.
pub struct Folder {
    path: PathBuf,
    watch: Option<Watch>,
    change: Option<Change>,
    next_scan: Instant,
    /// What is not watched and why, and whether that was reported.
    problem: Option<(String, bool)>,
    /// Called now and then during a scan, to check for interrupts.
    poll: fn(),
}

struct Watch {
    /// Device and inode of the folder.
    root: Identity,
    /// None if the kernel's limit of instances is reached.
    inotify: Option<Inotify>,
    /// What is watched.
    descriptors: HashMap<Identity, WatchDescriptor>,
    /// A hash over all entries of the last scan.
    state: u64,
}

type Identity = (u64, u64);

struct Change {
    first: Instant,
    last: Instant,
}

/// The result of a scan.
struct Scan {
    state: u64,
    problem: Option<String>,
}

impl Folder {
    /// Begins to watch. A folder that exists counts as changed, so the caller reads it once. `poll` is called every few
    /// entries to check for interrupts.
    pub fn new(path: PathBuf, poll: fn()) -> Self {
        let mut folder = Self { path, watch: None, change: None, next_scan: Instant::now(), problem: None, poll };
        folder.scan();
        folder
    }

    /// What cannot be watched; each reason is returned once.
    pub fn take_problem(&mut self) -> Option<String> {
        let (problem, is_told) = self.problem.as_mut()?;
        (!std::mem::replace(is_told, true)).then(|| problem.clone())
    }

    /// Whether the folder exists and no change is waiting to be reported.
    pub fn is_quiet(&self) -> bool {
        self.watch.is_some() && self.change.is_none()
    }

    /// The descriptor to wait on; None while the folder does not exist.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let inotify = self.watch.as_ref()?.inotify.as_ref()?;
        // SAFETY: inotify owns the descriptor, and the borrow of self keeps it open.
        Some(unsafe { BorrowedFd::borrow_raw(inotify.as_raw_fd()) })
    }

    /// When to call [`Self::take_change`] again, if the descriptor does not become readable before.
    pub fn next(&self) -> Instant {
        self.change.as_ref().map_or(self.next_scan, |change| change.due().min(self.next_scan))
    }

    /// Whether the folder has changed and is quiet now. Resets the change.
    pub fn take_change(&mut self) -> bool {
        let now = Instant::now();
        if self.drain(now).is_err() {
            self.watch = None;
            self.next_scan = now;
        }
        if now >= self.next_scan {
            self.scan();
        }
        let is_due = self.watch.is_some() && self.change.as_ref().is_some_and(|change| now >= change.due());
        if is_due {
            // New folders are watched before their owner looks into them, so no change falls in between.
            self.scan();
            self.change = None;
        }
        is_due && self.watch.is_some()
    }

    /// Reads pending inotify events.
    fn drain(&mut self, now: Instant) -> io::Result<()> {
        let Some(watch) = &mut self.watch else { return Ok(()) };
        let Some(inotify) = &mut watch.inotify else { return Ok(()) };
        let root = watch.descriptors.get(&watch.root);
        let (mut is_changed, mut is_lost) = (false, false);
        let mut buffer = [0; 16 * 1024];
        loop {
            let events = match inotify.read_events(&mut buffer) {
                Ok(events) => events,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            for event in events {
                let is_gone = EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::IGNORED | EventMask::UNMOUNT;
                is_lost |= root == Some(&event.wd) && event.mask.intersects(is_gone);
                // IGNORED alone only confirms that a watch was removed.
                is_changed |= event.mask != EventMask::IGNORED;
            }
        }
        if is_lost {
            return Err(io::ErrorKind::NotFound.into());
        }
        if is_changed {
            self.note_change(now);
        }
        Ok(())
    }

    fn note_change(&mut self, now: Instant) {
        self.change = Some(Change { first: self.change.as_ref().map_or(now, |change| change.first), last: now });
    }

    /// Scans the folder. Begins a new watch if it is not the same folder as before.
    fn scan(&mut self) {
        let start = Instant::now();
        let found = std::fs::metadata(&self.path).and_then(|folder| {
            let root = (folder.dev(), folder.ino());
            let (mut watch, is_new) = match self.watch.take() {
                Some(watch) if watch.root == root => (watch, false),
                _ => (Watch::new(root), true),
            };
            let scan = watch.scan(&self.path, self.poll)?;
            let is_changed = is_new || scan.state != watch.state;
            watch.state = scan.state;
            Ok((watch, is_changed, scan.problem))
        });
        let (end, pause) = (Instant::now(), start.elapsed() * SCAN_SHARE);
        let (problem, interval) = match found {
            Ok((watch, is_changed, problem)) => {
                let interval = if problem.is_some() { RETRY_INTERVAL } else { SCAN_INTERVAL };
                self.watch = Some(watch);
                if is_changed {
                    self.note_change(start);
                }
                (problem, interval)
            }
            Err(error) => {
                self.watch = None;
                (Some(format!("could not watch folder \"{}\": {error}", self.path.display())), RETRY_INTERVAL)
            }
        };
        self.next_scan = end + interval.max(pause);
        let is_told = |new: &String| self.problem.as_ref().is_some_and(|(old, is_told)| old == new && *is_told);
        self.problem = problem.map(|new| {
            let is_told = is_told(&new);
            (new, is_told)
        });
    }
}

impl Watch {
    fn new(root: Identity) -> Self {
        Self { root, inotify: Inotify::init().ok(), descriptors: HashMap::new(), state: 0 }
    }

    /// Scans the folder and watches exactly what it finds. Cycles of links are not followed.
    fn scan(&mut self, path: &Path, poll: fn()) -> io::Result<Scan> {
        let mut scan = Scan { state: 0, problem: None };
        if self.inotify.is_none() {
            self.inotify = Inotify::init().ok();
        }
        if self.inotify.is_none() {
            scan.problem =
                Some(unwatched(path, "fs.inotify.max_user_instances is reached; it is looked at every few seconds"));
        }
        let mut seen = HashSet::from([self.root]);
        let mut folders = vec![(path.to_owned(), self.root, 0)];
        let mut count = 0;
        while let Some((folder, identity, depth)) = folders.pop() {
            // Watch before reading, so that a change in between causes an event.
            self.add(&folder, identity, mask() | WatchMask::ONLYDIR, path, &mut scan);
            let entries = match std::fs::read_dir(&folder) {
                Err(error) if depth == 0 => return Err(error),
                entries => entries.into_iter().flatten().flatten(),
            };
            for entry in entries {
                count += 1;
                if count % 64 == 0 {
                    poll();
                }
                if count > MAX_ENTRIES {
                    scan.problem =
                        Some(unwatched(path, &format!("what is beyond {MAX_ENTRIES} entries is not noticed")));
                    break;
                }
                let path_here = entry.path();
                let Ok(target) = std::fs::metadata(&path_here) else {
                    scan.add(&path_here, &[]); // removed meanwhile, or a dangling link
                    continue;
                };
                let identity = (target.dev(), target.ino());
                if target.is_dir() {
                    scan.add(&path_here, &[target.dev(), target.ino()]);
                    if depth < MAX_DEPTH && seen.insert(identity) {
                        folders.push((path_here, identity, depth + 1));
                    }
                    continue;
                }
                let parts =
                    [target.mtime(), target.mtime_nsec(), target.ctime(), target.ctime_nsec()].map(i64::cast_unsigned);
                let [modified, modified_nanos, changed, changed_nanos] = parts;
                let (dev, ino, size) = (target.dev(), target.ino(), target.size());
                scan.add(&path_here, &[dev, ino, size, modified, modified_nanos, changed, changed_nanos]);
                if target.is_file() && entry.file_type().is_ok_and(|kind| kind.is_symlink()) && seen.insert(identity) {
                    self.add(&path_here, identity, mask() | WatchMask::ATTRIB, path, &mut scan);
                }
            }
        }
        self.forget_all_but(&seen);
        Ok(scan)
    }

    /// Adds a watch, unless the path has been removed meanwhile.
    fn add(&mut self, path: &Path, identity: Identity, mask: WatchMask, root: &Path, scan: &mut Scan) {
        let Some(inotify) = &self.inotify else { return };
        match inotify.watches().add(path, mask) {
            Ok(descriptor) => drop(self.descriptors.insert(identity, descriptor)),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                scan.problem =
                    Some(unwatched(root, "fs.inotify.max_user_watches is reached; it is looked at every few seconds"));
            }
            Err(_) => {}
        }
    }

    fn forget_all_but(&mut self, seen: &HashSet<Identity>) {
        let Some(inotify) = &self.inotify else { return };
        let mut watches = inotify.watches();
        self.descriptors.retain(|identity, descriptor| {
            let stays = seen.contains(identity);
            if !stays {
                let _ = watches.remove(descriptor.clone()); // fails if what it watched is gone
            }
            stays
        });
    }
}

impl Scan {
    /// Adds the hash of an entry: a sum, because entries come in any order.
    fn add(&mut self, path: &Path, parts: &[u64]) {
        let mut hasher = DefaultHasher::new();
        (path, parts).hash(&mut hasher);
        self.state = self.state.wrapping_add(hasher.finish());
    }
}

impl Change {
    fn due(&self) -> Instant {
        (self.last + QUIET).min(self.first + MAX_DELAY)
    }
}

fn unwatched(path: &Path, why: &str) -> String {
    format!("could not watch all of folder \"{}\": {why}", path.display())
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
