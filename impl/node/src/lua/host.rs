//! Owns the way of a script's request to its command: what a script may not ask for is refused, in
//! redis-server's order; the rest is carried out for the client whose script it is.

use super::{
    native::{Fault, Outcome, error_table, raise, refusal},
    redis::request,
    reply::to_lua,
    running::Terms,
    shebang::Flags,
};
use crate::{
    client::Session,
    command::{Command, Traits},
    dispatch,
    server::Server,
    users::Denial,
};
use mlua::{Lua, MultiValue, Value};
use slotbus_core::route::Decision;
use slotbus_wire::resp::Args;
use std::rc::Rc;

/// What a script works on.
pub(super) struct Host<'a> {
    /// The node.
    pub(super) server: &'a mut Server,
    /// The client whose script it is.
    pub(super) session: &'a mut Session,
    /// What is known of the script.
    pub(super) terms: Rc<Terms>,
}

impl Host<'_> {
    /// Carries out a request; raises the error that it is answered with.
    pub(super) fn call(&mut self, lua: &Lua, values: &MultiValue) -> mlua::Result<Value> {
        let outcome = request(values).and_then(|request| match self.answer(lua, request.args())? {
            (value, None) => Ok(value),
            (_, Some(error)) => Err(Fault::Told(error)),
        });
        raise(lua, outcome)
    }

    /// Carries out a request; an error that it is answered with is a value.
    pub(super) fn try_call(&mut self, lua: &Lua, values: &MultiValue) -> mlua::Result<Value> {
        let (value, error) = match request(values) {
            Ok(request) => self.answer(lua, request.args())?,
            Err(Fault::Told(text)) => (Value::Table(error_table(lua, &text)?), Some(text)),
            Err(fault) => return raise(lua, Err(fault)),
        };
        if let (Value::Table(table), Some(_)) = (&value, error) {
            // The error is counted already, where it comes from.
            table.raw_set("ignore_error_stats_update", true)?;
        }
        Ok(value)
    }

    /// The answer to a request, and the error that it is.
    fn answer(&mut self, lua: &Lua, args: Args<'_>) -> mlua::Result<(Value, Option<String>)> {
        let command = match self.admit(args) {
            Ok(command) => command,
            Err(text) => {
                self.server.note_error(&text);
                return Ok((Value::Table(error_table(lua, &text)?), Some(text)));
            }
        };
        let (is_asking, is_readonly) = (self.session.is_asking, self.session.is_readonly);
        let reply = dispatch::run(self.server, self.session, command, args);
        // What a request says about the connection does not outlast it.
        (self.session.is_asking, self.session.is_readonly) = (is_asking, is_readonly);
        let error = reply.error_text().map(ToOwned::to_owned);
        let value = to_lua(lua, &reply, self.terms.protocol.get());
        drop(reply);
        self.server.note_done(self.session, args, error.as_deref());
        Ok((value?, error))
    }

    /// Whether the user may make a request.
    pub(super) fn check(&mut self, lua: &Lua, values: &MultiValue) -> mlua::Result<bool> {
        raise(lua, self.may(values))
    }

    fn may(&self, values: &MultiValue) -> Outcome<bool> {
        let request = request(values)?;
        let unknown = |_| refusal("Invalid command passed to redis.acl_check_cmd()");
        let command = dispatch::look_up(request.args()).map_err(unknown)?;
        Ok(self.session.user.as_ref().is_none_or(|user| user.check(command, request.args()).is_ok()))
    }

    /// Whether a request may be carried out.
    fn admit(&mut self, args: Args<'_>) -> Result<&'static Command, String> {
        let command = dispatch::look_up(args).map_err(|_| "ERR Unknown Redis command called from script")?;
        if !command.takes(args.len()) {
            return Err("ERR Wrong number of args calling Redis command from script".into());
        }
        // A script cannot wait for the other server that MIGRATE speaks to.
        if command.traits.contains(Traits::NOSCRIPT) || command.name == "migrate" {
            return Err("ERR This Redis command is not allowed from script".into());
        }
        if self.server.is_stale_replica() && !command.traits.contains(Traits::STALE) {
            return Err("ERR Can not execute the command on a stale replica".into());
        }
        dispatch::check_user(self.server, self.session, command, args).map_err(|denial| refused_to_user(&denial))?;
        self.check_write(command)?;
        self.check_memory(command)?;
        if command.traits.contains(Traits::WRITE)
            && let Some(running) = &mut self.server.scripts.running
        {
            running.has_written = true;
        }
        self.check_slot(command, args)?;
        Ok(command)
    }

    /// The state of the node is looked at until the script has written: then it must be able to end.
    fn check_write(&self, command: &Command) -> Result<(), String> {
        let Some(running) = &self.server.scripts.running else { return Ok(()) };
        if running.is_readonly && command.traits.intersects(dispatch::MAY_CHANGE) {
            return Err("ERR Write commands are not allowed from read-only scripts.".into());
        }
        if !command.traits.contains(Traits::WRITE) {
            return Ok(());
        }
        let refusal = if running.has_written { None } else { dispatch::refuse_write(self.server, command) };
        refusal.map_or(Ok(()), |reply| Err(reply.error_text().unwrap_or_default().to_owned()))
    }

    fn check_memory(&self, command: &Command) -> Result<(), String> {
        let is_refused = self.server.scripts.running.as_ref().is_some_and(|running| {
            running.is_out_of_memory && !running.has_written && !running.flags.contains(Flags::ALLOW_OOM)
        });
        if is_refused && command.traits.contains(Traits::DENYOOM) {
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        Ok(())
    }

    /// Keys have to be here, and in one slot unless the script says otherwise.
    fn check_slot(&mut self, command: &'static Command, args: Args<'_>) -> Result<(), String> {
        // The keys that a script names are waited for; others would be lost with what is written to them.
        if command.keys_of(args).any(|key| self.server.migrations.carry(key)) {
            return Err("ERR Script attempted to access a key that is being moved to another server".into());
        }
        let Some((decision, slot)) = dispatch::locate_for_script(self.server, self.session, command, args) else {
            return Ok(());
        };
        match decision {
            Decision::Serve => {}
            Decision::DownForWrites => {
                return Err(
                    "ERR Script attempted to execute a write command while the cluster is down and readonly".into()
                );
            }
            Decision::Down => return Err("ERR Script attempted to execute a command while the cluster is down".into()),
            Decision::SlotUnserved
            | Decision::CrossSlot
            | Decision::TryAgain
            | Decision::Ask(..)
            | Decision::Moved(..) => {
                return Err("ERR Script attempted to access a non local key in a cluster node".into());
            }
        }
        let Some(running) = &mut self.server.scripts.running else { return Ok(()) };
        if slot.is_none() || running.flags.intersects(Flags::SILENT | Flags::ALLOW_CROSS_SLOT) {
            return Ok(());
        }
        match running.slot {
            Some(_) if running.slot != slot => {
                Err("ERR Script attempted to access keys that do not hash to the same slot".into())
            }
            _ => {
                running.slot = slot;
                Ok(())
            }
        }
    }
}

fn refused_to_user(denial: &Denial) -> String {
    match denial {
        Denial::Command => "ERR The user executing the script can't run this command or subcommand",
        Denial::Key(..) => {
            "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments"
        }
        Denial::Channel(..) => {
            "ERR The user executing the script can't publish to the channel mentioned in the command"
        }
    }
    .into()
}
