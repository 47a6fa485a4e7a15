//! Owns the manifest: which files make up the data, in which order, and the names of those to come.
//!
//! Must not touch any of them.

use slotbus_wire::words;
use std::fmt::{self, Write};

/// A line has fewer bytes than this.
const LINE_MAX: usize = 1024;
const FORMAT: &str = "Invalid AOF manifest file format";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name within the folder.
    pub name: String,
    /// Its number among those of its kind.
    pub sequence: u64,
}

/// Which files make up the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// All keys at one instant.
    pub base: Option<Part>,
    /// What has happened since, the oldest first.
    pub increments: Vec<Part>,
    /// What counts no more, and is to be removed.
    pub history: Vec<Part>,
    base_sequence: u64,
    increment_sequence: u64,
}

/// Why a manifest cannot be read. Displays as redis-server reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadManifest {
    /// The number of the line, from 1, and the line; none if it is not about one.
    pub line: Option<(usize, String)>,
    /// What is wrong.
    pub message: &'static str,
}

impl fmt::Display for BadManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\n*** FATAL AOF MANIFEST FILE ERROR ***\n")?;
        if let Some((number, line)) = &self.line {
            write!(f, "Reading the manifest file, at line {number}\n>>> '{line}'\n")?;
        }
        f.write_str(self.message)
    }
}

impl std::error::Error for BadManifest {}

impl Manifest {
    /// The manifest that a text is.
    pub fn parse(text: &[u8]) -> Result<Self, BadManifest> {
        if text.is_empty() {
            return Err(BadManifest { line: None, message: "Found an empty AOF manifest" });
        }
        let mut manifest = Self::default();
        for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
            if line.starts_with(b"#") {
                continue;
            }
            if !line.ends_with(b"\n") || line.len() >= LINE_MAX {
                return Err(BadManifest { line: None, message: "The AOF manifest file contains too long line" });
            }
            let line = line.trim_ascii();
            manifest.take_line(line).map_err(|message| {
                let line = Some((index + 1, String::from_utf8_lossy(line).into_owned()));
                BadManifest { line, message }
            })?;
        }
        Ok(manifest)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let words = words::split(line).map_err(|_| FORMAT)?;
        let (pairs, []) = words.as_chunks::<2>() else { return Err(FORMAT) };
        let (mut name, mut sequence, mut kind) = (None, None, None);
        for [field, value] in pairs {
            let value = std::str::from_utf8(value).map_err(|_| FORMAT)?;
            match field.to_ascii_lowercase().as_slice() {
                b"file" if value.contains(['/', '\\']) => return Err("File can't be a path, just a filename"),
                b"file" => name = Some(value.to_owned()).filter(|name| !name.is_empty()),
                b"seq" => sequence = value.parse().ok().filter(|&sequence| sequence > 0),
                b"type" => kind = value.bytes().next(),
                // What a later version adds does not concern this one.
                _ => {}
            }
        }
        let (Some(name), Some(sequence), Some(kind)) = (name, sequence, kind) else { return Err(FORMAT) };
        self.take_part(Part { name, sequence }, kind)
    }

    fn take_part(&mut self, part: Part, kind: u8) -> Result<(), &'static str> {
        match kind {
            b'b' if self.base.is_some() => return Err("Found duplicate base file information"),
            b'b' => {
                self.base_sequence = part.sequence;
                self.base = Some(part);
            }
            b'h' => self.history.push(part),
            b'i' if part.sequence <= self.increment_sequence => return Err("Found a non-monotonic sequence number"),
            b'i' => {
                self.increment_sequence = part.sequence;
                self.increments.push(part);
            }
            _ => return Err("Unknown AOF file type"),
        }
        Ok(())
    }

    /// The text of the manifest.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let kinds = [('b', self.base.as_slice()), ('h', &self.history), ('i', &self.increments)];
        for (kind, parts) in kinds {
            for Part { name, sequence } in parts {
                let is_plain =
                    name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\'));
                let name = if is_plain { name.clone() } else { words::quoted(name.as_bytes()) };
                // Writing to a String does not fail.
                let _ = writeln!(text, "file {name} seq {sequence} type {kind}");
            }
        }
        text
    }

    /// Whether it names no file that holds data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.increments.is_empty()
    }

    /// The files that hold the data, in order.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.base.iter().chain(&self.increments)
    }

    /// The manifest of one file as redis-server kept it before version 7.
    #[must_use]
    pub fn of_single_file(name: &str) -> Self {
        let base = Part { name: name.to_owned(), sequence: 1 };
        Self { base: Some(base), base_sequence: 1, ..Self::default() }
    }

    /// The base that comes next: a snapshot, or requests.
    #[must_use]
    pub fn next_base(&self, file_name: &str, is_snapshot: bool) -> Part {
        let sequence = self.base_sequence.saturating_add(1);
        let ending = if is_snapshot { "rdb" } else { "aof" };
        Part { name: format!("{file_name}.{sequence}.base.{ending}"), sequence }
    }

    /// The increment that comes next.
    #[must_use]
    pub fn next_increment(&self, file_name: &str) -> Part {
        let sequence = self.increment_sequence.saturating_add(1);
        Part { name: format!("{file_name}.{sequence}.incr.aof"), sequence }
    }

    /// Has what happens from now on go into another file.
    pub fn add_increment(&mut self, part: Part) {
        self.increment_sequence = part.sequence;
        self.increments.push(part);
    }

    /// Has another base take the place of the former one, and of all increments but the last `kept`.
    pub fn rebase(&mut self, base: Part, kept: usize) {
        let gone = self.increments.len().saturating_sub(kept);
        self.base_sequence = base.sequence;
        self.history.extend(self.base.replace(base));
        self.history.extend(self.increments.drain(..gone));
    }
}

