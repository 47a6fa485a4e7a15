//! Owns the form in which one value travels between servers, as DUMP writes it and RESTORE reads
//! it: a kind, the value as a snapshot holds it, the version of that format, a checksum. Libraries of
//! functions travel in the same form, one behind the other.
//!
//! Must not know keys.

use crate::rdb::{
    Body, Fault, FunctionFault, VERSION, Value, checksum, functions, is_readable, put_function, read_value, version_of,
};
use std::fmt;

const FOOTER_BYTES: usize = 10;

/// Why a payload cannot be read. Displays as redis-server words it, without the error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpError {
    /// The checksum does not fit, or nobody knows that version of the format.
    VersionOrChecksum,
    /// The value's bytes make no sense.
    BadFormat,
    /// A library of functions is not complete.
    CutLibrary,
    /// A library of functions has a form of which no release of redis reads the name of the engine.
    OldLibrary,
    /// What is there is no library of functions.
    NoLibrary,
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VersionOrChecksum => "DUMP payload version or checksum are wrong",
            Self::BadFormat => "Bad data format",
            Self::CutLibrary => "Failed loading library payload",
            Self::OldLibrary => "Failed loading engine name",
            Self::NoLibrary => "given type is not a function",
        })
    }
}

impl std::error::Error for DumpError {}

/// A value in the form of DUMP.
#[must_use]
pub fn dump(body: Body<'_>, compresses: bool) -> Vec<u8> {
    let kind = body.kind();
    let mut out = vec![kind];
    body.put(&mut out, compresses);
    sealed(out, version_of(kind))
}

/// Libraries of functions, by their texts, in the form of FUNCTION DUMP.
#[must_use]
pub fn dump_functions<'t>(texts: impl IntoIterator<Item = &'t [u8]>, compresses: bool) -> Vec<u8> {
    let mut out = Vec::new();
    texts.into_iter().for_each(|text| put_function(&mut out, text, compresses));
    sealed(out, VERSION)
}

/// A payload with its footer.
fn sealed(mut payload: Vec<u8>, version: u16) -> Vec<u8> {
    payload.extend_from_slice(&version.to_le_bytes());
    let checksum = checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

/// The texts of the libraries of functions that a payload holds.
pub fn restore_functions(payload: &[u8]) -> Result<Vec<Vec<u8>>, DumpError> {
    let body = verified(payload).ok_or(DumpError::VersionOrChecksum)?;
    functions(body).map_err(|fault| match fault {
        FunctionFault::Cut => DumpError::CutLibrary,
        FunctionFault::OfCandidate => DumpError::OldLibrary,
        FunctionFault::Other => DumpError::NoLibrary,
    })
}

/// The value that a payload holds.
pub fn restore(payload: &[u8]) -> Result<Value, DumpError> {
    let body = verified(payload).ok_or(DumpError::VersionOrChecksum)?;
    match read_value(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(Fault::Short | Fault::Bad(_) | Fault::OfModule) => Err(DumpError::BadFormat),
    }
}

/// The payload without its footer, if that is right.
fn verified(payload: &[u8]) -> Option<&[u8]> {
    let (body, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER_BYTES)?)?;
    let (version, told) = footer.split_first_chunk()?;
    let told = u64::from_le_bytes(*told.first_chunk()?);
    let is_right =
        is_readable(u16::from_le_bytes(*version)) && told == checksum(&payload[..body.len() + version.len()]);
    is_right.then_some(body)
}

#[cfg(test)]
mod tests {
    use super::{DumpError, dump, dump_functions, restore, restore_functions};
    use crate::{
        entry_block::Block,
        entry_id::EntryId,
        intset::IntSet,
        listpack::Listpack,
        rdb::{Body, Value, checksum},
    };

    fn sealed(body: &[u8], version: u16) -> Vec<u8> {
        super::sealed(body.to_vec(), version)
    }

