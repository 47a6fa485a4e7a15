//! Owns the reading of LZF: literal runs, and references to what has come out already.
//!
//! Must not trust a length: what comes out is bounded by what the caller expects.

/// Decompresses `input`, which must come out as exactly `length` bytes.
pub(crate) fn decompress(mut input: &[u8], length: usize) -> Option<Vec<u8>> {
    const PREPARED_MAX: usize = 64 * 1024;
    let mut output = Vec::with_capacity(length.min(PREPARED_MAX));
    while let [control, rest @ ..] = input {
        input = rest;
        let count = match control >> 5 {
            0 => {
                let (literal, rest) = input.split_at_checked(usize::from(*control) + 1)?;
                output.extend_from_slice(literal);
                input = rest;
                0
            }
            7 => {
                let (extra, rest) = input.split_first()?;
                input = rest;
                7 + usize::from(*extra) + 2
            }
            short => usize::from(short) + 2,
        };
        if count > 0 {
            let (low, rest) = input.split_first()?;
            input = rest;
            let distance = (usize::from(control & 0x1f) << 8 | usize::from(*low)) + 1;
            copy_back(&mut output, distance, count)?;
        }
        if output.len() > length {
            return None;
        }
    }
    (output.len() == length).then_some(output)
}

/// Repeats what stands `distance` bytes before the end. It may overlap with what it writes.
fn copy_back(output: &mut Vec<u8>, distance: usize, count: usize) -> Option<()> {
    let start = output.len().checked_sub(distance)?;
    for at in start..start + count {
        let byte = *output.get(at)?;
        output.push(byte);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::decompress;

    #[test]
    fn runs_and_references_come_out() {
        assert_eq!(decompress(b"\x02abc", 3).as_deref(), Some(b"abc".as_slice()));
        // One literal, then a reference to it that overlaps itself: 9 + 2 + 7 - 7 bytes.
        assert_eq!(decompress(b"\x00a\xe0\x05\x00", 15).as_deref(), Some([b'a'; 15].as_slice()));
        assert_eq!(decompress(b"\x01ab\x20\x01", 5).as_deref(), Some(b"ababa".as_slice()));
    }

    #[test]
    fn what_lies_is_refused() {
        for (input, length) in [
            (b"\x05ab".as_slice(), 6),
            (b"\x00a\x20\x01", 4),
            (b"\x00a\x20", 4),
            (b"\x00a\xe0", 4),
            (b"\x02abc", 2),
            (b"\x02abc", usize::MAX),
            (b"", 1),
        ] {
            assert_eq!(decompress(input, length), None, "{input:?}");
        }
    }
}