#[cfg(test)]
mod tests {
    use super::Manifest;

    #[test]
    fn a_manifest_reads_as_it_was_written() {
        let text =
            "file a.2.base.rdb seq 2 type b\nfile old seq 1 type h\nfile \"a b\" seq 3 type i\nfile c seq 5 type i\n";
        let manifest = Manifest::parse(text.as_bytes()).expect("sound");
        assert_eq!(manifest.to_text(), text);
        assert_eq!(manifest.next_base("a", false).name, "a.3.base.aof");
        assert_eq!(manifest.next_increment("a").name, "a.6.incr.aof");
        let other = b"# a remark\n  type i seq 3 FILE \"ap\\x41\" more to-come \n";
        assert_eq!(Manifest::parse(other).expect("sound").to_text(), "file apA seq 3 type i\n");
    }

    #[test]
    fn what_is_wrong_is_told_as_redis_server_does() {
        let long = format!("file {} seq 1 type i\n", "x".repeat(1024));
        for (text, message) in [
            ("", "Found an empty AOF manifest"),
            ("file a seq 1 type i", "The AOF manifest file contains too long line"),
            (long.as_str(), "The AOF manifest file contains too long line"),
            ("\n", "Invalid AOF manifest file format"),
            ("file a sq 1 type i\n", "Invalid AOF manifest file format"),
            ("file a seq x type i\n", "Invalid AOF manifest file format"),
            ("file a seq 1 type\n", "Invalid AOF manifest file format"),
            ("file ../a seq 1 type i\n", "File can't be a path, just a filename"),
            ("file a seq 1 type x\n", "Unknown AOF file type"),
            ("file a seq 1 type b\nfile b seq 2 type b\n", "Found duplicate base file information"),
            ("file a seq 2 type i\nfile b seq 2 type i\n", "Found a non-monotonic sequence number"),
        ] {
            assert_eq!(Manifest::parse(text.as_bytes()).map_err(|bad| bad.message), Err(message), "{text}");
        }
        let report = Manifest::parse(b"# x\nfile a seq 1 type x\n").expect_err("wrong").to_string();
        assert!(report.contains("at line 2\n>>> 'file a seq 1 type x'\n"), "{report}");
    }

    #[test]
    fn a_new_base_makes_history_of_what_came_before() {
        let mut manifest = Manifest::default();
        manifest.rebase(manifest.next_base("a", true), 0);
        manifest.add_increment(manifest.next_increment("a"));
        manifest.add_increment(manifest.next_increment("a"));
        manifest.rebase(manifest.next_base("a", true), 1);
        assert_eq!(
            manifest.to_text(),
            "file a.2.base.rdb seq 2 type b\nfile a.1.base.rdb seq 1 type h\nfile a.1.incr.aof seq 1 type h\n\
             file a.2.incr.aof seq 2 type i\n"
        );
    }
}
