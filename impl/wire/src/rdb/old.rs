//! Owns the packed forms that older versions wrote and 7.0 still reads: ziplists and zipmaps.
//!
//! Must not be written: what is read comes out as plain texts.

use super::{Fault, primitive::Input};

const DAMAGED_LIST: Fault = Fault::Bad("a ziplist is damaged");
const DAMAGED_MAP: Fault = Fault::Bad("a zipmap is damaged");

/// A field and its value.
type Pair = (Vec<u8>, Vec<u8>);

/// The entries of a ziplist.
pub(super) fn ziplist(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    list_entries(bytes).map_err(|_| DAMAGED_LIST)
}

fn list_entries(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    const END: u8 = 0xff;
    let mut input = Input(bytes);
    let total = u32::from_le_bytes(input.array()?);
    let (_tail, count) = (input.array::<4>()?, u16::from_le_bytes(input.array()?));
    if usize::try_from(total) != Ok(bytes.len()) {
        return Err(DAMAGED_LIST);
    }
    let mut entries = Vec::new();
    while *input.0.first().ok_or(DAMAGED_LIST)? != END {
        // What comes first is the length of the entry before: a long one takes four bytes more.
        if input.byte()? == 254 {
            input.bytes(4)?;
        }
        entries.push(list_entry(&mut input)?);
    }
    let is_counted = count == u16::MAX || usize::from(count) == entries.len();
    if is_counted && input.0.len() == 1 { Ok(entries) } else { Err(DAMAGED_LIST) }
}

fn list_entry(input: &mut Input<'_>) -> Result<Vec<u8>, Fault> {
    let number = |number: i64| Ok(number.to_string().into_bytes());
    let first = input.byte()?;
    let length = match first {
        0..=0x3f => u32::from(first),
        0x40..=0x7f => u32::from(first & 0x3f) << 8 | u32::from(input.byte()?),
        0x80 => u32::from_be_bytes(input.array()?),
        0xc0 => return number(i16::from_le_bytes(input.array()?).into()),
        0xd0 => return number(i32::from_le_bytes(input.array()?).into()),
        0xe0 => return number(i64::from_le_bytes(input.array()?)),
        0xf0 => {
            let [low, middle, high] = input.array()?;
            return number((i32::from_le_bytes([0, low, middle, high]) >> 8).into());
        }
        0xfe => return number(i8::from_le_bytes(input.array()?).into()),
        0xf1..=0xfd => return number(i64::from(first & 0x0f) - 1),
        _ => return Err(DAMAGED_LIST),
    };
    input.bytes(usize::try_from(length).map_err(|_| DAMAGED_LIST)?).map(<[u8]>::to_vec)
}

/// The fields and values of a zipmap.
pub(super) fn zipmap(bytes: &[u8]) -> Result<Vec<Pair>, Fault> {
    map_entries(bytes).map_err(|_| DAMAGED_MAP)
}

fn map_entries(bytes: &[u8]) -> Result<Vec<Pair>, Fault> {
    const END: u8 = 0xff;
    let mut input = Input(bytes);
    input.byte()?;
    let mut entries = Vec::new();
    while *input.0.first().ok_or(DAMAGED_MAP)? != END {
        let length = map_length(&mut input)?;
        let field = input.bytes(length)?.to_vec();
        let (length, unused) = (map_length(&mut input)?, input.byte()?);
        entries.push((field, input.bytes(length)?.to_vec()));
        input.bytes(unused.into())?;
    }
    if input.0.len() == 1 { Ok(entries) } else { Err(DAMAGED_MAP) }
}

fn map_length(input: &mut Input<'_>) -> Result<usize, Fault> {
    match input.byte()? {
        254 => usize::try_from(u32::from_le_bytes(input.array()?)).map_err(|_| DAMAGED_MAP),
        255 => Err(DAMAGED_MAP),
        short => Ok(short.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ziplist, zipmap};
    use crate::rdb::Fault;

    #[test]
    fn ziplists_of_every_width_are_read() {
        let entries = [
            b"\x00\x02ab".as_slice(),
            b"\x04\xc0\xff\xff",
            b"\x04\xd0\0\0\x01\0",
            b"\x06\xe0\0\0\0\0\x01\0\0\0",
            b"\x0a\xf0\xff\xff\xff",
            b"\x05\xfe\x80",
            b"\x03\xf1",
            b"\x02\xfd",
            b"\xfe\x02\0\0\0\x40\x01x",
            b"\x04\x80\0\0\0\x01y",
        ]
        .concat();
        let total = u32::try_from(entries.len() + 11).unwrap();
        let bytes = [&total.to_le_bytes(), &[0; 4], &10_u16.to_le_bytes()[..], &entries, b"\xff"].concat();
        let texts = ziplist(&bytes).expect("sound");
        let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        assert_eq!(texts, ["ab", "-1", "65536", "4294967296", "-1", "-128", "0", "12", "x", "y"]);
        for length in 0..bytes.len() {
            assert!(matches!(ziplist(&bytes[..length]), Err(Fault::Bad(_))));
        }
    }

    #[test]
    fn zipmaps_are_read() {
        let bytes = b"\x02\x03foo\x03\x02bar..\x01x\xfe\x01\0\0\0\0y\xff";
        let pairs = zipmap(bytes).expect("sound");
        assert_eq!(pairs, [(b"foo".to_vec(), b"bar".to_vec()), (b"x".to_vec(), b"y".to_vec())]);
        for length in 0..bytes.len() {
            assert!(zipmap(&bytes[..length]).is_err());
        }
    }
}
