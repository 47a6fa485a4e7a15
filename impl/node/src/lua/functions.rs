//! Owns the functions of all libraries, ready to be called, and the machine that they live in. A change of libraries
//! is made beside what is there, and takes its place only if all of it is sound.
//!
//! Must not know who calls a function, nor how libraries are kept.

use super::{
    cache::Script,
    machine::{Machine, Purpose},
    registration::Registration,
    running::Terms,
};
use crate::{
    libraries::{Head, Libraries, Policy},
    log::Log,
};
use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
    time::Duration,
};

/// A library that takes longer to be loaded is given up.
const LOADING_MAX: Duration = Duration::from_millis(500);

/// A function of a library.
#[derive(Debug)]
pub(crate) struct Function {
    /// What it is for.
    pub(crate) description: Option<Vec<u8>>,
    /// How it is called, and what it says of itself.
    pub(crate) script: Rc<Script>,
}

/// A library.
#[derive(Debug)]
pub(crate) struct Library {
    /// Its text.
    pub(crate) text: Vec<u8>,
    /// What it has registered.
    pub(crate) functions: Vec<Function>,
}

/// Libraries by name.
pub(crate) type ByName = BTreeMap<String, Rc<Library>>;
/// Functions by name, in lower case.
type Index = HashMap<String, Rc<Script>>;

/// All of them.
#[derive(Debug)]
pub(crate) struct Functions {
    /// Made for the first library: nobody has to pay for it who has none.
    machine: Option<Rc<Machine>>,
    libraries: ByName,
    index: Index,
    log: Log,
    terms: Rc<Terms>,
}

impl Functions {
    /// There are none.
    pub(super) fn new(log: Log, terms: Rc<Terms>) -> Self {
        Self { machine: None, libraries: ByName::new(), index: Index::new(), log, terms }
    }

    /// The libraries.
    pub(crate) fn libraries(&self) -> &ByName {
        &self.libraries
    }

    /// How many functions there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many bytes the machine holds.
    pub(crate) fn machine_bytes(&self) -> usize {
        self.machine.as_ref().map_or(0, |machine| machine.bytes())
    }

    /// About how many bytes the libraries take.
    pub(crate) fn bytes(&self) -> usize {
        let functions = self.index.iter().map(|(name, script)| name.len() + script.bytes());
        let libraries = self.libraries.iter().map(|(name, library)| name.len() + library.text.len());
        functions.chain(libraries).sum()
    }

    /// The function of this name, in any case.
    pub(crate) fn named(&self, name: &[u8]) -> Option<Rc<Script>> {
        self.index.get(&std::str::from_utf8(name).ok()?.to_ascii_lowercase()).cloned()
    }

    /// Loads a library; says what it is called.
    pub(crate) fn load(&mut self, text: &[u8], replaces: bool) -> Result<String, String> {
        let head = Head::of(text)?;
        if self.libraries.contains_key(&head.name) && !replaces {
            return Err(taken(&head.name));
        }
        let library = self.compile(&head, text, Some(LOADING_MAX))?;
        let former = self.libraries.get(&head.name).map_or(&[] as &[Function], |library| library.functions.as_slice());
        let is_taken = |function: &&Function| {
            let present = self.index.get(&function.script.name.to_ascii_lowercase());
            present.is_some_and(|present| !former.iter().any(|function| Rc::ptr_eq(&function.script, present)))
        };
        if let Some(function) = library.functions.iter().find(is_taken) {
            return Err(is_there(&function.script.name));
        }
        self.delete(head.name.as_bytes());
        add_to(&mut self.index, &library)?;
        self.libraries.insert(head.name.clone(), library);
        Ok(head.name)
    }

    /// Forgets a library; false if there is none of this name.
    pub(crate) fn delete(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.libraries.remove(&*String::from_utf8_lossy(name)) else { return false };
        for function in &library.functions {
            self.index.remove(&function.script.name.to_ascii_lowercase());
        }
        true
    }

