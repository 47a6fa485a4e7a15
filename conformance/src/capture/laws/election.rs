//! What votes, failures, claims and manual failovers need to have come before them.

use super::{IN_FLIGHT, Judge, Said};
use slotbus_core::{
    Body, CLUSTER_SLOTS, NodeId, Rule,
    message::{Claim, MessageFlags},
};

impl Judge {
    pub(super) fn election_laws(&mut self, said: &Said) {
        self.manual_marks(said);
        match &said.message.body {
            Body::FailoverAuthRequest => self.request(said),
            Body::FailoverAuthAck => self.vote(said),
            Body::Fail(node) => self.fail(said, *node),
            Body::Update(claim) => self.update(said, claim),
            Body::ManualFailoverStart => self.manual_start(said),
            Body::Ping(_)
            | Body::Pong(_)
            | Body::Meet(_)
            | Body::Publish(_)
            | Body::Module(_)
            | Body::PublishShard(_) => {}
        }
    }

    fn manual_marks(&mut self, said: &Said) {
        let header = said.header();
        let was_asked = self.heard.get(&header.sender).is_some_and(|heard| heard.was_asked_to_pause);
        if header.mflags.contains(MessageFlags::PAUSED)
            && self.is_from_start
            && !was_asked
            && !self.has_led_paused(said)
        {
            self.refuse(said, Rule::ManualPaused, "says that clients are paused, and nobody asked for it".to_owned());
        }
        let is_request = matches!(said.message.body, Body::FailoverAuthRequest);
        if header.mflags.contains(MessageFlags::FORCEACK) && !is_request {
            self.refuse(said, Rule::ManualForced, "demands a vote without asking for one".to_owned());
        }
    }

    /// The winner of a manual failover announces itself with the mark of its own election still set.
    fn has_led_paused(&self, said: &Said) -> bool {
        let header = said.header();
        header.primary.is_none() && self.has_asked(said, header.config_epoch)
    }

    fn request(&mut self, said: &Said) {
        let header = said.header();
        let Some(primary) = header.primary else {
            return self.refuse(said, Rule::ElectAsked, "a node without a primary asks for votes".to_owned());
        };
        let was_told = self.heard.get(&header.sender).is_some_and(|heard| heard.failed.contains(&primary));
        let is_failed = was_told || self.has_failed(said, primary);
        if !header.mflags.contains(MessageFlags::FORCEACK) && !is_failed && self.is_from_start {
            let what = format!("asks for votes, and its primary {primary} has not failed");
            self.refuse(said, Rule::ElectAsked, what);
        }
    }

    fn vote(&mut self, said: &Said) {
        let (header, epoch) = (said.header(), said.header().current_epoch);
        if header.primary.is_some() || header.slots.is_empty() {
            self.refuse(said, Rule::ElectNotVoter, "votes without being a primary with slots".to_owned());
        }
        let Some(to) = said.to else { return };
        let earlier = self.told.get(&header.sender).and_then(|told| told.voted.get(&epoch)).copied();
        if let Some(earlier) = earlier {
            let what = format!("votes a second time in epoch {epoch}; the first vote was for {earlier}");
            self.refuse(said, Rule::ElectRefusedVoted, what);
        }
        let Some(heard) = self.heard.get(&header.sender).filter(|heard| heard.headers.contains_key(&to)) else {
            return;
        };
        let Some(request) = heard.requests.get(&(to, epoch)) else {
            let what = format!("votes for {to} in epoch {epoch}, in which that one did not ask");
            return self.refuse(said, Rule::ElectVoted, what);
        };
        let greater = heard.headers.iter().find(|(id, (at, other))| {
            **id != to
                && other.primary.is_none()
                && other.config_epoch > request.config_epoch
                && said.at.saturating_sub(*at) > IN_FLIGHT
                && other.slots.iter().any(|slot| request.slots.contains(slot))
        });
        if let Some((owner, _)) = greater {
            let what = format!("votes for a claim of {to} to slots that {owner} has under a greater epoch");
            self.refuse(said, Rule::ElectRefusedClaim, what);
        }
    }

    fn fail(&mut self, said: &Said, node: NodeId) {
        let header = said.header();
        let reports = self.heard.get(&header.sender).and_then(|heard| heard.reports.get(&node));
        let reports = reports.map_or(0, |reports| reports.iter().filter(|by| **by != header.sender).count());
        let own = usize::from(header.primary.is_none());
        let voters = self.voters(header.sender, header);
        if self.is_from_start && (reports + own) * 2 <= voters {
            let what = format!("fails {node} with {} reports of {voters} voters", reports + own);
            self.refuse(said, Rule::HealthFailed, what);
        }
        if node == header.sender {
            self.refuse(said, Rule::HealthFailed, "fails itself".to_owned());
        }
    }

