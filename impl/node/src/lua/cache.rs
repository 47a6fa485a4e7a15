//! Owns the scripts that are known, by their names: the hashes of their texts.

use super::shebang::Flags;
use mlua::RegistryKey;
use std::{collections::HashMap, rc::Rc};

/// One script.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its name.
    pub(crate) name: String,
    /// What it says of itself.
    pub(crate) flags: Flags,
    pub(super) code: RegistryKey,
    bytes: usize,
}

impl Script {
    pub(super) fn new(name: String, flags: Flags, code: RegistryKey, text: &[u8]) -> Self {
        Self { bytes: text.len() + name.len() + size_of::<Self>(), name, flags, code }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    scripts: HashMap<String, Rc<Script>>,
    bytes: usize,
}

impl Cache {
    pub(super) fn add(&mut self, script: Script) -> Rc<Script> {
        let script = Rc::new(script);
        self.bytes += script.bytes;
        self.scripts.insert(script.name.clone(), Rc::clone(&script));
        script
    }

    /// The script of this name, in any case.
    pub(crate) fn named(&self, name: &[u8]) -> Option<Rc<Script>> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        self.scripts.get(&name).cloned()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.scripts.len()
    }

    /// About how many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
