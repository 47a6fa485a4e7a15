//! Owns the splitting of a line into words as redis-server splits lines: in its files and where a
//! client types a request by hand. Knows nothing of what the words mean.

use std::{error, fmt};

/// A quoted word does not end, or goes on after its closing quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

impl fmt::Display for UnbalancedQuotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unbalanced quotes")
    }
}

impl error::Error for UnbalancedQuotes {}

/// The words of a line. A NUL ends the line.
///
/// White space separates words, unless it is quoted. Between double quotes `\xHH`, `\n`, `\r`, `\t`,
/// `\b` and `\a` stand for the byte that they name, and any other escaped byte for itself; between
/// single quotes only `\'` is an escape. A quoted part may follow other bytes of a word, but after
/// its closing quote the word ends.
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let mut rest = line.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut words = Vec::new();
    loop {
        rest = skip_spaces(rest);
        if rest.is_empty() {
            return Ok(words);
        }
        let (word, after) = first_word(rest)?;
        words.push(word);
        rest = after;
    }
}

/// A word between double quotes, all of it in printable characters.
#[must_use]
pub fn quoted(word: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for &byte in word {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            0x07 => quoted.push_str("\\a"),
            0x08 => quoted.push_str("\\b"),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

fn skip_spaces(line: &[u8]) -> &[u8] {
    &line[line.iter().take_while(|&&byte| is_space(byte)).count()..]
}

/// The vertical tab is space here, unlike for `u8::is_ascii_whitespace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn first_word(line: &[u8]) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let mut word = Vec::new();
    let mut rest = line;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return finished(word, double_quoted(after)?),
            [b'\'', after @ ..] => return finished(word, single_quoted(after)?),
            [byte, after @ ..] if !is_space(*byte) => {
                word.push(*byte);
                after
            }
            _ => return Ok((word, rest)),
        };
    }
}

/// The word with its quoted part, which must be its last one.
fn finished(mut word: Vec<u8>, quoted: (Vec<u8>, &[u8])) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let (part, rest) = quoted;
    if rest.first().is_some_and(|&byte| !is_space(byte)) {
        return Err(UnbalancedQuotes);
    }
    word.extend(part);
    Ok((word, rest))
}

fn double_quoted(line: &[u8]) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let mut part = Vec::new();
    let mut rest = line;
    loop {
        let (byte, after) = match rest {
            [b'"', after @ ..] => return Ok((part, after)),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex_value(*high) << 4 | hex_value(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescaped(*escaped), after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(UnbalancedQuotes),
        };
        part.push(byte);
        rest = after;
    }
}

fn single_quoted(line: &[u8]) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let mut part = Vec::new();
    let mut rest = line;
    loop {
        let (byte, after) = match rest {
            [b'\'', after @ ..] => return Ok((part, after)),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(UnbalancedQuotes),
        };
        part.push(byte);
        rest = after;
    }
}

fn unescaped(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.saturating_sub(b'A') + 10,
    }
}
