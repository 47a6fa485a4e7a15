//! Owns how a copy of all keys is framed: by its length, or by a mark behind it.
//!
//! Must not look into the copy.

use memchr::memmem;
use slotbus_wire::resp::parse_i64;

/// The length of a mark.
pub(crate) const MARK_BYTES: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// It ends before these bytes.
    Mark([u8; MARK_BYTES]),
}

/// A copy that is arriving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    framing: Framing,
    /// What may be the beginning of the mark.
    held: Vec<u8>,
}

impl Transfer {
    /// A transfer as it is announced; none if the line makes no sense.
    pub(crate) fn announced(line: &[u8]) -> Option<Self> {
        let size = line.strip_prefix(b"$")?;
        let framing = match size.strip_prefix(b"EOF:") {
            Some(mark) => Framing::Mark(mark.try_into().ok()?),
            None => Framing::Length(u64::try_from(parse_i64(size)?).ok()?),
        };
        Some(Self { framing, held: Vec::new() })
    }

    /// Takes what has arrived: the bytes of the copy that are certain, how many bytes were taken, and
    /// whether the copy is complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> (Vec<u8>, usize, bool) {
        match &mut self.framing {
            Framing::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                (bytes[..count].to_vec(), count, *left == 0)
            }
            Framing::Mark(mark) => {
                let held = self.held.len();
                let mut copy = std::mem::take(&mut self.held);
                copy.extend_from_slice(bytes);
                if let Some(end) = memmem::find(&copy, mark) {
                    copy.truncate(end);
                    return (copy, end + MARK_BYTES - held, true);
                }
                self.held = copy.split_off(copy.len().saturating_sub(MARK_BYTES - 1));
                (copy, bytes.len(), false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Transfer;

    #[test]
    fn announcements_that_lie_are_refused() {
        let mark = "m".repeat(40);
        for line in ["$12", "$0", &format!("$EOF:{mark}")] {
            assert!(Transfer::announced(line.as_bytes()).is_some(), "{line}");
        }
        for line in ["", "$", "$-1", "$x", "12", "$99999999999999999999", "$EOF:", "$EOF:short", "+OK"] {
            assert!(Transfer::announced(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn a_mark_is_found_wherever_reads_cut_it() {
        let mark = "0123456789".repeat(4);
        let payload = b"some 0123456789012345678901234567890123 payload 0123".as_slice();
        let sent = [payload, mark.as_bytes(), b"behind"].concat();
        for size in 1..sent.len() {
            let mut transfer = Transfer::announced(format!("$EOF:{mark}").as_bytes()).expect("sound");
            let (mut copy, mut used, mut is_complete) = (Vec::new(), 0, false);
            while !is_complete {
                let (part, count, is_last) = transfer.take(&sent[used..sent.len().min(used + size)]);
                copy.extend(part);
                used += count;
                is_complete = is_last;
            }
            assert_eq!((copy.as_slice(), &sent[used..]), (payload, b"behind".as_slice()), "{size}");
        }
    }
}
