//! Owns the file in which the node keeps what survives a restart: its lock, reading and saving it.
//!
//! Must not know its text: that is slotbus-wire's.
//!
//! Only one process at a time may use the file, be it this node or redis-server, which locks the
//! file itself (`flock`) and rewrites it in place. Saving by rename gives the name to another file,
//! so the new file is locked before it gets the name; and the former one stays locked until the next
//! save, for somebody may have opened it just before it lost the name.

use crate::{files, log::reason};
use slotbus_core::{CLUSTER_SLOTS, Durable};
use slotbus_wire::nodes_conf;
use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
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

/// The file, locked for as long as this value lives.
#[derive(Debug)]
pub struct NodesFile {
    path: PathBuf,
    /// Holds the lock of the file that has the name.
    current: File,
    /// Holds the lock of the file that had it before.
    former: Option<File>,
}

impl NodesFile {
    /// Locks the file, which comes to be if it is not there, and reads it; nothing if it is empty.
    pub fn open(path: PathBuf) -> Result<(Self, Option<Durable<CLUSTER_SLOTS>>), BadNodesFile> {
        let unusable = |error| BadNodesFile::Unusable(path.clone(), error);
        let mut current = lock_named(&path)?;
        files::sweep(&path);
        let mut bytes = Vec::new();
        current.read_to_end(&mut bytes).map_err(unusable)?;
        let image = match bytes.as_slice() {
            [] => None,
            bytes => {
                let corrupted = |why: &dyn fmt::Display| BadNodesFile::Corrupted(path.clone(), why.to_string());
                Some(nodes_conf::parse(bytes).map_err(|error| corrupted(&error))?)
            }
        };
        Ok((Self { path, current, former: None }, image))
    }

    /// Puts an image in the place of the last one: all of it or nothing. With `sync` it survives a
    /// power loss.
    pub fn save(&mut self, image: &Durable<CLUSTER_SLOTS>, sync: bool) -> io::Result<()> {
        let temporary = files::temporary(&self.path);
        let saved = self.write_and_rename(&temporary, &nodes_conf::write(image), sync);
        if saved.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        saved
    }

    fn write_and_rename(&mut self, temporary: &Path, text: &str, sync: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(temporary)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        })?;
        file.write_all(text.as_bytes())?;
        if sync {
            file.sync_all()?;
        }
        fs::rename(temporary, &self.path)?;
        self.former = Some(std::mem::replace(&mut self.current, file));
        if sync {
            files::sync_folder_of(&self.path)?;
        }
        Ok(())
    }
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
        let (ours, named) = (file.metadata().map_err(unusable)?, fs::metadata(path));
        if named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
            return Ok(file);
        }
    }
    Err(BadNodesFile::Locked(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{BadNodesFile, NodesFile};
    use slotbus_core::{Config, Millis, Node, NodeId, Origin};
    use std::fs;

    fn image() -> slotbus_core::Durable<16384> {
        let (node, _) =
            Node::<16384>::start(Config::default().into(), Origin::Fresh(NodeId([7; 20])), Millis(1)).unwrap();
        node.durable()
    }

    #[test]
    fn what_is_saved_is_read_again_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.conf");
        let (mut file, found) = NodesFile::open(path.clone()).unwrap();
        assert!(found.is_none());
        for sync in [true, false, true] {
            file.save(&image(), sync).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(file);
        let (_, found) = NodesFile::open(path).unwrap();
        assert_eq!(found.map(|image| image.nodes.len()), Some(1));
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
            file.save(&image(), false).unwrap();
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
    fn a_failed_save_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.conf");
        let (mut file, _) = NodesFile::open(path.clone()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(file.save(&image(), true).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
