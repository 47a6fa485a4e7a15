//! Owns what comes from the primary: a copy of all keys, gathered beside the present ones, and requests.
//!
//! Must not serve clients. Keys do not expire while the primary's requests are carried out: it says
//! itself when they do.

use super::Done;
use crate::{
    config::Settings,
    dispatch,
    server::Server,
    snapshot::Loader,
    store::{Expired, Store},
};
use slotbus_replication::Event;
use slotbus_wire::resp::{Args, OwnedArgs, Reply};

/// A copy of the primary's keys that is arriving.
#[derive(Debug)]
pub struct Intake {
    store: Store,
    loader: Loader,
}

impl Intake {
    /// A copy of which nothing has arrived.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let mut store = Store::of(settings);
        store.set_time(slotbus_core::Millis(0), Expired::There);
        Self { store, loader: Loader::default() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.loader.take(&mut self.store, bytes)
    }

    fn finish(mut self) -> Result<Store, String> {
        match self.loader.finish(&mut self.store)? {
            false => Err("The keys end too soon".into()),
            true if self.loader.into_tail().is_empty() => Ok(self.store),
            true => Err("Something follows behind the end of the keys".into()),
        }
    }
}

impl Server {
    pub(super) fn load(&mut self, bytes: &[u8]) -> Done {
        match self.replication.intake.as_mut().map(|intake| intake.take(bytes)) {
            Some(Err(fault)) => self.refuse_copy(&fault),
            Some(Ok(())) | None => Done::Well,
        }
    }

    fn refuse_copy(&mut self, fault: &str) -> Done {
        self.replication.intake = None;
        self.log.warning(format_args!("Failed trying to load the MASTER synchronization DB: {fault}"));
        self.replicate(Event::Unloadable);
        Done::InVain
    }

    /// Puts the copy in the place of the keys. Until then those of before are served.
    pub(super) fn end_load(&mut self) -> Done {
        let Some(intake) = self.replication.intake.take() else { return Done::InVain };
        match intake.finish() {
            Ok(store) => {
                if let Err(fault) = self.scripts.functions.become_those_of(&store.libraries) {
                    return self.refuse_copy(&format!("a library of functions cannot be loaded: {fault}"));
                }
                self.store.take_over(store);
                self.rebase_aof();
                self.log.notice(format_args!("MASTER <-> REPLICA sync: {} keys loaded", self.store.len()));
                self.replicate(Event::Loaded);
                Done::Well
            }
            Err(fault) => self.refuse_copy(&fault),
        }
    }

    /// Carries out requests of the primary.
    pub(super) fn apply(&mut self, requests: &[OwnedArgs]) -> Done {
        self.store.set_time(self.now, Expired::There);
        let outcome = requests.iter().try_for_each(|request| self.apply_one(request.args()));
        if outcome.is_ok() {
            self.record_applied(requests);
        }
        self.counters.commands += requests.len() as u64;
        self.follow_up(None);
        match outcome {
            Ok(()) => Done::Well,
            Err(fault) => {
                self.log.warning(format_args!("A request of the primary cannot be carried out: {fault}"));
                self.replicate(Event::Inapplicable);
                Done::InVain
            }
        }
    }

    fn apply_one(&mut self, args: Args<'_>) -> Result<(), String> {
        if args.at(0).eq_ignore_ascii_case(b"function") {
            return self.follow_change_of_functions(args);
        }
        let run = dispatch::look_up_data(args).map_err(|unfit| unfit.to_string())?;
        answered(args, run(&mut self.store, args))
    }
}

/// A primary has had its own requests carried out.
fn answered(args: Args<'_>, outcome: Result<Reply<'_>, Reply<'_>>) -> Result<(), String> {
    match outcome {
        Ok(_) => Ok(()),
        Err(refusal) => Err(format!("'{}' is answered with {refusal:?}", String::from_utf8_lossy(args.at(0)))),
    }
}
