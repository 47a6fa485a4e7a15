//! Owns the first line of a script, in which it may say what it does and does not do, and the words for that, which
//! functions of libraries have, too.

use bitflags::bitflags;

bitflags! {
    /// What a script says of itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Flags: u8 {
        /// It changes no key.
        const NO_WRITES = 1;
        /// It may run when memory has run out.
        const ALLOW_OOM = 1 << 1;
        /// It may run on a replica that has lost its primary.
        const ALLOW_STALE = 1 << 2;
        /// It does not run in a cluster.
        const NO_CLUSTER = 1 << 3;
        /// Its keys may be in several slots.
        const ALLOW_CROSS_SLOT = 1 << 4;
        /// It says nothing: then each of its requests is looked at by itself.
        const SILENT = 1 << 5;
    }
}

const NAMES: [(&str, Flags); 5] = [
    ("no-writes", Flags::NO_WRITES),
    ("allow-oom", Flags::ALLOW_OOM),
    ("allow-stale", Flags::ALLOW_STALE),
    ("no-cluster", Flags::NO_CLUSTER),
    ("allow-cross-slot-keys", Flags::ALLOW_CROSS_SLOT),
];

impl Flags {
    /// The one of this name.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, flag)| *flag)
    }

    /// The names of those that are set.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(_, flag)| self.contains(*flag)).map(|(name, _)| *name)
    }
}

/// What a script says of itself, and where its code begins. The end of the line belongs to the code, so that
/// its lines are counted from the first.
pub(crate) fn parse(script: &[u8]) -> Result<(Flags, &[u8]), String> {
    if !script.starts_with(b"#!") {
        return Ok((Flags::SILENT, script));
    }
    let end = memchr::memchr(b'\n', script).ok_or("Invalid script shebang")?;
    let (line, code) = script.split_at(end);
    let words = slotbus_wire::words::split(line).map_err(|_| "Invalid engine in script shebang")?;
    let mut words = words.iter();
    let engine = words.next().ok_or("Invalid engine in script shebang")?;
    if **engine != *b"#!lua" {
        return Err(format!("Unexpected engine in script shebang: {}", String::from_utf8_lossy(engine)));
    }
    let mut flags = Flags::empty();
    for word in words {
        let list = word
            .strip_prefix(b"flags=")
            .ok_or_else(|| format!("Unknown lua shebang option: {}", String::from_utf8_lossy(word)))?;
        for name in list.split(|&byte| byte == b',').filter(|_| !list.is_empty()) {
            let unknown = || format!("Unexpected flag in script shebang: {}", String::from_utf8_lossy(name));
            flags |= Flags::named(name).ok_or_else(unknown)?;
        }
    }
    Ok((flags, code))
}

#[cfg(test)]
mod tests {
    use super::{Flags, parse};

    #[test]
    fn the_first_line_says_what_a_script_does() {
        assert_eq!(parse(b"return 1"), Ok((Flags::SILENT, b"return 1".as_slice())));
        assert_eq!(parse(b"#!lua\nx"), Ok((Flags::empty(), b"\nx".as_slice())));
        let both = Flags::NO_WRITES | Flags::ALLOW_STALE;
        assert_eq!(parse(b"#!lua flags=no-writes,allow-stale\n"), Ok((both, b"\n".as_slice())));
        for (script, fault) in [
            ("#!lua", "Invalid script shebang"),
            ("#!python\n", "Unexpected engine in script shebang: #!python"),
            ("#!lua flags=foo\n", "Unexpected flag in script shebang: foo"),
            ("#!lua name=foo\n", "Unknown lua shebang option: name=foo"),
        ] {
            assert_eq!(parse(script.as_bytes()), Err(fault.to_owned()));
        }
    }
}
