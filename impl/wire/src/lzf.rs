//! Owns LZF: literal runs, and references to what has come out already.
//!
//! Must not trust a length: what comes out is bounded by what the caller expects.

/// A literal run is at most so long.
const RUN_MAX: usize = 32;
/// A reference reaches so far back at most ...
const DISTANCE_MAX: usize = 1 << 13;
/// ... and repeats so many bytes at most.
const REPEAT_MAX: usize = 264;
/// Compressing is not worth it for fewer bytes than this.
const GAIN_MIN: usize = 4;

/// Compresses `input`; none if that does not make it clearly shorter.
pub(crate) fn compress(input: &[u8]) -> Option<Vec<u8>> {
    /// No text begins here.
    const NOWHERE: u32 = u32::MAX;
    let budget = input.len().checked_sub(GAIN_MIN)?;
    let seen_bits = seen_bits(input.len());
    let mut seen = vec![NOWHERE; 1 << seen_bits];
    let mut output = Vec::with_capacity(budget);
    let (mut at, mut literal) = (0, 0);
    while let Some(&[first, second, third]) = input.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u32::from_be_bytes([0, first, second, third]);
        let place = (word.wrapping_mul(0x9e37_79b1) >> (u32::BITS - seen_bits)) as usize;
        let former = std::mem::replace(&mut seen[place], u32::try_from(at).unwrap_or(NOWHERE)) as usize;
        let repeat = if former < at && at - former <= DISTANCE_MAX { common(input, former, at) } else { 0 };
        if repeat < 3 {
            at += 1;
            continue;
        }
        put_literals(&mut output, &input[literal..at]);
        put_reference(&mut output, at - former - 1, repeat - 2);
        at += repeat;
        literal = at;
        if output.len() > budget {
            return None;
        }
    }
    put_literals(&mut output, &input[literal..]);
    (output.len() <= budget).then_some(output)
}

/// The table of what was seen has two to this power places: enough for each byte of a text, and few for a short one, for which
/// it would take longer to prepare than to use.
fn seen_bits(length: usize) -> u32 {
    const BITS_MIN: u32 = 6;
    const BITS_MAX: u32 = 14;
    (length.max(1).ilog2() + 1).clamp(BITS_MIN, BITS_MAX)
}

/// How many bytes from `former` on are the same as those from `at` on.
fn common(input: &[u8], former: usize, at: usize) -> usize {
    let pairs = input[former..].iter().zip(&input[at..]).take(REPEAT_MAX);
    pairs.take_while(|(left, right)| left == right).count()
}

fn put_literals(output: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(RUN_MAX) {
        output.push((run.len() - 1) as u8);
        output.extend_from_slice(run);
    }
}

fn put_reference(output: &mut Vec<u8>, distance: usize, length: usize) {
    let high = (distance >> 8) as u8;
    match u8::try_from(length) {
        Ok(short) if short < 7 => output.push(short << 5 | high),
        _ => output.extend_from_slice(&[7 << 5 | high, (length - 7) as u8]),
    }
    output.push(distance as u8);
}

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
