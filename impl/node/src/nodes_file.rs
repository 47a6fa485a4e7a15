//! Owns the file in which the node keeps what survives a restart: its lock, reading and saving it.
//!
//! Must not know its text: that is slotbus-wire's.
//!
//! An image is written over an earlier one that lies beside the file, and then both change names: whoever
//! reads the file finds the former image or the new one. Files that stay cost a save a few microseconds; a
//! new one would have the disk find room for it each time. The last image that was to survive a power loss
//! is never written over before the next such image is on disk: there are up to two files beside.
//!
//! After a power loss the file may hold part of an image, or an earlier one than was to survive it; that
//! is beside it then. Stamps tell which, and whether an administrator or another program has put a file of
//! theirs in the place since. So the disk need not know at once who has which name, only that there are names:
//! an image survives with one flush.
//!
//! Only one process at a time may use the file, be it this node or redis-server, which locks the file
//! itself (`flock`) and rewrites it in place: every file that may get the name is locked.

use crate::{files, log::reason};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use slotbus_core::{CLUSTER_SLOTS, Durable};
use slotbus_wire::nodes_conf::{self, Stamp, Stamped};
use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read},
    iter,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Why the file cannot be used.
#[derive(Debug)]
pub enum BadNodesFile {
    /// It cannot be opened.
    Unusable(PathBuf, io::Error),
    /// Another process uses it.
    Locked(PathBuf),
    /// It cannot be read as a node's.
    Corrupted(PathBuf, String),
}

