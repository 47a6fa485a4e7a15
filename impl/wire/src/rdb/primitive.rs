//! Owns the smallest parts of the format: lengths, strings, floating point numbers.
//!
//! Must not trust a length: what is taken is there, or the input is short.

use super::Fault;
use crate::{lzf, number::parse_f64, resp::parse_i64};
use std::borrow::Cow;

/// Text of up to so many bytes may be written as a number.
const NUMBER_TEXT_MAX: usize = 11;
/// Shorter strings are not worth an attempt to compress them.
const COMPRESSED_MIN: usize = 21;
/// No string comes out of compression longer than this.
const STRING_MAX: usize = 1 << 32;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        let (&byte, rest) = self.0.split_first().ok_or(Fault::Short)?;
        self.0 = rest;
        Ok(byte)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Fault::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Fault::Short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// A number in the form of a length.
    pub(crate) fn number(&mut self) -> Result<u64, Fault> {
        let first = self.byte()?;
        match first {
            0..=0x3f => Ok(first.into()),
            0x40..=0x7f => Ok(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            0x80 => Ok(u32::from_be_bytes(self.array()?).into()),
            0x81 => Ok(u64::from_be_bytes(self.array()?)),
            _ => Err(Fault::Bad("a length has an unknown form")),
        }
    }

    pub(crate) fn length(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.number()?).map_err(|_| Fault::Bad("a length is too large"))
    }

    pub(crate) fn string(&mut self) -> Result<Cow<'a, [u8]>, Fault> {
        let text = |number: i32| Ok(Cow::Owned(number.to_string().into_bytes()));
        match self.0.first() {
            Some(0xc0) => {
                self.byte()?;
                text(i8::from_le_bytes(self.array()?).into())
            }
            Some(0xc1) => {
                self.byte()?;
                text(i16::from_le_bytes(self.array()?).into())
            }
            Some(0xc2) => {
                self.byte()?;
                text(i32::from_le_bytes(self.array()?))
            }
            Some(0xc3) => {
                self.byte()?;
                self.compressed().map(Cow::Owned)
            }
            Some(_) | None => {
                let length = self.length()?;
                self.bytes(length).map(Cow::Borrowed)
            }
        }
    }

    fn compressed(&mut self) -> Result<Vec<u8>, Fault> {
        let (packed, length) = (self.length()?, self.length()?);
        let packed = self.bytes(packed)?;
        Some(length)
            .filter(|&length| length <= STRING_MAX)
            .and_then(|length| lzf::decompress(packed, length))
            .ok_or(Fault::Bad("a compressed string does not come out as it should"))
    }

    pub(crate) fn double(&mut self) -> Result<f64, Fault> {
        let number = f64::from_le_bytes(self.array()?);
        if number.is_nan() { Err(Fault::Bad("a score is not a number")) } else { Ok(number) }
    }

    /// A floating point number in the form of a text, as older versions write it.
    pub(crate) fn double_of_text(&mut self) -> Result<f64, Fault> {
        match self.byte()? {
            253 => Err(Fault::Bad("a score is not a number")),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            length => parse_f64(self.bytes(length.into())?).ok_or(Fault::Bad("a score is not a number")),
        }
    }
}

pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    put_number(out, length as u64);
}

pub(crate) fn put_number(out: &mut Vec<u8>, number: u64) {
    match (u16::try_from(number), u32::try_from(number)) {
        (Ok(short), _) if short < 1 << 6 => out.push(short.to_le_bytes()[0]),
        (Ok(middle), _) if middle < 1 << 14 => out.extend_from_slice(&(middle | 1 << 14).to_be_bytes()),
        (_, Ok(long)) => {
            out.push(0x80);
            out.extend_from_slice(&long.to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// Writes a string: as a number if it spells one, compressed if that is asked for and shorter.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &[u8], compresses: bool) {
    if let Some(number) = spelt(text) {
        return put_spelt(out, number);
    }
    if compresses
        && text.len() >= COMPRESSED_MIN
        && let Some(packed) = lzf::compress(text)
    {
        out.push(0xc3);
        put_length(out, packed.len());
        put_length(out, text.len());
        return out.extend_from_slice(&packed);
    }
    put_length(out, text.len());
    out.extend_from_slice(text);
}

/// The number that a text stands for, if that is shorter to write and comes back as the same text.
fn spelt(text: &[u8]) -> Option<i32> {
    let text = Some(text).filter(|text| text.len() <= NUMBER_TEXT_MAX)?;
    parse_i64(text).and_then(|number| i32::try_from(number).ok())
}

fn put_spelt(out: &mut Vec<u8>, number: i32) {
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
