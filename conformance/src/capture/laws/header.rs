//! How headers of one node may change on one connection: epochs rise for a reason, claims are taken under
//! greater epochs, roles change by elections, by claims of others, or by commands.

use super::{IN_FLIGHT, Judge, Said};
use slotbus_core::{CLUSTER_SLOTS, Header, NodeId, Rule, SlotSet};
use std::collections::BTreeSet;

impl Judge {
    pub(super) fn header_laws(&mut self, said: &Said) {
        let header = said.header();
        if header.primary.is_none() && header.config_epoch > header.current_epoch {
            let what =
                format!("the config epoch {} exceeds the current epoch {}", header.config_epoch, header.current_epoch);
            self.refuse(said, Rule::EpochRaised, what);
        }
        let Some(last) = self.lines.get(&(said.connection, said.by_caller)).and_then(|line| line.last.clone()) else {
            return;
        };
        if last.sender != header.sender {
            return;
        }
        self.current_epoch(said, &last);
        match (last.primary, header.primary) {
            (None, None) => {
                self.own_epoch(said, &last);
                self.taken_slots(said, &last);
            }
            (Some(_), None) => self.promotion(said, &last),
            (None, Some(_)) => self.demotion(said, &last),
            (Some(before), Some(after)) if before == after && header.config_epoch < last.config_epoch => {
                let what =
                    format!("the epoch of its primary went back from {} to {}", last.config_epoch, header.config_epoch);
                self.refuse(said, Rule::EpochClaimRaised, what);
            }
            (Some(_), Some(primary)) => self.epoch_of_primary(said, &last, primary),
        }
    }

    fn heard_epoch(&self, node: NodeId) -> u64 {
        self.heard.get(&node).map_or(0, |heard| heard.epoch)
    }

    fn current_epoch(&mut self, said: &Said, last: &Header<CLUSTER_SLOTS>) {
        let header = said.header();
        let (before, after) = (last.current_epoch, header.current_epoch);
        if after < before {
            return self.refuse(
                said,
                Rule::EpochRaised,
                format!("the current epoch went back from {before} to {after}"),
            );
        }
        // Whoever takes a new epoch claims under it, asks for votes in it, or has asked.
        let is_own = header.config_epoch == after || self.has_asked(said, after);
        if after > before.max(self.heard_epoch(header.sender)) && !is_own {
            let what = format!("the current epoch rose from {before} to {after}, which the sender heard from nobody");
            self.refuse(said, Rule::EpochRaised, what);
        }
    }

    fn own_epoch(&mut self, said: &Said, last: &Header<CLUSTER_SLOTS>) {
        let (before, after) = (last.config_epoch, said.header().config_epoch);
        if after < before && !said.header().slots.is_empty() {
            let what = format!("the config epoch of a primary went back from {before} to {after}");
            return self.refuse(said, Rule::EpochBumped, what);
        }
        if after > before && before > 0 && after <= last.current_epoch {
            let what = format!("the config epoch rose from {before} to {after}, which is no new epoch");
            self.refuse(said, Rule::EpochBumped, what);
        }
    }

    fn taken_slots(&mut self, said: &Said, last: &Header<CLUSTER_SLOTS>) {
        let header = said.header();
        if header.slots == last.slots {
            return;
        }
        let taken = minus(&header.slots, &last.slots);
        let Some(heard) = self.heard.get(&header.sender) else { return };
        let owner = heard.headers.iter().find(|(id, (at, other))| {
            **id != header.sender
                && said.at.saturating_sub(*at) > IN_FLIGHT
                && other.primary.is_none()
                && other.config_epoch > header.config_epoch
                && taken.iter().any(|slot| other.slots.contains(slot))
        });
        if let Some((owner, (_, other))) = owner {
            let what = format!(
                "claims slots under epoch {} that {owner} has under epoch {}",
                header.config_epoch, other.config_epoch
            );
            self.refuse(said, Rule::SlotTaken, what);
        }
    }

    /// A replica that is a primary now has won an election, unless a command made it one.
    fn promotion(&mut self, said: &Said, last: &Header<CLUSTER_SLOTS>) {
        let header = said.header();
        let epoch = header.config_epoch;
        let has_asked = self.has_asked(said, epoch);
        let (votes, voters) = (self.votes(header.sender, epoch), self.voters(header.sender, last));
        if has_asked && votes * 2 <= voters {
            let what = format!("leads under epoch {epoch} with {votes} votes of {voters} voters");
            self.refuse(said, Rule::ElectWon, what);
        }
        if !has_asked && !header.slots.is_empty() && epoch <= last.current_epoch {
            let what = format!("a replica leads under epoch {epoch}, in which it asked nobody for votes");
            self.refuse(said, Rule::ElectWon, what);
        }
    }

    /// How many voted for a node in this epoch or a later one.
    fn votes(&self, node: NodeId, epoch: u64) -> usize {
        let votes = self.heard.get(&node).into_iter().flat_map(|heard| &heard.votes);
        let voters: BTreeSet<_> = votes.filter(|(voted, _)| *voted >= epoch).map(|(_, voter)| voter).collect();
        voters.len()
    }

    /// A primary that is a replica now had no slots any more.
    fn demotion(&mut self, said: &Said, last: &Header<CLUSTER_SLOTS>) {
        let Some(heard) = self.heard.get(&said.from()) else { return };
        let is_taken = |slot| {
            let mut claims = heard.claims.iter().filter(|((_, epoch), _)| *epoch > last.config_epoch);
            claims.any(|(_, slots)| slots.contains(slot))
        };
        // Slots that nobody took were given away by commands, which a primary with any left refuses to follow.
        if !last.slots.is_empty() && !last.slots.iter().any(is_taken) {
            self.refuse(said, Rule::SlotDemoted, "a primary follows another, and nobody took its slots".to_owned());
        }
    }

    /// The epoch that a replica shows is one that its primary was known by.
    fn epoch_of_primary(&mut self, said: &Said, last: &Header<CLUSTER_SLOTS>, primary: NodeId) {
        let epoch = said.header().config_epoch;
        let is_old = last.config_epoch == epoch && last.primary == Some(primary);
        let is_known = self.told.get(&primary).is_none_or(|told| told.epochs.contains(&epoch));
        if epoch != 0 && !is_old && !is_known {
            let what = format!("shows epoch {epoch} for its primary {primary}, which never had it");
            self.refuse(said, Rule::EpochClaimRaised, what);
        }
    }
}

/// The slots of the first set that are not in the second.
fn minus(left: &SlotSet<CLUSTER_SLOTS>, right: &SlotSet<CLUSTER_SLOTS>) -> SlotSet<CLUSTER_SLOTS> {
    let mut rest = SlotSet::new();
    left.iter().filter(|slot| !right.contains(*slot)).for_each(|slot| {
        rest.insert(slot);
    });
    rest
}
