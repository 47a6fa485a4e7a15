//! Owns the libraries of functions as they are kept and handed on: their texts, by the names that their first
//! lines give them.
//!
//! Must not know Lua, nor what a library does once it is loaded: that is `lua/functions`.

use slotbus_wire::{dump, words};
use std::collections::BTreeMap;

/// What the names of libraries and of functions are made of.
pub(crate) const NAME_RULE: &str =
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

/// Whether a library or a function can have this name.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What a text says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head<'t> {
    /// The name of the library.
    pub(crate) name: String,
    /// Its code. The end of the first line belongs to it, so that its lines are counted from the first.
    pub(crate) code: &'t [u8],
}

impl<'t> Head<'t> {
    /// Reads the first line of a text.
    pub(crate) fn of(text: &'t [u8]) -> Result<Self, String> {
        const OPTION: &[u8] = b"name=";
        if !text.starts_with(b"#!") {
            return Err("Missing library metadata".into());
        }
        let invalid = || "Invalid library metadata".to_owned();
        let (line, code) = text.split_at(memchr::memchr(b'\n', text).ok_or_else(invalid)?);
        let words = words::split(line).map_err(|_| invalid())?;
        let (engine, options) = words.split_first().ok_or_else(invalid)?;
        let mut name = None;
        for option in options {
            let value = option.split_at_checked(OPTION.len()).filter(|(word, _)| word.eq_ignore_ascii_case(OPTION));
            let (_, value) =
                value.ok_or_else(|| format!("Invalid metadata value given: {}", String::from_utf8_lossy(option)))?;
            if name.replace(value).is_some() {
                return Err("Invalid metadata value, name argument was given multiple times".into());
            }
        }
        let name = name.ok_or("Library name was not given")?;
        if !is_name(name) {
            return Err(NAME_RULE.into());
        }
        let engine = &engine[b"#!".len()..];
        if !engine.eq_ignore_ascii_case(b"lua") {
            return Err(format!("Engine '{}' not found", String::from_utf8_lossy(engine)));
        }
        Ok(Self { name: String::from_utf8_lossy(name).into_owned(), code })
    }
}

/// What becomes of libraries that are there already when others are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// They go.
    Flush,
    /// They stay, and none of them may be restored.
    Append,
    /// They stay, but for those that are restored.
    Replace,
}

impl Policy {
    /// The one of this name; that of redis-server if none is given.
    pub(crate) fn named(name: Option<&[u8]>) -> Result<Self, &'static str> {
        match name.map(<[u8]>::to_ascii_lowercase).as_deref() {
            None | Some(b"append") => Ok(Self::Append),
            Some(b"flush") => Ok(Self::Flush),
            Some(b"replace") => Ok(Self::Replace),
            Some(_) => Err("Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."),
        }
    }
}

/// The texts of all libraries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Libraries {
    texts: BTreeMap<String, Vec<u8>>,
}

impl FromIterator<(String, Vec<u8>)> for Libraries {
    /// Texts by their names.
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(texts: I) -> Self {
        Self { texts: texts.into_iter().collect() }
    }
}

impl Libraries {
    /// Keeps a text; one of the same name gives way, or must not be there.
    pub(crate) fn put(&mut self, text: &[u8], replaces: bool) -> Result<(), String> {
        let name = Head::of(text)?.name;
        if self.texts.contains_key(&name) && !replaces {
            return Err(format!("Library '{name}' already exists"));
        }
        self.texts.insert(name, text.to_vec());
        Ok(())
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.texts.clear();
    }

    /// The texts, by their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.texts.iter().map(|(name, text)| (name.as_str(), text.as_slice()))
    }

    /// All texts in the form in which they travel between servers.
    pub(crate) fn dump(&self, compresses: bool) -> Vec<u8> {
        dump::dump_functions(self.iter().map(|(_, text)| text), compresses)
    }

    /// Does what a request that was carried out elsewhere did there; `words` are those behind FUNCTION.
    pub(crate) fn follow(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let kind = words.first().map(|word| word.to_ascii_lowercase());
        match (kind.as_deref(), words) {
            (Some(b"load"), [_, .., text]) => self.put(text, true),
            (Some(b"delete"), [_, name]) => {
                self.texts.remove(&*String::from_utf8_lossy(name));
                Ok(())
            }
            (Some(b"flush"), _) => {
                self.clear();
                Ok(())
            }
            (Some(b"restore"), [_, payload, policy @ ..]) => {
                let texts = dump::restore_functions(payload).map_err(|fault| fault.to_string())?;
                if Policy::named(policy.first().copied())? == Policy::Flush {
                    self.clear();
                }
                texts.iter().try_for_each(|text| self.put(text, true))
            }
            _ => Err("a request about functions makes no sense".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, Libraries, NAME_RULE};

    #[test]
    fn the_first_line_names_a_library() {
        let code = b"\nx".as_slice();
        assert_eq!(Head::of(b"#!lua name=a_1\nx"), Ok(Head { name: "a_1".into(), code }));
        assert_eq!(Head::of(b"#!LUA Name=B\nx"), Ok(Head { name: "B".into(), code }));
        for (text, fault) in [
            ("x", "Missing library metadata"),
            ("#!lua name=a", "Invalid library metadata"),
            ("#!lua name=\"a\nx", "Invalid library metadata"),
            ("#!\n", "Library name was not given"),
            ("#!lua name=a name=b\n", "Invalid metadata value, name argument was given multiple times"),
            ("#!lua flags=a\n", "Invalid metadata value given: flags=a"),
            ("#!lua name=a-b\n", NAME_RULE),
            ("#!lua name=\n", NAME_RULE),
            ("#!js name=a\n", "Engine 'js' not found"),
        ] {
            assert_eq!(Head::of(text.as_bytes()), Err(fault.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_was_done_elsewhere_is_done_here() {
        let (a, b) = (b"#!lua name=a\nx".as_slice(), b"#!lua name=b\nx".as_slice());
        let mut libraries = Libraries::default();
        libraries.follow(&[b"LOAD", a]).expect("sound");
        libraries.follow(&[b"load", b"replace", b]).expect("sound");
        let both = libraries.dump(true);
        libraries.follow(&[b"DELETE", b"a"]).expect("sound");
        assert_eq!(libraries.iter().collect::<Vec<_>>(), [("b", b)]);
        libraries.follow(&[b"RESTORE", &both, b"REPLACE"]).expect("sound");
        assert_eq!(libraries.iter().collect::<Vec<_>>(), [("a", a), ("b", b)]);
        libraries.follow(&[b"FLUSH", b"ASYNC"]).expect("sound");
        assert_eq!(libraries, Libraries::default());
        libraries.follow(&[b"RESTORE", &both, b"FLUSH"]).expect("sound");
        assert_eq!(libraries.dump(true), both);
        assert!(libraries.follow(&[b"KILL"]).is_err());
    }
}
