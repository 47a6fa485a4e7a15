//! Owns what the node does while a script runs for too long: it takes clients in and tells them so, lets them
//! end the script, and answers on the bus, so that others do not hold the node failed.
//!
//! Must not touch keys, nor hand on what the script has written so far: it is one step, of which others see the
//! end only. What has to do with either is left for later.

use crate::{
    doors::{Readiness, SCRATCH_BYTES},
    server::Server,
    wake::Wake,
};
use std::time::Duration;

impl Server {
    /// Looks after clients and peers once; has the script end if the node is to.
    pub(crate) fn go_on_during_script(&mut self) {
        self.tell_of_slow_script();
        let begun = self.now;
        self.now = self.clock.now();
        let mut scratch = vec![0; SCRATCH_BYTES];
        // What keeps the poll from telling what is ready will do so again, and then end the node.
        let _ = self.doors.wait(Duration::ZERO);
        for readiness in std::mem::take(&mut self.doors.pending) {
            self.wake_during_script(readiness, &mut scratch);
        }
        let ready = std::mem::take(&mut self.ready);
        for key in ready.into_iter().chain(std::mem::take(&mut self.doors.busy)) {
            self.serve_client(key, false, &mut scratch);
        }
        self.send_replies();
        self.tell_bus();
        if let Some(bus) = &mut self.bus {
            bus.tick();
            bus.flush();
        }
        // For the script no time passes.
        self.now = begun;
        if self.must_end() {
            self.scripts.terms.is_killed.set(true);
        }
    }

    fn tell_of_slow_script(&mut self) {
        let duration_ms = self.scripts.terms.since.get().elapsed().as_millis();
        let Some(running) = self.scripts.running.as_mut().filter(|running| !running.is_late) else { return };
        running.is_late = true;
        self.log.warning(format_args!(
            "Slow script detected: still in execution after {duration_ms} milliseconds. You can try killing the script \
             using the {} command. Script name is: {}.",
            running.remedy(),
            running.name
        ));
    }

    fn wake_during_script(&mut self, readiness: Readiness, scratch: &mut [u8]) {
        match Wake::of(readiness.token) {
            Some(wake @ Wake::ClientArrives(_)) => self.accept_clients(wake),
            Some(wake @ Wake::NodeArrives(_)) => self.accept_nodes(wake),
            // The client whose script runs is not in its place.
            Some(Wake::Client(key)) if self.clients.get(key).is_some() => {
                self.wake_client(key, readiness, scratch);
            }
            Some(Wake::Link(key)) => {
                self.tell_bus();
                if let Some(bus) = &mut self.bus {
                    bus.ready(key, readiness, scratch);
                }
            }
            Some(Wake::Client(_) | Wake::Ends(_) | Wake::Migration(_) | Wake::Primary(_)) => {
                self.doors.pending.push_back(readiness);
            }
            None => {}
        }
    }
}
