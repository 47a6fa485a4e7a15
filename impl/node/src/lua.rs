//! Owns scripts and the functions of libraries: the machines that they run in, those that are known, and the one that
//! runs.
//!
//! Must not know any command, nor how a client asks for a script.

mod bit;
mod cache;
mod cjson;
mod cmsgpack;
mod functions;
mod host;
mod machine;
mod native;
mod random;
mod redis;
mod registration;
mod reply;
mod running;
mod shebang;
mod structs;

pub(crate) use cache::{Cache, Script};
pub(crate) use functions::{Functions, Library};
pub(crate) use running::{Running, Terms};
pub(crate) use shebang::{Flags, parse as parse_shebang};

use crate::{
    client::Session,
    command::{Command, Traits},
    log::Log,
    server::Server,
};
use host::Host;
use machine::{Ended, Machine, Purpose, Start};
use mlua::{MultiValue, RegistryKey};
use sha1::{Digest as _, Sha1};
use slotbus_core::route::Keys;
use slotbus_wire::resp::{Args, OwnedArgs, Reply};
use std::{cell::RefCell, rc::Rc};

/// Everything about scripts.
#[derive(Debug)]
pub struct Scripts {
    /// Made for the first script: nobody has to pay for it who has none.
    machine: Option<Rc<Machine>>,
    /// Those that are known.
    pub(crate) cache: Cache,
    /// The functions of libraries.
    pub(crate) functions: Functions,
    /// The one that runs.
    pub(crate) running: Option<Running>,
    /// What the one that runs and the node both look at.
    pub(crate) terms: Rc<Terms>,
    log: Log,
}

impl Scripts {
    /// None are known.
    #[must_use]
    pub fn new(log: Log) -> Self {
        let terms = Rc::new(Terms::new());
        let functions = Functions::new(log.clone(), Rc::clone(&terms));
        Self { machine: None, cache: Cache::default(), functions, running: None, terms, log }
    }

    /// How many bytes the machine holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.machine.as_ref().map_or(0, |machine| machine.bytes())
    }

    /// Whether a script has run for so long that others are told.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.is_late)
    }

    /// Forgets all scripts, and all that they have left behind.
    pub(crate) fn clear(&mut self) {
        self.machine = None;
        self.cache = Cache::default();
    }

    /// The script of this text, which is known from now on.
    pub(crate) fn of_text(&mut self, text: &[u8]) -> Result<Rc<Script>, String> {
        let name = redis::hex(&Sha1::digest(text));
        if let Some(script) = self.cache.named(name.as_bytes()) {
            return Ok(script);
        }
        let (flags, code) = parse_shebang(text)?;
        let machine = self.machine().map_err(|error| error.to_string())?;
        let code = machine.compile(code).map_err(|fault| format!("Error compiling script (new function): {fault}"))?;
        let code = machine.keep(code).map_err(|error| error.to_string())?;
        Ok(self.cache.add(Script::new(name, flags, code, text)))
    }

    /// What holds for a request to run a script: what the script says of itself, if it does.
    pub(crate) fn traits(&self, command: &Command, args: Args<'_>) -> Traits {
        let flags = match command.name {
            "eval" | "eval_ro" => parse_shebang(args.at(1)).ok().map(|(flags, _)| flags),
            "evalsha" | "evalsha_ro" => self.cache.named(args.at(1)).map(|script| script.flags),
            "fcall" | "fcall_ro" => self.functions.named(args.at(1)).map(|script| script.flags),
            _ => None,
        };
        let Some(flags) = flags.filter(|flags| !flags.contains(Flags::SILENT)) else { return command.traits };
        let mut traits = command.traits;
        traits.set(Traits::WRITE, !flags.contains(Flags::NO_WRITES));
        // What changes no key needs no memory.
        traits.set(Traits::DENYOOM, !flags.intersects(Flags::ALLOW_OOM | Flags::NO_WRITES));
        traits.set(Traits::STALE, flags.contains(Flags::ALLOW_STALE));
        traits
    }

    fn machine(&mut self) -> mlua::Result<Rc<Machine>> {
        if let Some(machine) = &self.machine {
            return Ok(Rc::clone(machine));
        }
        let machine = Rc::new(Machine::new(Purpose::Scripts, &self.log, Rc::clone(&self.terms))?);
        self.machine = Some(Rc::clone(&machine));
        Ok(machine)
    }
}

