//! Owns the form in which one value travels between servers, as DUMP writes it and RESTORE reads
//! it: a type, the value as a snapshot file holds it, the version of that format, a checksum.
//!
//! Must not know keys. Of all kinds of values this project holds strings only.

use crate::lzf;
use crc::{CRC_64_REDIS, Crc, Table};
use std::{borrow::Cow, fmt};

/// The version of the format that redis-server 7.0 writes, and the newest that it reads.
pub const VERSION: u16 = 10;

const CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);
const FOOTER_BYTES: usize = 10;
const STRING: u8 = 0;
/// Text of up to so many bytes may be written as a number.
const NUMBER_TEXT_MAX: usize = 11;

/// Why a payload cannot be read. Displays as redis-server words it, without the error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpError {
    /// The checksum does not fit, or the format is newer.
    VersionOrChecksum,
    /// The value's bytes make no sense.
    BadFormat,
    /// The value is of a kind that is not held here.
    OtherKind(u8),
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VersionOrChecksum => f.write_str("DUMP payload version or checksum are wrong"),
            Self::BadFormat => f.write_str("Bad data format"),
            Self::OtherKind(kind) => {
                write!(f, "Bad data format: values of type {kind} are not held here, only strings are")
            }
        }
    }
}

impl std::error::Error for DumpError {}

/// A string in the form of DUMP.
#[must_use]
pub fn dump(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 16);
    out.push(STRING);
    match number(value) {
        Some(number) => put_number(&mut out, number),
        None => {
            put_length(&mut out, value.len());
            out.extend_from_slice(value);
        }
    }
    out.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = CHECKSUM.checksum(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The string that a payload holds.
pub fn restore(payload: &[u8]) -> Result<Cow<'_, [u8]>, DumpError> {
    let body = verified(payload).ok_or(DumpError::VersionOrChecksum)?;
    match body.split_first() {
        Some((&STRING, value)) => match take_string(value) {
            Some((value, [])) => Ok(value),
            Some(_) | None => Err(DumpError::BadFormat),
        },
        Some((&kind, _)) => Err(DumpError::OtherKind(kind)),
        None => Err(DumpError::BadFormat),
    }
}

/// The payload without its footer, if that is right.
fn verified(payload: &[u8]) -> Option<&[u8]> {
    let (body, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER_BYTES)?)?;
    let (version, checksum) = footer.split_first_chunk()?;
    let checksum = u64::from_le_bytes(*checksum.first_chunk()?);
    let is_right = u16::from_le_bytes(*version) <= VERSION
        && checksum == CHECKSUM.checksum(&payload[..body.len() + version.len()]);
    is_right.then_some(body)
}

/// The number that a text stands for, if that is shorter to write and comes back as the same text.
fn number(text: &[u8]) -> Option<i32> {
    let text = text.get(..).filter(|text| text.len() <= NUMBER_TEXT_MAX)?;
    crate::resp::parse_i64(text).and_then(|number| i32::try_from(number).ok())
}

fn put_number(out: &mut Vec<u8>, number: i32) {
    if let Ok(number) = i8::try_from(number) {
        out.push(0xc0);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(0xc1);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        out.push(0xc2);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    let wide = length as u64;
    match (u8::try_from(length), u16::try_from(length), u32::try_from(length)) {
        (Ok(short), _, _) if short < 1 << 6 => out.push(short),
        (_, Ok(middle), _) if middle < 1 << 14 => out.extend_from_slice(&(middle | 1 << 14).to_be_bytes()),
        (_, _, Ok(long)) => {
            out.push(0x80);
            out.extend_from_slice(&long.to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&wide.to_be_bytes());
        }
    }
}

fn take_string(input: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let text = |number: i32| Cow::Owned(number.to_string().into_bytes());
    match input {
        [0xc0, rest @ ..] => {
            rest.split_first_chunk().map(|(bytes, rest)| (text(i8::from_le_bytes(*bytes).into()), rest))
        }
        [0xc1, rest @ ..] => {
            rest.split_first_chunk().map(|(bytes, rest)| (text(i16::from_le_bytes(*bytes).into()), rest))
        }
        [0xc2, rest @ ..] => rest.split_first_chunk().map(|(bytes, rest)| (text(i32::from_le_bytes(*bytes)), rest)),
        [0xc3, rest @ ..] => {
            let (packed, rest) = take_length(rest)?;
            let (length, rest) = take_length(rest)?;
            let (packed, rest) = rest.split_at_checked(packed)?;
            lzf::decompress(packed, length).map(|value| (Cow::Owned(value), rest))
        }
        _ => {
            let (length, rest) = take_length(input)?;
            rest.split_at_checked(length).map(|(value, rest)| (Cow::Borrowed(value), rest))
        }
    }
}

fn take_length(input: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = input.split_first()?;
    match (first >> 6, first) {
        (0, _) => Some((usize::from(first), rest)),
        (1, _) => rest.split_first().map(|(&low, rest)| (usize::from(first & 0x3f) << 8 | usize::from(low), rest)),
        (2, 0x80) => rest
            .split_first_chunk()
            .and_then(|(bytes, rest)| Some((usize::try_from(u32::from_be_bytes(*bytes)).ok()?, rest))),
        (2, 0x81) => rest
            .split_first_chunk()
            .and_then(|(bytes, rest)| Some((usize::try_from(u64::from_be_bytes(*bytes)).ok()?, rest))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{CHECKSUM, DumpError, dump, restore};

    #[test]
    fn the_checksum_is_the_one_of_the_format() {
        assert_eq!(CHECKSUM.checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn strings_come_back() {
        let long = vec![b'x'; 70_000];
        for value in [
            b"".as_slice(),
            b"a",
            b"12",
            b"-128",
            b"128",
            b"-32768",
            b"32768",
            b"2147483647",
            b"2147483648",
            b"-0",
            b"012",
            b"00000000012",
            &[0xff; 63],
            &[0; 64],
            &[1; 16_383],
            &[2; 16_384],
            &long,
        ] {
            assert_eq!(restore(&dump(value)).as_deref(), Ok(value));
        }
        assert_eq!(dump(b"12")[..3], [0, 0xc0, 12]);
    }

    #[test]
    fn what_lies_is_refused() {
        let sealed = |body: &[u8], version: u16| {
            let mut payload = [body, &version.to_le_bytes()].concat();
            payload.extend(CHECKSUM.checksum(&payload).to_le_bytes());
            payload
        };
        assert_eq!(restore(b"foo"), Err(DumpError::VersionOrChecksum));
        assert_eq!(restore(&sealed(b"\x00\x01a", 11)), Err(DumpError::VersionOrChecksum));
        assert_eq!(restore(&sealed(b"\x04\x00", 10)), Err(DumpError::OtherKind(4)));
        for body in [
            b"".as_slice(),
            b"\x00",
            b"\x00\x02a",
            b"\x00\x01ab",
            b"\x00\xc1a",
            b"\x00\xc4a",
            b"\x00\x82aaaaaaaaa",
            b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffa",
            b"\x00\xc3\x02\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x00a",
        ] {
            assert_eq!(restore(&sealed(body, 10)), Err(DumpError::BadFormat), "{body:?}");
        }
        let mut damaged = dump(b"hello");
        damaged[3] ^= 1;
        assert_eq!(restore(&damaged), Err(DumpError::VersionOrChecksum));
        assert_eq!(restore(&sealed(b"\x00\xc3\x05\x0f\x00a\xe0\x05\x00", 9)).as_deref(), Ok([b'a'; 15].as_slice()));
    }
}