impl fmt::Display for BadNodesFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(path, error) => {
                write!(f, "Can't open {} in order to acquire a lock: {}", path.display(), reason(error))
            }
            Self::Locked(path) => write!(
                f,
                "Sorry, the cluster configuration file {} is already used by a different Redis Cluster node. \
                 Give every node a file of its own with 'cluster-config-file'.",
                path.display()
            ),
            Self::Corrupted(path, why) => {
                write!(f, "Unrecoverable error: corrupted cluster config file {}: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for BadNodesFile {}

/// How many files lie beside the one that has the name at most: one holds the last image that was to survive
/// a power loss, the other is written over.
const SPARES_MAX: usize = 2;

/// The file, locked for as long as this value lives.
#[derive(Debug)]
pub struct NodesFile {
    path: PathBuf,
    /// The one that has the name.
    current: Sheet,
    /// Those beside it.
    spares: Vec<Spare>,
    /// One that had the name, and is not used again. It stays locked: somebody may have opened it just before.
    former: Option<File>,
    /// Whether every file has some name on disk.
    are_names_kept: bool,
    /// Which image is in the file, whichever of them that is.
    stamp: Stamp,
}

/// A file with an image, locked.
#[derive(Debug)]
struct Sheet {
    file: File,
    length: usize,
    /// Whether it holds the last image that was to survive a power loss.
    is_kept: bool,
}

/// A file that has not the name, but this one.
#[derive(Debug)]
struct Spare {
    path: PathBuf,
    sheet: Sheet,
}

impl NodesFile {
    /// Locks the file, which comes to be if it is not there, and reads it; nothing if it is empty.
    pub fn open(path: PathBuf) -> Result<(Self, Option<Durable<CLUSTER_SLOTS>>), BadNodesFile> {
        Self::open_since(path, boot())
    }

    fn open_since(path: PathBuf, boot: u64) -> Result<(Self, Option<Durable<CLUSTER_SLOTS>>), BadNodesFile> {
        let unusable = |error| BadNodesFile::Unusable(path.clone(), error);
        let is_new = !path.exists();
        let mut file = lock_named(&path)?;
        files::sweep(&path);
        let mut bytes = read(&file).map_err(unusable)?;
        if let Some(later) = later_image(&path, &bytes, boot).filter(|_| !is_new) {
            files::put_in_place(&later, &path).map_err(unusable)?;
            file = lock_named(&path)?;
            bytes = read(&file).map_err(unusable)?;
        }
        let image = match bytes.as_slice() {
            [] => None,
            bytes => {
                let corrupted = |why: &dyn fmt::Display| BadNodesFile::Corrupted(path.clone(), why.to_string());
                Some(nodes_conf::parse(bytes).map_err(|error| corrupted(&error))?)
            }
        };
        // What the former process wrote is on disk before what protects it goes.
        file.sync_all().and_then(|()| files::sync_folder_of(&path)).map_err(unusable)?;
        remove_spares(&path);
        let current = Sheet { file, length: bytes.len(), is_kept: true };
        let stamp = Stamp { boot, run: fastrand::u64(..), number: 0, file: 0 };
        Ok((Self { path, current, spares: Vec::new(), former: None, are_names_kept: false, stamp }, image))
    }

    /// Puts an image in the place of the last one: all of it or nothing. With `sync` it survives a
    /// power loss.
    pub fn save(&mut self, image: &Durable<CLUSTER_SLOTS>, sync: bool) -> io::Result<()> {
        self.stamp.number += 1;
        let text = nodes_conf::write(image);
        // What this run writes over is what this run has written: the first image survives, and the former run's goes.
        let is_first = self.stamp.number == 1;
        let saved = self.replace(text, sync || is_first);
        if is_first {
            self.former = self.spares.pop().map(|spare| spare.sheet.file).or(self.former.take());
        }
        if saved.is_err() || is_first {
            self.drop_spares();
        }
        saved
    }

    /// Ends the use of the file: the last image is on disk, and nothing else.
    pub fn close(&mut self) -> io::Result<()> {
        self.current.file.sync_data()?;
        self.drop_spares();
        Ok(())
    }

    fn replace(&mut self, text: String, sync: bool) -> io::Result<()> {
        let Spare { path, mut sheet } = self.take_spare()?;
        sheet.write(Stamp { file: sheet.file.metadata()?.ino(), ..self.stamp }.seal(text))?;
        if sync {
            sheet.file.sync_data()?;
        }
        let is_exchanged = has_name(&self.current.file, &self.path)
            && renameat_with(CWD, &path, CWD, &self.path, RenameFlags::EXCHANGE).is_ok();
        if !is_exchanged {
            // The file system cannot, or the file is somebody else's by now: nothing protects an earlier image then.
            sheet.file.sync_data()?;
            fs::rename(&path, &self.path)?;
        }
        let former = std::mem::replace(&mut self.current, sheet);
        if is_exchanged {
            self.spares.push(Spare { path, sheet: former });
        } else {
            self.former = Some(former.file);
        }
        if sync {
            if !self.are_names_kept || !is_exchanged {
                files::sync_folder_of(&self.path)?;
                self.are_names_kept = true;
            }
            self.spares.iter_mut().for_each(|spare| spare.sheet.is_kept = false);
            self.current.is_kept = true;
        }
        Ok(())
    }

    /// A file to write over, or a new one.
    fn take_spare(&mut self) -> io::Result<Spare> {
        if let Some(index) = self.spares.iter().position(|spare| !spare.sheet.is_kept) {
            return Ok(self.spares.swap_remove(index));
        }
        let is_free = |path: &PathBuf| self.spares.iter().all(|spare| spare.path != *path);
        let path = spare_paths(&self.path).find(is_free).ok_or(io::ErrorKind::AlreadyExists)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        })?;
        self.are_names_kept = false;
        Ok(Spare { path, sheet: Sheet { file, length: 0, is_kept: false } })
    }

    fn drop_spares(&mut self) {
        // Where the names cannot be kept, nothing can.
        let _ = files::sync_folder_of(&self.path);
        self.spares.clear();
        remove_spares(&self.path);
    }
}

impl Sheet {
    /// Writes a text over what is there. Blank lines, which nobody minds, are put where that was longer: as long as the length
    /// stays the same, the disk has nothing to keep but the text.
    fn write(&mut self, mut text: String) -> io::Result<()> {
        if text.len() < self.length && text.len() * 2 > self.length {
            text.extend(iter::repeat_n('\n', self.length - text.len()));
        }
        self.file.write_all_at(text.as_bytes(), 0)?;
        if text.len() < self.length {
            self.file.set_len(text.len() as u64)?;
        }
        self.length = text.len();
        Ok(())
    }
}

/// The file beside this one that holds the latest image of the same run, if this one's is behind that.
fn later_image(path: &Path, bytes: &[u8], boot: u64) -> Option<PathBuf> {
    let (own, file) = (Stamped::of(bytes), fs::metadata(path).ok()?.ino());
    let stamped = spare_paths(path).filter_map(|path| Some((Stamped::of(&fs::read(&path).ok()?), path)));
    let later = stamped.filter(|(other, _)| own.is_behind(file, *other, boot));
    later.max_by_key(|(other, _)| other.number()).map(|(_, path)| path)
}

