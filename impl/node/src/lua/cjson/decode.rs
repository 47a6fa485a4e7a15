//! Owns the reading of JSON.

use super::{
    super::native::{Fault, Outcome},
    DEPTH_MAX, InvalidNumbers, Settings, null,
};
use mlua::{Lua, Value};

/// The value of a text.
pub(super) fn decode(lua: &Lua, text: &[u8], settings: Settings) -> Outcome<Value> {
    if text.len() >= 2 && text[..2].contains(&0) {
        return Err(Fault::Said("JSON parser does not support UTF-16 or UTF-32".into()));
    }
    let mut reader = Reader { lua, text, at: 0, depth: 0, settings };
    let token = reader.next();
    let value = reader.value(token)?;
    let last = reader.next();
    if last.kind == Kind::End { Ok(value) } else { Err(last.instead_of("the end")) }
}

/// What a text is made of.
#[derive(Debug, PartialEq)]
enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Colon,
    Comma,
    End,
    Null,
    Boolean(bool),
    Number(f64),
    Text(Vec<u8>),
    /// Nothing that the format has, and why.
    Bad(&'static str),
}

#[derive(Debug)]
struct Token {
    kind: Kind,
    at: usize,
}

impl Token {
    fn instead_of(&self, expected: &str) -> Fault {
        let found = match &self.kind {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Null => "T_NULL",
            Kind::Boolean(_) => "T_BOOLEAN",
            Kind::Number(_) => "T_NUMBER",
            Kind::Text(_) => "T_STRING",
            Kind::Bad(reason) => reason,
        };
        Fault::Said(format!("Expected {expected} but found {found} at character {}", self.at + 1))
    }
}

struct Reader<'a> {
    lua: &'a Lua,
    text: &'a [u8],
    at: usize,
    depth: i64,
    settings: Settings,
}

