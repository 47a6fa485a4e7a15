//! Owns the last line of a nodes.conf of ours, which tells two images of one node apart, and a whole one
//! from a torn one. For redis-server it is an unknown variable, which it passes over with a line in its log.

use super::VARS;
use std::fmt;

const STAMP: &str = "slotbusImage";

/// Which image a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Since which start of the machine it is.
    pub boot: u64,
    /// Of which run of the node.
    pub run: u64,
    /// The how manieth of that run.
    pub number: u64,
    /// In which file it was written, by the number that the file system gives it: whoever edits or brings back a
    /// file makes another one.
    pub file: u64,
}

/// What a text says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamped {
    /// It is this image, and whole.
    Whole(Stamp),
    /// It was this image, and is not as it was written: somebody has changed it, or it is torn.
    Changed(Stamp),
    /// It has no stamp that can be read, and does not end as a text without one does: it is part of an image.
    Torn,
    /// It is somebody else's, who does not stamp.
    Unstamped,
}

impl Stamp {
    /// Adds the stamp to an image.
    #[must_use]
    pub fn seal(self, mut text: String) -> String {
        let sum = crc32fast::hash(text.as_bytes());
        text += &format!("{VARS} {STAMP} {self}-{sum:08x}\n");
        text
    }

    /// Whether a line of a nodes.conf is a stamp.
    #[must_use]
    pub fn is_line(line: &str) -> bool {
        line.strip_prefix(VARS).is_some_and(|rest| rest.trim_start().starts_with(STAMP))
    }

    fn read(word: &str) -> Option<(Self, u32)> {
        let mut parts = word.split('-');
        let mut hex = || u64::from_str_radix(parts.next()?, 16).ok();
        let stamp = Self { boot: hex()?, run: hex()?, number: hex()?, file: hex()? };
        let sum = u32::try_from(hex()?).ok()?;
        parts.next().is_none().then_some((stamp, sum))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot, run, number, file } = self;
        write!(f, "{boot:016x}-{run:016x}-{number:x}-{file:x}")
    }
}

impl Stamped {
    /// What this text says of itself.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let Ok(text) = str::from_utf8(text) else { return Self::Torn };
        let Some((image, stamp)) = text.split_once(&format!("{VARS} {STAMP} ")) else {
            // Whoever does not stamp ends with the cluster's own numbers.
            let is_ended = text.lines().any(|line| line.starts_with(VARS)) && text.ends_with('\n');
            return if is_ended { Self::Unstamped } else { Self::Torn };
        };
        // Blank lines may follow.
        let word = stamp.split_once('\n').filter(|(_, rest)| rest.trim_matches('\n').is_empty());
        match word.and_then(|(word, _)| Stamp::read(word)) {
            Some((stamp, sum)) if sum == crc32fast::hash(image.as_bytes()) => Self::Whole(stamp),
            Some((stamp, _)) => Self::Changed(stamp),
            None => Self::Torn,
        }
    }

    /// The how manieth image it is; none if it is not whole, or somebody else's.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        if let Self::Whole(stamp) = self { Some(stamp.number) } else { None }
    }

    /// Whether another text is a later image of the same node, which has to take the place of this one in this file, at
    /// a start of the machine. While the machine runs, nothing that was written is lost.
    #[must_use]
    pub fn is_behind(self, file: u64, other: Self, boot: u64) -> bool {
        let Self::Whole(later) = other else { return false };
        later.boot != boot
            && match self {
                Self::Whole(own) => own.file == file && own.run == later.run && own.number < later.number,
                Self::Changed(own) => own.file == file,
                Self::Torn => true,
                Self::Unstamped => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::{Stamp, Stamped};

    const FIRST: Stamp = Stamp { boot: 7, run: 8, number: 9, file: 10 };

    fn sealed(stamp: Stamp) -> Stamped {
        Stamped::of(stamp.seal("vars currentEpoch 1 lastVoteEpoch 0\n".to_owned()).as_bytes())
    }

    #[test]
    fn a_sealed_text_is_whole_and_no_part_or_change_of_it_is() {
        assert_eq!(sealed(FIRST), Stamped::Whole(FIRST));
        assert_eq!(Stamped::of((FIRST.seal(String::new()) + "\n\n").as_bytes()), Stamped::Whole(FIRST));
        let text = FIRST.seal("some node\nvars currentEpoch 1 lastVoteEpoch 0\n".to_owned());
        for end in 0..text.len() {
            assert!(!matches!(Stamped::of(&text.as_bytes()[..end]), Stamped::Whole(_)), "{end}");
        }
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_ne!(Stamped::of(&bytes), Stamped::Whole(FIRST), "{at}");
        }
    }

    #[test]
    fn texts_of_others_are_told_from_parts_of_ours() {
        assert_eq!(Stamped::of(b"some node\nvars currentEpoch 1 lastVoteEpoch 0\n"), Stamped::Unstamped);
        for torn in [b"".as_slice(), b"some node\n", b"some node\nvars currentEp", b"some\0\0\0", b"\xff"] {
            assert_eq!(Stamped::of(torn), Stamped::Torn, "{torn:?}");
        }
    }

    #[test]
    fn only_a_later_image_of_the_same_run_and_before_this_start_takes_the_place() {
        let own = Stamped::Whole(FIRST);
        let later = Stamp { number: 10, file: 11, ..FIRST };
        let is_behind = |own: Stamped, later: Stamped, boot| own.is_behind(FIRST.file, later, boot);
        for behind in [own, Stamped::Torn, Stamped::Changed(FIRST)] {
            assert!(is_behind(behind, sealed(later), 1), "{behind:?}");
            assert!(!is_behind(behind, sealed(later), FIRST.boot), "the machine was not started since");
            assert!(!is_behind(behind, Stamped::Torn, 1) && !is_behind(behind, Stamped::Unstamped, 1));
        }
        assert!(!is_behind(own, own, 1) && !is_behind(own, sealed(Stamp { run: 1, ..later }), 1));
        assert!(!is_behind(Stamped::Unstamped, sealed(later), 1));
        for elsewhere in [own, Stamped::Changed(FIRST)] {
            assert!(!elsewhere.is_behind(99, sealed(later), 1), "{elsewhere:?} was put into another file");
        }
    }
}