/// Removes what lies beside the file.
fn remove_spares(path: &Path) {
    // One that is not there, or stays, is in nobody's way.
    spare_paths(path).for_each(|path| drop(fs::remove_file(path)));
}

/// The names of the files beside this one.
fn spare_paths(path: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=SPARES_MAX).map(move |number| {
        let mut name = path.to_owned().into_os_string();
        name.push(format!(".spare-{number}"));
        name.into()
    })
}

fn read(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A number for this start of the machine; where there is none, every start of the node counts as one.
fn boot() -> u64 {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or_else(|_| fastrand::u64(..))
}

/// Whether a file that is open is the one of this name.
fn has_name(file: &File, path: &Path) -> bool {
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (own, named) = (file.metadata().map(place), fs::metadata(path).map(place));
    own.is_ok() && own.ok() == named.ok()
}

/// Opens and locks the file that has this name, and still has it once it is locked.
fn lock_named(path: &Path) -> Result<File, BadNodesFile> {
    const ATTEMPTS_MAX: usize = 100;
    let unusable = |error| BadNodesFile::Unusable(path.to_owned(), error);
    for _ in 0..ATTEMPTS_MAX {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = options.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BadNodesFile::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        if has_name(&file, path) {
            return Ok(file);
        }
    }
    Err(BadNodesFile::Locked(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{BadNodesFile, NodesFile, Stamp, nodes_conf};
    use slotbus_core::{Config, Millis, Node, NodeId, Origin};
    use std::{fs, os::unix::fs::MetadataExt};

    fn image(current_epoch: u64) -> slotbus_core::Durable<16384> {
        let (node, _) =
            Node::<16384>::start(Config::default().into(), Origin::Fresh(NodeId([7; 20])), Millis(1)).unwrap();
        slotbus_core::Durable { current_epoch, ..node.durable() }
    }

    #[test]
    fn what_is_saved_is_read_again_and_nothing_else_is_left() {
        for is_closed in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("nodes.conf");
            let (mut file, found) = NodesFile::open(path.clone()).unwrap();
            assert!(found.is_none());
            for (epoch, sync) in [(1, false), (2, false), (3, false), (1 << 60, true), (4, false)] {
                file.save(&image(epoch), sync).unwrap();
                assert_eq!(nodes_conf::parse(&fs::read(&path).unwrap()).unwrap().current_epoch, epoch);
                assert!(fs::read_dir(folder.path()).unwrap().count() <= 3);
            }
            if is_closed {
                file.close().unwrap();
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            }
            drop(file);
            let (_, found) = NodesFile::open(path).unwrap();
            assert_eq!(found.map(|image| (image.nodes.len(), image.current_epoch)), Some((1, 4)));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    /// Which epoch is found where the file holds this text, which may depend on its number, another lies beside it, and
    /// the machine was started since or not.
    fn found(named: impl Fn(u64) -> String, spare: &str, boot: u64) -> Option<u64> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.conf");
        let number = fs::File::create(&path).unwrap().metadata().unwrap().ino();
        fs::write(&path, named(number)).unwrap();
        fs::write(folder.path().join("nodes.conf.spare-2"), spare).unwrap();
        let (mut file, found) = NodesFile::open_since(path.clone(), boot).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the spare is gone");
        file.save(&image(99), false).unwrap();
        assert!(matches!(NodesFile::open(path), Err(BadNodesFile::Locked(_))));
        found.map(|image| image.current_epoch)
    }

    #[test]
    fn the_last_image_that_is_to_survive_a_power_loss_is_kept_until_the_next_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.conf");
        let (mut file, _) = NodesFile::open(path.clone()).unwrap();
        let (mut synced, mut dice) = (0, fastrand::Rng::with_seed(3));
        for epoch in 1..200 {
            let sync = epoch == 1 || dice.u8(..4) == 0;
            file.save(&image(epoch), sync).unwrap();
            synced = if sync { epoch } else { synced };
            let epochs = fs::read_dir(folder.path()).unwrap().map(|entry| {
                let bytes = fs::read(entry.unwrap().path()).unwrap();
                nodes_conf::parse(&bytes).unwrap().current_epoch
            });
            let epochs: Vec<u64> = epochs.collect();
            assert!(epochs.contains(&synced) && epochs.contains(&epoch), "{epoch}, {synced}: {epochs:?}");
        }
    }

    #[test]
    fn a_power_loss_loses_nothing_that_was_to_survive_it() {
        const BEFORE: u64 = 1;
        const SINCE: u64 = 2;
        const ELSEWHERE: u64 = 0;
        let text = |epoch| nodes_conf::write(&image(epoch));
        let sealed = |run, number, file| Stamp { boot: BEFORE, run, number, file }.seal(text(number));
        let synced = sealed(5, 8, ELSEWHERE);
        let former = |file| sealed(5, 7, file);
        assert_eq!(found(former, &synced, SINCE), Some(8), "the names were not kept");
        for end in [0, 20, 100, former(1).len() - 3] {
            assert_eq!(found(|file| former(file)[..end].to_owned(), &synced, SINCE), Some(8), "a part of {end} bytes");
        }
        let mixed = |file| sealed(5, 9, file).replace("currentEpoch 9", "currentEpoch 7");
        assert_eq!(found(mixed, &synced, SINCE), Some(8), "parts of two images");
        let later = |file| sealed(5, 9, file);
        assert_eq!(found(later, &synced, SINCE), Some(9), "the one with the name is the later one");
        assert_eq!(found(later, &sealed(5, 10, ELSEWHERE)[..50], SINCE), Some(9), "the spare is half written");
        assert_eq!(found(former, &synced, BEFORE), Some(7), "there was no power loss");
        assert_eq!(
            found(|_| former(ELSEWHERE), &synced, SINCE),
            Some(7),
            "an administrator brought back an earlier file"
        );
        assert_eq!(found(|_| mixed(ELSEWHERE), &synced, SINCE), Some(7), "an administrator has edited the file");
        assert_eq!(found(|_| text(3), &synced, SINCE), Some(3), "redis-server has used the file since");
    }

    #[test]
    fn a_file_that_somebody_put_in_the_place_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["nodes.conf", "other"].map(|name| folder.path().join(name));
        let (mut file, _) = NodesFile::open(path.clone()).unwrap();
        for (epoch, sync) in [(1, true), (2, false), (3, true), (4, false), (5, false)] {
            fs::write(&other, "somebody's").unwrap();
            fs::rename(&other, &path).unwrap();
            file.save(&image(epoch), sync).unwrap();
            assert_eq!(nodes_conf::parse(&fs::read(&path).unwrap()).unwrap().current_epoch, epoch);
            assert!(matches!(NodesFile::open(path.clone()), Err(BadNodesFile::Locked(_))));
        }
    }

    #[test]
    fn who_removes_the_file_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let left = Stamp { boot: 1, run: 5, number: 8, file: 0 }.seal(nodes_conf::write(&image(8)));
        fs::write(folder.path().join("nodes.conf.spare-1"), left).unwrap();
        let (_file, found) = NodesFile::open_since(folder.path().join("nodes.conf"), 2).unwrap();
        assert!(found.is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.conf");
        let others = ["nodes.conf.tmp-x-1", "nodes.conf.tmp-1", "nodes.conf.bak", "other.conf.tmp-1-1"];
        for name in ["nodes.conf.tmp-1-1", "nodes.conf.tmp-77-123456"].iter().chain(&others) {
            fs::write(folder.path().join(name), "half a file").unwrap();
        }
        NodesFile::open(path).unwrap();
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), others.len() + 1);
    }

    #[test]
    fn the_lock_outlives_every_save() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.conf");
        let (mut file, _) = NodesFile::open(path.clone()).unwrap();
        for _ in 0..3 {
            let latecomer = fs::OpenOptions::new().read(true).open(&path).unwrap();
            assert!(matches!(NodesFile::open(path.clone()), Err(BadNodesFile::Locked(_))));
            file.save(&image(1), false).unwrap();
            assert!(matches!(NodesFile::open(path.clone()), Err(BadNodesFile::Locked(_))));
            assert!(latecomer.try_lock().is_err(), "the file that lost its name is still locked");
        }
        drop(file);
        NodesFile::open(path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_nodes_file_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.conf");
        for bytes in [b"nonsense\n".as_slice(), b"\xff\xfe\n", b"vars currentEpoch\n"] {
            fs::write(&path, bytes).unwrap();
            let error = NodesFile::open(path.clone()).unwrap_err().to_string();
            assert!(error.starts_with("Unrecoverable error: corrupted cluster config file"), "{error}");
        }
    }

    #[test]
    fn a_failed_save_leaves_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.conf");
        let (mut file, _) = NodesFile::open(path.clone()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(file.save(&image(1), true).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
