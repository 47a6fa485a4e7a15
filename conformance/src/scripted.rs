//! Scripts for cluster nodes: the same bus packets and client commands are given to a redis-server
//! and to another server, and what they show must be equal. Owns the language of scripts, the peers
//! that play them and the transcripts; knows no rule of the protocol, for redis-server is the judge.
//!
//! A script is a text of lines. `#` begins a comment. First it declares:
//!
//! ```text
//! rules: HEALTH-1 HEALTH-2              the rules that it shows: they fire
//! never: HEALTH-6                       the rules whose limits it shows: they do not fire
//! diverges: REASON                      if the two servers differ on purpose, see below
//! peer a id=1 epoch=1 slots=0-99 known  a scripted peer; its id repeats the digits
//! server id=5 epoch=2 slots=100-199 timeout=1000 --DIRECTIVE VALUE
//! ```
//!
//! What the server is said to be, and the peers that are `known`, are in its nodes.conf when it
//! starts; without an `id` it starts afresh. `of=b` makes a replica. An `absent` peer does not listen
//! at first. There may be more servers, `server b id=2 known relayed`: those that are `known` are in the
//! nodes.conf of the others, those that are `relayed` are reached through a relay, so that what they say
//! and hear can be held and cut; verbs are about the first unless they begin with `at b`. Words `key=value` are those of [`field::Field`]. Then the script acts, one verb a line:
//! the variants of [`script::Verb`]. `$a`, `$a.port` and `$a.cport` in commands stand for a peer's id
//! and ports, `me` is the server. Peers answer PING with PONG unless muted; nothing else happens by
//! itself. `expect` takes the oldest matching message that nobody took before, also an earlier one.
//!
//! Whatever a line shows goes to the transcript, with names for ids and ports, and without times.
//! Of a message that is what its header says but offset, address and state, which are shown on
//! demand (`show=state`), as is gossip. Something awaited in vain is an error in the script if
//! redis-server does not do it, and a difference if the other server does not.
//!
//! Where the servers differ on purpose, the lines `redis:` and `slotbus:` after a verb record what
//! each shows. Then just that must be seen. A line `model:` records what the model shows of a thing
//! that it does not have, such as a process that gives up.

mod bring_up;
pub mod cast;
pub mod client;
pub mod field;
mod held;
pub mod link;
mod packet;
pub mod peer;
pub mod random;
pub mod record;
pub mod relay;
pub mod script;
mod seed;
mod show;
pub mod stage;
pub mod transcript;
mod unshown;

pub use bring_up::obstacle;
pub use held::hold_to_the_model;
pub use peer::ScriptedPeer;
pub use script::Script;
pub use stage::{play, play_recorded};
pub use transcript::{Transcript, chances, differences, mispredictions};
pub use unshown::{is_later, unshown};