    /// Forgets all libraries, and all that they have left behind.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.log.clone(), Rc::clone(&self.terms));
    }

    /// Loads several libraries.
    pub(crate) fn restore(&mut self, texts: &[Vec<u8>], policy: Policy) -> Result<(), String> {
        self.take(texts, policy, Some(LOADING_MAX))
    }

    fn take(&mut self, texts: &[Vec<u8>], policy: Policy, patience: Option<Duration>) -> Result<(), String> {
        let (mut restored, mut names) = (ByName::new(), Index::new());
        for text in texts {
            let head = Head::of(text)?;
            if restored.contains_key(&head.name) {
                return Err(taken(&head.name));
            }
            let library = self.compile(&head, text, patience)?;
            add_to(&mut names, &library)?;
            restored.insert(head.name, library);
        }
        let mut libraries = if policy == Policy::Flush { ByName::new() } else { self.libraries.clone() };
        for name in restored.keys() {
            if libraries.remove(name).is_some() && policy != Policy::Replace {
                return Err(format!("Library {name} already exists"));
            }
        }
        // Which function is told to be there already is a restored one.
        let mut index = index_of(&libraries)?;
        for (name, library) in restored {
            add_to(&mut index, &library)?;
            libraries.insert(name, library);
        }
        (self.libraries, self.index) = (libraries, index);
        Ok(())
    }

    /// The texts of all libraries.
    pub(crate) fn kept(&self) -> Libraries {
        self.libraries.iter().map(|(name, library)| (name.clone(), library.text.clone())).collect()
    }

    /// Has the libraries of these texts take the place of those that are here.
    pub(crate) fn become_those_of(&mut self, kept: &Libraries) -> Result<(), String> {
        let texts: Vec<Vec<u8>> = kept.iter().map(|(_, text)| text.to_vec()).collect();
        if texts.is_empty() && self.libraries.is_empty() {
            return Ok(());
        }
        // They were loaded elsewhere in time, and this machine may be a slower one.
        self.take(&texts, Policy::Flush, None)
    }

    /// The library that a text makes.
    fn compile(&mut self, head: &Head<'_>, text: &[u8], patience: Option<Duration>) -> Result<Rc<Library>, String> {
        let machine = self.machine().map_err(|error| error.to_string())?;
        machine.lua().expire_registry_values();
        let Purpose::Functions(registration) = machine.purpose() else { return Err("this is no place for it".into()) };
        let code = machine.compile(head.code).map_err(|fault| format!("Error compiling function: {fault}"))?;
        registration.begin();
        let outcome = machine.load_library(&code, patience);
        let registered = registration.end();
        outcome.map_err(|fault| format!("Error registering functions: {fault}"))?;
        if registered.is_empty() {
            return Err("No functions registered".into());
        }
        let functions = registered.into_iter().map(|function| Function {
            description: function.description,
            script: Rc::new(Script::new(function.name, function.flags, function.code, &[])),
        });
        Ok(Rc::new(Library { text: text.to_vec(), functions: functions.collect() }))
    }

    /// The machine that functions live in.
    pub(super) fn machine(&mut self) -> mlua::Result<Rc<Machine>> {
        if let Some(machine) = &self.machine {
            return Ok(Rc::clone(machine));
        }
        let purpose = Purpose::Functions(Registration::default());
        let machine = Rc::new(Machine::new(purpose, &self.log, Rc::clone(&self.terms))?);
        self.machine = Some(Rc::clone(&machine));
        Ok(machine)
    }
}

fn is_there(function: &str) -> String {
    format!("Function {function} already exists")
}

fn taken(name: &str) -> String {
    format!("Library '{name}' already exists")
}

fn index_of(libraries: &ByName) -> Result<Index, String> {
    let mut index = Index::new();
    libraries.values().try_for_each(|library| add_to(&mut index, library))?;
    Ok(index)
}

fn add_to(index: &mut Index, library: &Library) -> Result<(), String> {
    for function in &library.functions {
        let name = &function.script.name;
        if index.insert(name.to_ascii_lowercase(), Rc::clone(&function.script)).is_some() {
            return Err(is_there(name));
        }
    }
    Ok(())
}