impl Reader<'_> {
    /// The byte so many places ahead; zero at the end, as a text in C has it.
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or_default()
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Token {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let at = self.at;
        let single = match self.peek(0) {
            b'{' => Some(Kind::ObjectBegin),
            b'}' => Some(Kind::ObjectEnd),
            b'[' => Some(Kind::ArrayBegin),
            b']' => Some(Kind::ArrayEnd),
            b':' => Some(Kind::Colon),
            b',' => Some(Kind::Comma),
            0 => return Token { kind: Kind::End, at },
            _ => None,
        };
        if let Some(kind) = single {
            self.at += 1;
            return Token { kind, at };
        }
        match self.longer() {
            Ok(kind) => Token { kind, at },
            Err(reason) => Token { kind: Kind::Bad(reason), at: self.at },
        }
    }

    /// What takes more than a byte, or why there is nothing.
    fn longer(&mut self) -> Result<Kind, &'static str> {
        let takes_invalid = self.settings.decode_invalid != InvalidNumbers::Refused;
        match self.peek(0) {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' if !takes_invalid && self.is_invalid_number() => Err("invalid number"),
            b'-' | b'0'..=b'9' => self.number(),
            _ if self.rest().starts_with(b"true") => self.word(4, Kind::Boolean(true)),
            _ if self.rest().starts_with(b"false") => self.word(5, Kind::Boolean(false)),
            _ if self.rest().starts_with(b"null") => self.word(4, Kind::Null),
            b'+' | b'i' | b'I' | b'n' | b'N' if takes_invalid && self.is_invalid_number() => self.number(),
            _ => Err("invalid token"),
        }
    }

    fn word(&mut self, length: usize, kind: Kind) -> Result<Kind, &'static str> {
        self.at += length;
        Ok(kind)
    }

    /// Whether a number begins here that only C knows: infinite, none, hexadecimal, with a plus or a needless zero.
    fn is_invalid_number(&self) -> bool {
        let digits = self.rest();
        if digits.starts_with(b"+") {
            return true;
        }
        let digits = digits.strip_prefix(b"-").unwrap_or(digits);
        match digits {
            [b'0', b'x' | b'X' | b'0'..=b'9', ..] => true,
            [b'0'..=b'9', ..] => false,
            [first, second, third, ..] => {
                matches!([first, second, third].map(u8::to_ascii_lowercase).as_slice(), b"inf" | b"nan")
            }
            [..] => false,
        }
    }

    /// The longest number that begins here.
    fn number(&mut self) -> Result<Kind, &'static str> {
        let (length, number) = longest_number(self.rest());
        if length == 0 {
            return Err("invalid number");
        }
        self.at += length;
        Ok(Kind::Number(number))
    }

    fn string(&mut self) -> Result<Kind, &'static str> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek(0) {
                b'"' => {
                    self.at += 1;
                    return Ok(Kind::Text(text));
                }
                0 => return Err("unexpected end of string"),
                b'\\' if self.peek(1) == b'u' => {
                    let character = self.escaped_character().ok_or("invalid unicode escape code")?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                b'\\' => {
                    text.push(escaped(self.peek(1)).ok_or("invalid escape code")?);
                    self.at += 2;
                }
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    /// The character of an escape of four digits, or of two such escapes that make one.
    fn escaped_character(&mut self) -> Option<char> {
        let first = self.escaped_unit(0)?;
        let (code, length) = match first {
            0xD800..0xDC00 => {
                let second = self.escaped_unit(6).filter(|unit| (0xDC00..0xE000).contains(unit))?;
                (0x1_0000 + ((first & 0x3FF) << 10) + (second & 0x3FF), 12)
            }
            _ => (first, 6),
        };
        let character = char::from_u32(code)?;
        self.at += length;
        Some(character)
    }

    fn escaped_unit(&self, ahead: usize) -> Option<u32> {
        let escape = self.rest().get(ahead..ahead + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }

    fn value(&mut self, token: Token) -> Outcome<Value> {
        match token.kind {
            Kind::Text(text) => Ok(Value::String(self.lua.create_string(text)?)),
            Kind::Number(number) => Ok(Value::Number(number)),
            Kind::Boolean(is) => Ok(Value::Boolean(is)),
            Kind::Null => Ok(null()),
            Kind::ObjectBegin => self.object(),
            Kind::ArrayBegin => self.array(),
            Kind::ObjectEnd | Kind::ArrayEnd | Kind::Colon | Kind::Comma | Kind::End | Kind::Bad(_) => {
                Err(token.instead_of("value"))
            }
        }
    }

    fn descend(&mut self) -> Outcome<()> {
        self.depth += 1;
        if self.depth <= self.settings.decode_depth_max.min(DEPTH_MAX) {
            return Ok(());
        }
        let (depth, at) = (self.depth, self.at);
        Err(Fault::Said(format!("Found too many nested data structures ({depth}) at character {at}")))
    }

    fn object(&mut self) -> Outcome<Value> {
        self.descend()?;
        let table = self.lua.create_table()?;
        let mut token = self.next();
        if token.kind != Kind::ObjectEnd {
            loop {
                let Kind::Text(key) = token.kind else { return Err(token.instead_of("object key string")) };
                let colon = self.next();
                if colon.kind != Kind::Colon {
                    return Err(colon.instead_of("colon"));
                }
                let first = self.next();
                let value = self.value(first)?;
                table.raw_set(self.lua.create_string(key)?, value)?;
                if !self.goes_on(&Kind::ObjectEnd, "comma or object end")? {
                    break;
                }
                token = self.next();
            }
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }

    fn array(&mut self) -> Outcome<Value> {
        self.descend()?;
        let table = self.lua.create_table()?;
        let mut token = self.next();
        if token.kind != Kind::ArrayEnd {
            for index in 1_i64.. {
                let value = self.value(token)?;
                table.raw_set(index, value)?;
                if !self.goes_on(&Kind::ArrayEnd, "comma or array end")? {
                    break;
                }
                token = self.next();
            }
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }

    /// Whether another element follows, behind a comma.
    fn goes_on(&mut self, end: &Kind, expected: &str) -> Outcome<bool> {
        let token = self.next();
        if token.kind == Kind::Comma {
            return Ok(true);
        }
        if token.kind == *end { Ok(false) } else { Err(token.instead_of(expected)) }
    }
}

fn escaped(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' | b'/' => Some(byte),
        b'b' => Some(0x08),
        b'f' => Some(0x0c),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        _ => None,
    }
}

/// How many bytes the number takes that a text begins with, as C reads numbers, and the number.
fn longest_number(text: &[u8]) -> (usize, f64) {
    let sign_len = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let sign = if text.first() == Some(&b'-') { -1.0 } else { 1.0 };
    let (length, magnitude) = magnitude(&text[sign_len..]);
    if length == 0 { (0, 0.0) } else { (sign_len + length, sign * magnitude) }
}

fn magnitude(text: &[u8]) -> (usize, f64) {
    let begins_with = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let digits = |from: usize, is_digit: fn(&u8) -> bool| {
        text.get(from..).unwrap_or_default().iter().take_while(|byte| is_digit(byte)).count()
    };
    if begins_with(b"infinity") {
        return (8, f64::INFINITY);
    }
    if begins_with(b"inf") {
        return (3, f64::INFINITY);
    }
    if begins_with(b"nan") {
        return (3, f64::NAN);
    }
    let hex_len = if begins_with(b"0x") { digits(2, u8::is_ascii_hexdigit) } else { 0 };
    if hex_len > 0 {
        let digit = |byte: &u8| f64::from(char::from(*byte).to_digit(16).unwrap_or_default());
        let number = text[2..2 + hex_len].iter().fold(0.0, |number, byte| number * 16.0 + digit(byte));
        return (2 + hex_len, number);
    }
    let whole_len = digits(0, u8::is_ascii_digit);
    let mut length = whole_len;
    if text.get(length) == Some(&b'.') {
        let fraction_len = digits(length + 1, u8::is_ascii_digit);
        if whole_len + fraction_len > 0 {
            length += 1 + fraction_len;
        }
    }
    if length > 0 && matches!(text.get(length), Some(b'e' | b'E')) {
        let sign_len = usize::from(matches!(text.get(length + 1), Some(b'+' | b'-')));
        let exponent_len = digits(length + 1 + sign_len, u8::is_ascii_digit);
        if exponent_len > 0 {
            length += 1 + sign_len + exponent_len;
        }
    }
    let spelled = std::str::from_utf8(&text[..length]).ok();
    (length, spelled.and_then(|text| text.parse().ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::longest_number;

    #[test]
    fn a_number_is_as_long_as_it_can_be() {
        for (text, length, number) in [
            ("1.5x", 3, 1.5),
            ("-2e3,", 4, -2000.0),
            ("1e", 1, 1.0),
            ("1e+", 1, 1.0),
            ("0x1fg", 4, 31.0),
            ("0x", 1, 0.0),
            ("1.", 2, 1.0),
            ("-Infinity", 9, f64::NEG_INFINITY),
            ("-", 0, 0.0),
            (".", 0, 0.0),
        ] {
            assert_eq!(longest_number(text.as_bytes()), (length, number), "{text}");
        }
    }
}