    #[test]
    fn libraries_come_back() {
        let texts = [b"#!lua name=a\n".as_slice(), &[b'x'; 20_000], b""];
        for compresses in [false, true] {
            let payload = dump_functions(texts, compresses);
            assert_eq!(restore_functions(&payload), Ok(texts.map(<[u8]>::to_vec).to_vec()));
        }
        assert_eq!(dump_functions([], true), [10, 0, 0x5d, 0x9b, 0x5c, 0x40, 0x0f, 0x7f, 0xa2, 0xda]);
        for (body, fault) in [
            (b"\xf5".as_slice(), DumpError::CutLibrary),
            (b"\xf5\x01x\xf5\x05x", DumpError::CutLibrary),
            (b"\xf6\x01x", DumpError::OldLibrary),
            (b"\x00\x01a\x01b", DumpError::NoLibrary),
        ] {
            assert_eq!(restore_functions(&sealed(body, 10)), Err(fault));
        }
        assert_eq!(restore_functions(b"\x0a\0"), Err(DumpError::VersionOrChecksum));
    }

    #[test]
    fn the_checksum_is_the_one_of_the_format() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn strings_come_back() {
        let long = vec![b'x'; 70_000];
        let mixed: Vec<u8> = (0..5000_u32).flat_map(|number| (number * number).to_le_bytes()).collect();
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
            &mixed,
        ] {
            for compresses in [false, true] {
                assert_eq!(restore(&dump(Body::String(value), compresses)), Ok(Value::String(value.to_vec())));
            }
        }
        assert_eq!(dump(Body::String(b"12"), true)[..3], [0, 0xc0, 12]);
        assert!(dump(Body::String(&long), true).len() < 2000);
    }

    #[test]
    fn collections_come_back() {
        let texts = [b"a".as_slice(), b"1", b"b", b"2.5"];
        let pack: Listpack = texts.into_iter().collect();
        let mut numbers = IntSet::default();
        numbers.insert(-70_000);
        let list = || Box::new([&pack, &pack].into_iter());
        let check = |body: Body<'_>, value: Value| assert_eq!(restore(&dump(body, true)), Ok(value));
        check(Body::List(2, list()), Value::List(vec![pack.clone(), pack.clone()]));
        check(Body::PackedHash(&pack), Value::PackedHash(pack.clone()));
        check(Body::PackedSortedSet(&pack), Value::PackedSortedSet(pack.clone()));
        check(Body::IntSet(&numbers), Value::IntSet(numbers.clone()));
        let owned: Vec<Vec<u8>> = texts.iter().map(|text| text.to_vec()).collect();
        check(Body::Set(4, Box::new(texts.into_iter())), Value::Set(owned));
        let fields = [(b"f".as_slice(), b"v".as_slice())];
        check(Body::Hash(1, Box::new(fields.into_iter())), Value::Hash(vec![(b"f".to_vec(), b"v".to_vec())]));
        let members = [(b"m".as_slice(), -0.5)];
        check(Body::SortedSet(1, Box::new(members.into_iter())), Value::SortedSet(vec![(b"m".to_vec(), -0.5)]));
    }

    #[test]
    fn what_later_versions_write_is_read() {
        let set = sealed(b"\x14\x0d\x0d\0\0\0\x02\0\x81a\x02\x81b\x02\xff", 11);
        assert_eq!(restore(&set), Ok(Value::Set(vec![b"a".to_vec(), b"b".to_vec()])));
        assert_eq!(restore(&sealed(b"\x14\x07\x07\0\0\0\0\0\xff", 11)), Err(DumpError::BadFormat));
        assert_eq!(restore(&sealed(b"\x00\x01a", 80)), Ok(Value::String(b"a".to_vec())));
    }

    /// A stream of one entry, and a group with a consumer who has it, in the form of a version.
    fn stream_in(kind: u8) -> Vec<u8> {
        let id = EntryId::new(1, 1).to_bytes();
        let block = Block::of_first(EntryId::new(1, 1), &[(b"f", b"v")]);
        let (delivered, seen, active) = ([1; 8], [2; 8], [3; 8]);
        let mut out = [&[kind, 1, 16], id.as_slice(), &[29], block.as_bytes(), &[1, 1, 1]].concat();
        if kind != 15 {
            out.extend([1, 1, 0, 0, 1]);
        }
        out.extend([1, 1, b'g', 1, 1]);
        if kind != 15 {
            out.push(1);
        }
        out.extend([&[1], id.as_slice(), &delivered, &[1, 1, 1, b'c'], &seen].concat());
        if kind == 21 {
            out.extend(active);
        }
        out.push(1);
        out.extend(id);
        out
    }

    #[test]
    fn streams_of_every_version_are_one() {
        let Ok(Value::Stream(stream)) = restore(&sealed(&stream_in(19), 10)) else { panic!("a stream") };
        assert_eq!((stream.len, stream.groups.len(), stream.added), (1, 1, 1));
        assert_eq!(restore(&sealed(&stream_in(15), 9)), Ok(Value::Stream(stream.clone())));
        assert_eq!(
            restore(&sealed(&stream_in(21), 12)),
            Ok(Value::Stream(stream.clone())),
            "active times are left out"
        );
        assert_eq!(dump(Body::Stream(&stream), false), sealed(&stream_in(19), 10));
    }

    #[test]
    fn streams_that_lie_are_refused() {
        let good = stream_in(19);
        for length in 0..good.len() {
            assert_eq!(restore(&sealed(&good[..length], 10)), Err(DumpError::BadFormat));
        }
        for at in 1..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                // Whatever is taken can be written and read again.
                if let Ok(Value::Stream(stream)) = restore(&sealed(&bad, 10)) {
                    assert_eq!(restore(&dump(Body::Stream(&stream), true)), Ok(Value::Stream(stream)));
                }
            }
        }
        let endless = b"\x13\x81\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(restore(&sealed(endless, 10)), Err(DumpError::BadFormat));
    }

    #[test]
    fn hashes_are_plain_unless_a_field_has_an_end() {
        let (none, end) = ([0xff; 8], [9; 8]);
        let of_valkey = |end: &[u8]| [b"\x16\x01\x01f\x01v".as_slice(), end].concat();
        let of_redis = |end: &[u8]| [b"\x18".as_slice(), &[9; 8], b"\x01", end, b"\x01f\x01v"].concat();
        let packed = |end: u8| {
            [b"\x19".as_slice(), &[9; 8], b"\x0f\x0f\0\0\0\x03\0\x81f\x02\x81v\x02", &[end], b"\x01\xff"].concat()
        };
        let plain = Value::Hash(vec![(b"f".to_vec(), b"v".to_vec())]);
        for (body, version) in [(of_valkey(&none), 80), (of_redis(b"\0"), 12), (packed(0), 12)] {
            assert_eq!(restore(&sealed(&body, version)).as_ref(), Ok(&plain), "{body:?}");
        }
        for (body, version) in [(of_valkey(&end), 80), (of_redis(b"\x05"), 12), (packed(5), 12)] {
            let payload = sealed(&body, version);
            assert_eq!(restore(&payload), Ok(Value::Foreign(body[0], body[1..].to_vec())));
            assert_eq!(
                dump(Body::Foreign(body[0], &body[1..]), true),
                payload,
                "servers that do not know it refuse it"
            );
        }
    }

    #[test]
    fn what_lies_is_refused() {
        assert_eq!(restore(b"foo"), Err(DumpError::VersionOrChecksum));
        assert_eq!(restore(&sealed(b"\x00\x01a", 100)), Err(DumpError::VersionOrChecksum));
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
            b"\x04\x00",
            b"\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x12\x01\x02\x03abc",
            b"\x0b\x03abc",
            b"\x07\x00",
            b"\x63\x00",
        ] {
            assert_eq!(restore(&sealed(body, 10)), Err(DumpError::BadFormat), "{body:?}");
        }
        let mut damaged = dump(Body::String(b"hello"), true);
        damaged[3] ^= 1;
        assert_eq!(restore(&damaged), Err(DumpError::VersionOrChecksum));
        assert_eq!(restore(&sealed(b"\x00\xc3\x05\x0f\x00a\xe0\x05\x00", 9)), Ok(Value::String(vec![b'a'; 15])));
    }
}
