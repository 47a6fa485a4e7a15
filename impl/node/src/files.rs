//! Owns how a file takes the place of another: whoever reads it finds the former text or the new one,
//! and after a power loss, too.
//!
//! Must not know what is in a file.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Puts a text in the place of a file, or makes the file.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    let outcome = written.and_then(|()| put_in_place(&temporary, path));
    if outcome.is_err() {
        // What is left of a file that is not complete is of no use.
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

/// Gives a file that is complete, and on disk, the name of another.
pub fn put_in_place(complete: &Path, path: &Path) -> io::Result<()> {
    fs::rename(complete, path)?;
    sync_folder_of(path)
}

/// Has the disk keep the names in the folder that a file is in.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// A name beside a file, which nothing else uses.
#[must_use]
pub fn temporary(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.to_owned().into_os_string();
    name.push(format!("{TEMPORARY}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    name.into()
}

/// Between a file's name and two numbers in that of a temporary file.
const TEMPORARY: &str = ".tmp-";

/// Removes what processes left that were killed while they replaced a file, which nobody else does now.
pub fn sweep(path: &Path) {
    let (Some(name), Ok(entries)) = (path.file_name(), fs::read_dir(folder_of(path))) else { return };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_left = |found: &str| {
        let numbers = name.to_str().and_then(|name| found.strip_prefix(name)?.strip_prefix(TEMPORARY)?.split_once('-'));
        numbers.is_some_and(|(process, number)| is_number(process) && is_number(number))
    };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_str().is_some_and(is_left) {
            // One that stays is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::replace;
    use std::fs;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"three").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of the attempt");
    }
}