    fn update(&mut self, said: &Said, claim: &Claim<CLUSTER_SLOTS>) {
        let Some(to) = said.to else { return };
        let known = self.told.get(&claim.node);
        let is_told = known.is_some_and(|told| told.epochs.contains(&claim.config_epoch));
        // After its last packet, the claimant may have had no occasion to tell what it was given.
        let is_within = known
            .is_some_and(|told| told.last < said.number || claim.slots.iter().all(|slot| told.slots.contains(slot)));
        if self.is_from_start && !(is_told && is_within) {
            let what =
                format!("tells of a claim of {} under epoch {} that it never made", claim.node, claim.config_epoch);
            self.refuse(said, Rule::SlotUpdateSent, what);
        }
        let theirs = self.heard.get(&said.from()).map(|heard| {
            let claims = heard.claims.iter().filter(|((id, epoch), _)| *id == to && *epoch < claim.config_epoch);
            claims.flat_map(|(_, slots)| slots.iter()).any(|slot| claim.slots.contains(slot))
        });
        if theirs == Some(false) && self.is_from_start {
            let what = format!("tells {to} of a claim that its own is not older than");
            self.refuse(said, Rule::SlotUpdateSent, what);
        }
    }

    fn manual_start(&mut self, said: &Said) {
        if let Some(to) = said.to.filter(|to| said.header().primary != Some(*to)) {
            self.refuse(said, Rule::ManualUnasked, format!("asks {to} to pause, which is not its primary"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Judged, judge};
    use crate::capture::{Seen, Sight};
    use slotbus_core::{
        Address, Body, CLUSTER_SLOTS, ClusterState, Header, Host, NodeId, Rule, Slot, SlotSet,
        message::{Claim, Flags, Heartbeat, MessageFlags},
    };
    use slotbus_wire::bus::{self, BusMessage};
    use std::time::Duration;

    const A: NodeId = NodeId([1; 20]);
    const B: NodeId = NodeId([2; 20]);
    const C: NodeId = NodeId([3; 20]);

    fn slots(numbers: &[u16]) -> SlotSet<CLUSTER_SLOTS> {
        let mut set = SlotSet::new();
        numbers.iter().for_each(|number| {
            set.insert(Slot(*number));
        });
        set
    }

    fn header(sender: NodeId, epoch: u64, numbers: &[u16]) -> Header<CLUSTER_SLOTS> {
        Header {
            sender,
            current_epoch: epoch,
            config_epoch: epoch,
            offset: 0,
            slots: slots(numbers),
            primary: None,
            address: Address { host: Host::Unknown, port: 7000, pport: 0, cport: 17000 },
            flags: Flags::PRIMARY,
            state: ClusterState::Ok,
            mflags: MessageFlags::empty(),
        }
    }

    /// Packets in their order, each with its connection and whether the caller speaks.
    fn seen(packets: Vec<(u64, bool, Header<CLUSTER_SLOTS>, Body<CLUSTER_SLOTS>)>) -> Vec<Sight> {
        let numbered = (1..).zip(packets);
        let seen = numbered.map(|(number, (connection, by_caller, header, body))| {
            let mut bytes = Vec::new();
            bus::encode(&BusMessage { header, body }, &mut bytes);
            Seen { number, frame: number, at: Duration::from_millis(number), connection, by_caller, bytes }
        });
        seen.map(Sight::Packet).collect()
    }

    /// A tells C that B claims slots 1 and 2. B has told of slot 1 before, and says later what it is given here.
    fn an_update(later: Option<&[u16]>) -> Judged {
        let pong = || Body::Pong(Heartbeat::default());
        let mut packets = vec![
            (1, true, header(A, 1, &[7]), Body::Meet(Heartbeat::default())),
            (1, false, header(B, 9, &[1]), pong()),
            (2, true, header(C, 3, &[1, 2]), Body::Meet(Heartbeat::default())),
            (2, false, header(A, 9, &[7]), pong()),
            (3, true, header(A, 9, &[7]), Body::Ping(Heartbeat::default())),
            (3, false, header(C, 9, &[1, 2]), pong()),
            (3, true, header(A, 9, &[7]), Body::Update(Claim { node: B, config_epoch: 9, slots: slots(&[1, 2]) })),
        ];
        packets.extend(later.map(|numbers| (1, false, header(B, 9, numbers), pong())));
        judge(&seen(packets))
    }

    fn is_refused(judged: &Judged) -> bool {
        judged.differences.iter().any(|difference| difference.rule == Some(Rule::SlotUpdateSent))
    }

    #[test]
    fn an_update_may_tell_of_a_gift_before_the_claimant_does() {
        assert!(!is_refused(&an_update(Some(&[1, 2]))), "it says so later");
        assert!(!is_refused(&an_update(None)), "it had no occasion to say so");
        assert!(is_refused(&an_update(Some(&[1]))), "it never says so");
    }
}