/// What is to run.
pub(crate) struct Call<'c> {
    /// The script, or the function.
    pub(crate) script: &'c Script,
    /// The request for it, if it is a function.
    pub(crate) request: Option<Args<'c>>,
    /// Whether it must not write.
    pub(crate) is_readonly: bool,
    /// Keys, and other arguments.
    pub(crate) words: [Vec<&'c [u8]>; 2],
}

impl Server {
    /// Why a script cannot be run, by what it says of itself.
    pub(crate) fn refuse_script(&self, script: &Script, is_readonly: bool) -> Option<Reply<'static>> {
        if script.flags.contains(Flags::SILENT) {
            return self.is_stale_replica().then(|| {
                Reply::error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
            });
        }
        if script.flags.contains(Flags::NO_CLUSTER) && self.bus.is_some() {
            return Some(Reply::err("Can not run script on cluster, 'no-cluster' flag is set."));
        }
        (is_readonly && !script.flags.contains(Flags::NO_WRITES))
            .then(|| Reply::err("Can not execute a script with write flag using *_ro command."))
    }

    /// Runs a script for a client.
    pub(crate) fn run_script(&mut self, session: &mut Session, call: Call<'_>) -> Reply<'static> {
        let machine = match &call.request {
            Some(_) => self.scripts.functions.machine(),
            None => self.scripts.machine(),
        };
        let machine = match machine {
            Ok(machine) => machine,
            Err(error) => return Reply::err(error),
        };
        self.begin_script(&call);
        let (script, words) = (call.script, call.words);
        let before = (session.running, session.is_executing, self.lap);
        (session.is_executing, session.is_scripting) = (true, true);
        let outcome = self.run_code(session, &machine, &script.code, words);
        (session.running, session.is_executing, self.lap) = before;
        session.is_scripting = false;
        self.end_script();
        let outcome = outcome.and_then(|ended| reply_of(ended, script, &self.scripts.terms));
        outcome.unwrap_or_else(Reply::err)
    }

    fn begin_script(&mut self, call: &Call<'_>) {
        let (script, keys) = (call.script, &call.words[0]);
        self.scripts.terms.begin(self.limits.script_patience);
        self.store.serves_script = true;
        self.scripts.running = Some(Running {
            name: script.name.clone(),
            call: call.request.map(|request| OwnedArgs::collect(request.from(0))),
            flags: script.flags,
            is_readonly: call.is_readonly || script.flags.contains(Flags::NO_WRITES),
            has_written: false,
            is_out_of_memory: self.is_out_of_memory(),
            slot: self.bus.as_ref().and_then(|_| Keys::of(keys.iter().copied()).slot),
            is_late: false,
        });
    }

    fn end_script(&mut self) {
        if self.must_end() {
            // The end of the node has ended the script, too: then nobody learns what it has written.
            self.replication.writes.clear();
        }
        self.scripts.running = None;
        self.scripts.terms.end();
        self.store.serves_script = false;
    }

    /// Lends the node to the functions that the script calls, until it has ended.
    fn run_code(
        &mut self,
        session: &mut Session,
        machine: &Machine,
        code: &RegistryKey,
        words: [Vec<&[u8]>; 2],
    ) -> mlua::Result<Ended> {
        let terms = Rc::clone(&self.scripts.terms);
        let host = RefCell::new(Host { server: self, session, terms });
        machine.lua().scope(|scope| {
            let requests = [
                scope.create_function(|lua, values: MultiValue| host.borrow_mut().call(lua, &values))?,
                scope.create_function(|lua, values: MultiValue| host.borrow_mut().try_call(lua, &values))?,
                scope.create_function(|lua, values: MultiValue| host.borrow_mut().check(lua, &values))?,
            ];
            let look_after = scope.create_function(|_, ()| {
                host.borrow_mut().server.go_on_during_script();
                Ok(())
            })?;
            machine.run(Start { code, words, requests, look_after })
        })
    }
}

fn reply_of(ended: Ended, script: &Script, terms: &Terms) -> mlua::Result<Reply<'static>> {
    match ended {
        Ended::Well(value) => reply::of_lua(&value, terms.protocol.get()),
        Ended::Badly(text, None) => Ok(Reply::error(text)),
        Ended::Badly(text, Some(place)) => Ok(Reply::error(format!("{text} script: {}, on {place}.", script.name))),
    }
}
