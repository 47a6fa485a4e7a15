//! Owns the catalogue of rules: every transition of the protocol has an id, one sentence and a source.
//! Knows nothing of how a rule is carried out: that is in `rules/`.

use alloc::string::String;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Generates [`Rule`] and its catalogue from one table.
macro_rules! rules {
    ($($name:ident $id:literal $sentence:literal $source:literal;)+) => {
        /// A transition of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $sentence] $name,)+
        }

        impl Rule {
            /// Every rule, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The id used in documents, scenarios, traces and reports.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// What happens, in one sentence.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }

            /// The function or message of redis-server that shows it.
            #[must_use]
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)+ }
            }
        }
    };
}

rules! {
    StartFresh "START-1" "A node without a configuration file starts as a primary without slots under a new id." "clusterLoadConfig, clusterInit";
    StartRestored "START-2" "A node with a configuration file starts with the id, epochs, nodes and slots that it last saved." "clusterLoadConfig";
    StartEpochRaised "START-3" "The restored current epoch is at least the greatest config epoch in the file." "clusterLoadConfig";

    HandshakeAsked "HANDSHAKE-1" "An administrator's MEET creates an entry in handshake, under a temporary id, to which MEET is sent." "clusterStartHandshake";
    HandshakeRepeated "HANDSHAKE-2" "A MEET to an address that is in handshake already changes nothing." "clusterHandshakeInProgress";
    HandshakeAddressRefused "HANDSHAKE-3" "A MEET to something that is no IP address, or to port 0, is refused." "clusterStartHandshake";
    HandshakeMeetSent "HANDSHAKE-4" "The first message on a new link to a node to be met is MEET." "clusterLinkConnectHandler";
    HandshakeStranger "HANDSHAKE-5" "A MEET from an unknown sender creates an entry in handshake at the sender's address." "clusterProcessPacket";
    HandshakeDone "HANDSHAKE-6" "The first answer on the link of an entry in handshake gives it its real id and makes it a member." "clusterProcessPacket, clusterRenameNode";
    HandshakeKnown "HANDSHAKE-7" "If the id that answers a handshake is known already, that node's address is brought up to date and the entry in handshake is dropped." "clusterProcessPacket";
    HandshakeTimeout "HANDSHAKE-8" "An entry that is in handshake for longer than the handshake timeout is dropped." "clusterCron";
    HandshakeWrongId "HANDSHAKE-9" "If another id than expected answers on an outbound link, the address is held wrong: it is cleared and the link closed." "clusterProcessPacket";
    HandshakeWrongIdFailed "HANDSHAKE-11" "A member whose address answers with another id is failed, and every node is told." "valkey #1191";
    HandshakeHeard "HANDSHAKE-12" "The answer that ends a handshake is heard as the new member's first heartbeat." "this project";
    HandshakeMeetAnswered "HANDSHAKE-10" "The first PONG on the link ends the repetition of MEET." "valkey #461";

    LinkOpened "LINK-1" "The cron opens an outbound link to every known node that lacks one and has an address." "clusterCron, clusterNodeCronHandleReconnect";
    LinkUpPing "LINK-2" "The first message on a new link to a member is PING; an older ping that is still unanswered keeps its time." "clusterLinkConnectHandler";
    LinkRenewed "LINK-3" "An outbound link that is older than the node timeout, and silent for half of it with a ping outstanding, is closed to be opened anew." "clusterCron";
    LinkBound "LINK-4" "An inbound link belongs to the first known sender heard on it; that sender's older inbound link is closed." "getNodeFromLinkAndMsg, setClusterNodeToInboundClusterLink";
    LinkLost "LINK-5" "A link that goes down is forgotten; the node that it led to keeps its state." "freeClusterLink";
    LinkRefusedAtOnce "LINK-6" "A connection attempt that fails at once starts the failure clock as an unanswered ping does." "clusterNodeCronHandleReconnect";
    LinkStranger "LINK-7" "A message of an unknown sender has no effect, but for MEET and the answer to PING." "clusterProcessPacket";
    LinkBacklogged "LINK-9" "A link on which more waits to be sent than the limit allows is closed." "handleLinkIOError, clusterCron";
    LinkUnknown "LINK-8" "An input about a link that the node does not have changes nothing." "handleLinkIOError";

    PingChosen "PING-1" "Once a second, of five nodes chosen at random, the one whose last answer is oldest is pinged." "clusterCron";
    PingOverdue "PING-2" "A node whose last answer is older than half the node timeout is pinged." "clusterCron";
    PingAnswered "PING-3" "Every PING and MEET is answered with PONG on the link it came on, whoever sent it." "clusterProcessPacket";
    PingReturned "PING-4" "A PONG on the outbound link ends the outstanding ping." "clusterProcessPacket";
    PingSpares "PING-5" "A member whose PING came is not pinged in turn until that is half a node timeout ago." "this project";

    AddressOwnLearned "ADDRESS-1" "A node without an announced address takes the local address of the connection that a MEET, or while it knows none a PING, came in on." "clusterProcessPacket";
    AddressFollowed "ADDRESS-2" "A PING that shows another address than the known one replaces it, and the outbound link is closed." "nodeUpdateAddressIfNeeded";
    AddressGossiped "ADDRESS-3" "A gossiped address replaces that of a node that this node suspects or holds failed and the sender does not." "clusterProcessGossipSection";
    ExtensionsKnown "ADDRESS-5" "A member whose heartbeats show that it understands ping extensions is sent them." "redis #9530, #10536";
    ShardTaken "ADDRESS-6" "The shard id in a member's heartbeat replaces the stored one." "redis #10536";
    HostnameTaken "ADDRESS-4" "The host name in a heartbeat's extensions replaces the stored one; none clears it." "updateAnnouncedHostname";

    GossipSent "GOSSIP-1" "A heartbeat tells of a tenth of the known nodes, at least three, chosen at random, and of every suspected node." "clusterSendPing";
    GossipNewNode "GOSSIP-2" "A node that a known sender tells of becomes a member, with the flags told." "clusterProcessGossipSection";
    GossipBanned "GOSSIP-3" "A node that was forgotten does not come back through gossip until its ban ends." "clusterBlacklistExists";
    GossipFresher "GOSSIP-4" "A fresher pong time is taken over from gossip for a node that nobody suspects and that has no ping outstanding." "clusterProcessGossipSection";
    GossipIntroduced "GOSSIP-5" "Where a heartbeat does not tell of all members, one goes to each of them at the cron after somebody has become a member by a handshake, and names it." "this project";

    RolePrimary "ROLE-1" "A sender that names no primary is a primary." "clusterSetNodeAsMaster";
    RoleReplica "ROLE-2" "A primary that begins to name a primary becomes its replica and owns no slot any more." "clusterProcessPacket";
    RoleMoved "ROLE-3" "A replica that names another known primary is attached to that one." "clusterProcessPacket";
    RoleStale "ROLE-5" "A header that is older than the claim recorded for the shard it speaks of changes no role." "redis #13055, valkey #1777";
    RoleHandover "ROLE-6" "A primary that becomes a replica in its own shard hands its slots to its new primary, which claims under a greater epoch; those that it does not name stay marked as let go." "redis #13055";
    RoleFollow "ROLE-7" "A node that takes a primary closes its open slots and replicates it." "clusterSetMaster";
    RoleFollowRestored "ROLE-8" "The cron has a replica replicate its primary, if it does not yet and the address is known." "clusterCron";
    RoleRequested "ROLE-9" "REPLICATE makes a replica of this node, if it is one already or is an empty primary." "clusterCommand";
    RoleRequestRefused "ROLE-10" "REPLICATE is refused for an unknown node, for oneself, for a replica, and on a primary with slots or keys." "clusterCommand";
    RoleSame "ROLE-11" "REPLICATE of the primary that is replicated already changes nothing." "valkey #884";
    RoleLoopOpened "ROLE-12" "A node that is named as primary by one whose replica it is, directly or through others, is a replica no more." "this project (S16)";
    RoleNoFailover "ROLE-4" "Whether a node abstains from failovers is taken from its headers." "clusterProcessPacket";

    SlotTaken "SLOT-1" "A primary's claim takes a slot that nobody owns, that its owner no longer claims, or whose owner has a smaller config epoch." "clusterUpdateSlotsConfigWith";
    SlotUnclaimed "SLOT-2" "A slot that its owner no longer claims stays bound to it, but any claim may take it." "clusterUpdateSlotsConfigWith";
    SlotReclaimed "SLOT-3" "An owner that claims its slot again holds it as before." "clusterUpdateSlotsConfigWith";
    SlotImportKept "SLOT-4" "A slot that this node is importing is not rebound by claims." "clusterUpdateSlotsConfigWith";
    SlotUpdateSent "SLOT-5" "A sender whose claim is older than the recorded owner's is told of the newer claim." "clusterProcessPacket";
    SlotUpdateTaken "SLOT-6" "An UPDATE with a greater config epoch than recorded is treated as a claim of its subject." "clusterProcessPacket";
    SlotUpdateStale "SLOT-7" "An UPDATE about an unknown node, about oneself, or with no greater config epoch changes nothing." "clusterProcessPacket";
    SlotAdded "SLOT-8" "ADDSLOTS binds slots that nobody owns to this node, all of them or none." "clusterCommand";
    SlotDeleted "SLOT-9" "DELSLOTS unbinds slots, whoever owns them, all of them or none." "clusterCommand";
    SlotRequestRefused "SLOT-10" "A request that names a busy slot to add, a free slot to delete, or one slot twice is refused." "clusterCommand";

    SlotKeysDropped "SLOT-11" "The keys of slots that were lost to another claim are deleted." "clusterUpdateSlotsConfigWith, delKeysInSlot";
    SlotDemoted "SLOT-12" "A primary whose last slot was taken by a claim, and a replica whose primary's was, follow the claimant." "clusterUpdateSlotsConfigWith";
    SlotSubReplica "SLOT-13" "A replica whose primary has become a replica follows that one's primary." "clusterUpdateSlotsConfigWith";
    SlotWithstood "SLOT-18" "A node that a command gave a slot takes a new epoch instead of yielding, if the former owner, which may not know yet, claims the slot under a greater epoch." "this project (S14)";
    SlotFlushed "SLOT-14" "FLUSHSLOTS unbinds this node's slots, if it holds no key." "clusterCommand";
    SlotFlushRefused "SLOT-15" "FLUSHSLOTS is refused while the node holds keys." "clusterCommand";
    SlotLoadedFree "SLOT-16" "At start, a slot that holds keys and that nobody owns is taken." "verifyClusterConfigWithData";
    SlotLoadedForeign "SLOT-17" "At start, a slot that holds keys and that another node owns is imported from it." "verifyClusterConfigWithData";

    ReshardMigrating "RESHARD-1" "SETSLOT MIGRATING marks an own slot as being moved to a primary." "clusterCommand";
    ReshardImporting "RESHARD-2" "SETSLOT IMPORTING marks a foreign slot as being taken over from a primary." "clusterCommand";
    ReshardStable "RESHARD-3" "SETSLOT STABLE clears both marks." "clusterCommand";
    ReshardGiven "RESHARD-4" "SETSLOT NODE binds a slot to a primary, whoever owned it." "clusterCommand";
    ReshardClosed "RESHARD-5" "SETSLOT NODE to oneself ends the import and takes a new epoch without asking." "clusterCommand";
    ReshardEmptied "RESHARD-6" "A primary that gives its last slot away by SETSLOT NODE follows the new owner." "clusterCommand";
    ReshardRefused "RESHARD-7" "SETSLOT is refused on a replica, for a slot owned by the wrong side, for an unknown or replicating node, and for a slot whose keys are still here." "clusterCommand";

    EpochRaised "EPOCH-1" "The current epoch rises to the greatest heard from a member." "clusterProcessPacket";
    EpochClaimRaised "EPOCH-2" "The recorded config epoch of a sender rises to what its header says." "clusterProcessPacket";
    EpochCollision "EPOCH-3" "Of two primaries with one config epoch, that with the smaller id takes a new one." "clusterHandleConfigEpochCollision";
    EpochBumped "EPOCH-4" "A node whose config epoch is not the greatest takes a new one without asking." "clusterBumpConfigEpochWithoutConsensus";
    EpochStill "EPOCH-5" "A node whose config epoch is the greatest keeps it when asked to bump it." "clusterBumpConfigEpochWithoutConsensus";
    EpochSet "EPOCH-6" "A node that knows no other and has no epoch takes the one it is given." "clusterCommand";
    EpochSetRefused "EPOCH-7" "SET-CONFIG-EPOCH is refused when other nodes are known or the epoch is not zero." "clusterCommand";

    HealthSuspected "HEALTH-1" "A node that left a ping unanswered and was silent for the node timeout is suspected (PFAIL)." "clusterCron";
    HealthTrusted "HEALTH-2" "A PONG clears the suspicion." "clusterProcessPacket";
    HealthReported "HEALTH-3" "A primary's gossip that calls a node suspected or failed is a failure report." "clusterNodeAddFailureReport";
    HealthReportWithdrawn "HEALTH-4" "A primary's gossip that calls a node healthy withdraws its report." "clusterNodeDelFailureReport";
    HealthReportExpired "HEALTH-5" "A report older than twice the node timeout does not count." "clusterNodeCleanupFailureReports";
    HealthFailed "HEALTH-6" "A suspected node that a majority of the voting primaries reports is failed (FAIL), and every node is told." "markNodeAsFailingIfNeeded";
    HealthFailTold "HEALTH-7" "A FAIL message from a member about another is believed." "clusterProcessPacket";
    HealthFailIgnored "HEALTH-8" "A FAIL message from a stranger, about a stranger, about oneself or about a failed node changes nothing." "clusterProcessPacket";
    HealthCleared "HEALTH-9" "FAIL of a replica, or of a primary without slots, ends with its next PONG." "clearNodeFailureIfNeeded";
    HealthClearedLate "HEALTH-10" "FAIL of a primary with slots ends with a PONG that comes later than twice the node timeout." "clearNodeFailureIfNeeded";
    HealthSuspicionTold "HEALTH-11" "A voter that comes to suspect a node tells the other voters at once." "this project";

    StateUncovered "STATE-1" "Where full coverage is required, a slot without owner or with a failed one puts the cluster down." "clusterUpdateState";
    StateMinority "STATE-2" "A node that reaches no majority of the voting primaries holds the cluster down." "clusterUpdateState";
    StateOk "STATE-3" "The cluster is up when no reason holds it down." "clusterUpdateState";
    StateWritableDelay "STATE-4" "A primary that has just started holds the cluster down for the writable delay." "clusterUpdateState";
    StateRejoinDelay "STATE-5" "A primary that was in the minority holds the cluster down for the rejoin delay after." "clusterUpdateState";

    ElectNotVoter "ELECT-1" "A replica, or a primary without slots, does not vote." "clusterSendFailoverAuthIfNeeded";
    ElectRefusedEpoch "ELECT-2" "No vote for a request whose epoch is older than the voter's." "clusterSendFailoverAuthIfNeeded";
    ElectRefusedVoted "ELECT-3" "No second vote in one epoch." "clusterSendFailoverAuthIfNeeded";
    ElectRefusedRole "ELECT-4" "No vote for a primary, for a replica of an unknown primary, or while its primary is up, unless the request is of a manual failover." "clusterSendFailoverAuthIfNeeded";
    ElectRefusedSoon "ELECT-5" "No vote about a primary within twice the node timeout of the last one." "clusterSendFailoverAuthIfNeeded";
    ElectRefusedClaim "ELECT-6" "No vote for a claim to a slot whose owner has a greater config epoch." "clusterSendFailoverAuthIfNeeded";
    ElectVoted "ELECT-7" "A voter without a reason to refuse saves its vote, and sends it." "clusterSendFailoverAuthIfNeeded";
    ElectDataOld "ELECT-8" "A replica whose data is too old does not stand for election." "clusterHandleSlaveFailover";
    ElectScheduled "ELECT-9" "A replica of a failed primary sets the time of its election by its rank, and tells its siblings its offset." "clusterHandleSlaveFailover";
    ElectOutranked "ELECT-10" "A replica that falls in rank before it asks waits longer." "clusterHandleSlaveFailover";
    ElectAsked "ELECT-11" "When its time has come, a replica takes a new epoch, saves it, and asks every node for its vote." "clusterHandleSlaveFailover, clusterRequestFailoverAuth";
    ElectCounted "ELECT-12" "A vote of a primary with slots counts for the election in whose epoch it was given." "clusterProcessPacket";
    ElectUncounted "ELECT-13" "A vote of anybody else, of another epoch, or given before, does not count." "clusterProcessPacket";
    ElectWon "ELECT-14" "A replica with the votes of a majority takes its primary's slots under the epoch of the election, saves, and tells every member." "clusterFailoverReplaceYourMaster";
    ElectExpired "ELECT-15" "An election that took too long is lost; the next one waits for the retry time." "clusterHandleSlaveFailover";
    ElectOvertaken "ELECT-16" "An election is given up when a primary claims under its epoch or a greater one." "valkey #1009";
    ElectCalledOff "ELECT-17" "An election for which nobody was asked yet is called off when the primary is not failed any more, or is another." "this project";

    ManualAsked "MANUAL-1" "FAILOVER on a replica asks its primary to pause its clients." "clusterCommand, clusterSendMFStart";
    ManualForced "MANUAL-2" "FAILOVER FORCE asks for votes without asking the primary." "clusterCommand";
    ManualTakeover "MANUAL-3" "FAILOVER TAKEOVER takes a new epoch and the primary's slots without asking anybody." "clusterCommand";
    ManualRefused "MANUAL-4" "FAILOVER is refused on a primary, without a known primary, and, unless forced, while the primary is down." "clusterCommand";
    ManualPaused "MANUAL-5" "A primary that one of its replicas asks holds back its clients' writes, and tells the replica its offset." "clusterProcessPacket";
    ManualUnasked "MANUAL-6" "A request to pause of a node that is no replica of this primary changes nothing." "clusterProcessPacket";
    ManualOffset "MANUAL-7" "The replica takes the offset of its paused primary from the first header that shows it." "clusterProcessPacket";
    ManualCaughtUp "MANUAL-8" "A replica that has processed all that its paused primary sent may ask for votes at once." "clusterHandleManualFailover";
    ManualTimeout "MANUAL-9" "A manual failover that took too long is given up on both sides, and clients may write again." "manualFailoverCheckTimeout";
    ManualPing "MANUAL-10" "A paused primary pings the replica at every cron." "clusterCron";

    MigrateOrphaned "MIGRATE-1" "A primary with slots that replicas may migrate to and that has no working replica is orphaned from that time on." "clusterHandleSlaveMigration";
    MigrateMoved "MIGRATE-2" "Of the replicas of the best served primaries, that with the smallest id moves to a primary that is orphaned for the migration delay." "clusterHandleSlaveMigration";

    ResetDone "RESET-1" "RESET makes this node an empty primary that knows no other; HARD also takes a new id and sets every epoch to zero." "clusterReset";
    ResetRefused "RESET-2" "RESET is refused on a primary with keys." "clusterCommand";

    PublishSent "PUBLISH-1" "A published message goes to every member, a sharded one to the members of this shard." "clusterPropagatePublish";
    PublishReceived "PUBLISH-2" "A member's published message is handed to the local subscribers." "clusterProcessPacket";
    PublishIgnored "PUBLISH-3" "A stranger's published message is dropped." "clusterProcessPacket";

    ForgetTold "FORGET-3" "A node that a member says it forgot is forgotten for the time that it says." "redis #10869";
    ForgetDone "FORGET-1" "FORGET removes a node, unbinds its slots, drops its reports and bans it from gossip for a while." "clusterCommand, clusterDelNode, clusterBlacklistAddNode";
    ForgetRefused "FORGET-2" "FORGET of an unknown node, of oneself or of one's primary is refused." "clusterCommand";

    ConfigSaved "CONFIG-1" "SAVECONFIG saves at once." "clusterCommand";
    ConfigChanged "CONFIG-2" "A changed configuration holds from the next transition on." "updateClusterFlags, updateClusterIp";

    MessageUnused "MESSAGE-1" "A module's message, or one that names the receiver as its sender, is dropped." "clusterProcessPacket";
}

impl Rule {
    /// The rule with this id.
    #[must_use]
    pub fn by_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.id() == id)
    }

    /// The part of the id before the number: the concern that the rule belongs to.
    #[must_use]
    pub fn area(self) -> &'static str {
        self.id().split('-').next().unwrap_or_default()
    }
}

/// No rule has this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRule;

impl fmt::Display for UnknownRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no rule has this id")
    }
}

impl core::error::Error for UnknownRule {}

impl FromStr for Rule {
    type Err = UnknownRule;
    fn from_str(id: &str) -> Result<Self, UnknownRule> {
        Self::by_id(id).ok_or(UnknownRule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        id.parse().map_err(D::Error::custom)
    }
}
