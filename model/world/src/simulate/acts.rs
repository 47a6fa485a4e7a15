//! How what is done from outside is carried out: faults, repairs, commands and scripts of commands.
//! An administrator's script goes on when a command was accepted; whether it is, nodes decide.

use super::{
    engine::{Due, Engine, link_at, own_epoch},
    network::Side,
    oracle::{Trigger, Violation},
    plan::{Act, Crash, Move},
};
use slotbus_core::{Command, Event, FailoverMode, Flags, Reply, RequestId, Slot, SlotChange};
use std::collections::BTreeSet;

/// A script's next command comes after this long.
const SCRIPT_MS: u64 = 50;
/// A command that was refused is given again after this long.
const AGAIN_MS: u64 = 500;
/// A node that did not join is met again after so many node timeouts.
const MEET_AGAIN_TIMEOUTS: u64 = 3;

impl Engine<'_> {
    pub(super) fn act_at(&mut self, after_ms: u64, act: Act) {
        self.push(self.now_ms + after_ms, Due::Act(Box::new(act)));
    }

    pub(super) fn has_acts_ahead(&self) -> bool {
        self.acts_ahead > 0
    }

    pub(super) fn act(&mut self, act: Act) -> Result<(), Violation> {
        self.tell_act(|| act.to_string());
        match act {
            Act::Crash(place, Crash::AfterSave) => {
                self.machines[place].dies_after_save = self.machines[place].node.is_some();
                Ok(())
            }
            Act::Crash(place, crash) => self.crash(place, crash),
            Act::Restart(place) => self.restart(place),
            Act::Part(pairs) => {
                pairs.iter().for_each(|&(left, right)| self.network.sever(left, right));
                Ok(())
            }
            Act::Heal(pairs) => pairs.into_iter().try_for_each(|(left, right)| self.heal(left, right)),
            Act::Cut(left, right) => self.cut(left, right),
            Act::Stall(place) => {
                self.machines[place].is_stalled = self.machines[place].node.is_some();
                Ok(())
            }
            Act::Resume(place) => self.resume(place),
            Act::Failover(place, mode) => self.command(place, Command::Failover(mode)).map(|_| ()),
            Act::BumpEpoch(place) => self.command(place, Command::BumpEpoch).map(|_| ()),
            Act::Replicate(replica, primary) => self.make_replica(replica, primary),
            Act::Move(next) => self.move_slot(next),
            Act::Expel(place) => self.expel(place),
            Act::Readmit(place) => self.readmit(place),
        }
    }

    /// Ends every fault and every script, and brings every machine back.
    pub(super) fn calm(&mut self) -> Result<(), Violation> {
        self.drop_acts();
        self.is_calm = true;
        let count = self.machines.len();
        for place in 0..count {
            self.machines[place].dies_after_save = false;
            self.resume(place)?;
            self.restart(place)?;
        }
        for left in 0..count {
            for right in left + 1..count {
                while !self.network.reaches(left, right) {
                    self.heal(left, right)?;
                }
            }
        }
        (0..count).try_for_each(|place| self.close_open_slots(place))?;
        if self.has_forgotten {
            // Bans end, then everybody is met again by whoever may have forgotten them: on request, or
            // with what was not yet on its disk.
            let ban_ms = self.machines[0].config.timing.forget_ms + self.timeout_ms();
            (0..count).for_each(|place| self.act_at(ban_ms, Act::Readmit(place)));
        }
        Ok(())
    }

    /// Ends the moves that a script began and did not finish, as an administrator must.
    fn close_open_slots(&mut self, place: usize) -> Result<(), Violation> {
        let Some(node) = &self.machines[place].node else { return Ok(()) };
        let open: BTreeSet<Slot> = node.importing().keys().chain(node.migrating().keys()).copied().collect();
        for slot in open {
            self.command(place, Command::SetSlot { slot, change: SlotChange::Stable, has_keys: false })?;
        }
        Ok(())
    }

    pub(super) fn crash(&mut self, place: usize, crash: Crash) -> Result<(), Violation> {
        if self.machines[place].node.is_none() {
            return Ok(());
        }
        let is_power = crash == Crash::Power;
        self.tell_act(|| format!("n{place} is gone"));
        self.machines[place].lose_memory();
        self.inboxes[place].clear();
        for (id, side) in self.network.of(place) {
            if is_power {
                self.network.close(id, side);
            } else {
                self.close(id, side);
            }
        }
        if is_power {
            self.has_forgotten = true;
            let machine = &mut self.machines[place];
            machine.is_powered = false;
            machine.disk = machine.synced.clone();
            machine.disk_epoch = own_epoch(&machine.disk);
            machine.offset = 0;
        }
        Ok(())
    }

    fn restart(&mut self, place: usize) -> Result<(), Violation> {
        if self.machines[place].node.is_some() {
            return Ok(());
        }
        self.start(place)
    }

    fn resume(&mut self, place: usize) -> Result<(), Violation> {
        self.machines[place].is_stalled = false;
        for due in std::mem::take(&mut self.inboxes[place]) {
            match due {
                Due::Arrive(connection, to, parcel) => self.take(connection, to, parcel)?,
                Due::Wake(place) => self.step(place, Event::Tick, &Trigger::Other)?,
                Due::Establish(..) | Due::Refuse(..) | Due::Replicate | Due::Command(..) | Due::Act(_) => {}
            }
        }
        Ok(())
    }

    /// Takes one parting back; what waited is delivered at once, in order.
    fn heal(&mut self, left: usize, right: usize) -> Result<(), Violation> {
        self.network.heal(left, right);
        if !self.network.reaches(left, right) {
            return Ok(());
        }
        for id in self.network.between(left, right) {
            for side in [Side::Opener, Side::Target] {
                let connection = self.network.get(id).filter(|connection| connection.is_up);
                let waiting = connection.map(|connection| std::mem::take(connection.waiting(side)));
                for parcel in waiting.unwrap_or_default() {
                    self.happen(Due::Arrive(id, side, parcel))?;
                }
            }
        }
        Ok(())
    }

    /// Resets every connection between two machines: both ends are told, and what is in flight is lost.
    fn cut(&mut self, left: usize, right: usize) -> Result<(), Violation> {
        for id in self.network.between(left, right) {
            let Some(connection) = self.network.get(id) else { continue };
            let (machines, numbers, is_open) = (connection.machines, connection.numbers, connection.is_open);
            for side in [Side::Opener, Side::Target] {
                self.network.close(id, side);
            }
            for side in [Side::Opener, Side::Target].into_iter().filter(|side| is_open[*side as usize]) {
                let (place, link) = (machines[side as usize], link_at(numbers, side));
                if self.machines[place].connection(link) == Some(id) {
                    self.machines[place].set_connection(link, None);
                    self.step(place, Event::LinkDown { link }, &Trigger::Other)?;
                }
            }
        }
        Ok(())
    }

    /// Gives a command; none if nobody takes it.
    pub(super) fn command(&mut self, place: usize, command: Command) -> Result<Option<Reply>, Violation> {
        let machine = &mut self.machines[place];
        if machine.node.is_none() || machine.is_stalled {
            return Ok(None);
        }
        machine.reply = None;
        // A takeover changes who owns slots without asking voters.
        self.oracle.has_resized |= matches!(command, Command::Failover(FailoverMode::Takeover));
        self.step(place, Event::Admin { request: RequestId(0), command }, &Trigger::Command)?;
        Ok(self.machines[place].reply.take())
    }

    fn make_replica(&mut self, replica: usize, primary: usize) -> Result<(), Violation> {
        let primary_id = self.machines[primary].id;
        let is_forming = !self.oracle.has_resized && self.is_calm;
        let reply = self.command(replica, Command::Replicate { primary: primary_id, has_keys: false })?;
        if reply != Some(Reply::Done) && is_forming {
            self.act_at(AGAIN_MS, Act::Replicate(replica, primary));
        }
        Ok(())
    }

    fn move_slot(&mut self, mut next: Move) -> Result<(), Violation> {
        let owned =
            |place: usize| self.machines[place].node.as_ref().and_then(|node| node.myself().slots.iter().next());
        next.slot = next.slot.or_else(|| owned(next.from));
        let Some(slot) = next.slot else { return Ok(()) };
        let (from, to) = (self.machines[next.from].id, self.machines[next.to].id);
        let Some((place, command)) = next.next(slot, from, to) else { return Ok(()) };
        self.oracle.has_resized = true;
        if self.command(place, command)? == Some(Reply::Done) {
            next.done += 1;
            self.act_at(SCRIPT_MS, Act::Move(next));
        }
        Ok(())
    }

    fn expel(&mut self, place: usize) -> Result<(), Violation> {
        let id = self.machines[place].id;
        self.has_forgotten = true;
        self.oracle.has_resized = true;
        for other in (0..self.machines.len()).filter(|&other| other != place) {
            self.command(other, Command::Forget(id))?;
        }
        Ok(())
    }

    /// Has the first other node meet a node; while all is calm, until it knows it.
    fn readmit(&mut self, place: usize) -> Result<(), Violation> {
        let host = usize::from(place == 0);
        if self.is_calm {
            if self.is_member(host, place) && self.is_member(place, host) {
                return Ok(());
            }
            self.act_at(MEET_AGAIN_TIMEOUTS * self.timeout_ms(), Act::Readmit(place));
        }
        let target = &self.machines[place];
        let meet = Command::Meet { host: target.ip.clone(), port: target.config.port, cport: target.config.cport };
        self.command(host, meet).map(|_| ())
    }

    /// Whether an administrator sees a machine's node in another's table.
    fn is_member(&self, host: usize, place: usize) -> bool {
        let id = self.machines[place].id;
        let entry = self.machines[host].node.as_ref().and_then(|node| node.peers().get(&id));
        entry.is_some_and(|peer| !peer.is_any(Flags::HANDSHAKE | Flags::NOADDR))
    }
}
