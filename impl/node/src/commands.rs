//! Owns the table of commands: one entry each, from which lookup, arity checks, routing and COMMAND
//! all work.
//!
//! Must not carry anything out itself: each file below owns the commands of one concern.

mod client;
mod cluster;
mod cluster_views;
mod config;
mod connection;
mod expiry;
mod info;
mod introspection;
mod keyspace;
mod migrate;
mod pubsub;
mod server;
mod setslot;
mod strings;
mod transaction;
mod transfer;

use crate::command::{Command, Groups, Traits};
use slotbus_wire::resp::Reply;

const FAST_READ: Traits = Traits::READONLY.union(Traits::FAST);
const FAST_WRITE: Traits = Traits::WRITE.union(Traits::FAST);
const FILL: Traits = Traits::WRITE.union(Traits::DENYOOM);
const FAST_FILL: Traits = FILL.union(Traits::FAST);
const ALWAYS: Traits = Traits::LOADING.union(Traits::STALE);
const HELP: Traits = ALWAYS;
const FAST_ALWAYS: Traits = ALWAYS.union(Traits::FAST);
const SESSION: Traits = ALWAYS.union(Traits::NOSCRIPT);
const ADMIN: Traits = SESSION.union(Traits::ADMIN);
const GREETING: Traits = SESSION.union(Traits::FAST).union(Traits::NO_AUTH).union(Traits::ALLOW_BUSY);
const BRACKET: Traits = SESSION.union(Traits::FAST).union(Traits::ALLOW_BUSY);
const CLUSTER_READ: Traits = Traits::STALE;
const CLUSTER_ADMIN_READ: Traits = Traits::STALE.union(Traits::ADMIN);
const CLUSTER_ADMIN: Traits = CLUSTER_ADMIN_READ.union(Traits::NO_ASYNC_LOADING);
const CHANNELS: Traits = ALWAYS.union(Traits::PUBSUB);
const LISTEN: Traits = CHANNELS.union(Traits::NOSCRIPT);
const PUBLISH: Traits = CHANNELS.union(Traits::FAST).union(Traits::MAY_REPLICATE);
const KEY: Groups = Groups::KEYSPACE;
const STR: Groups = Groups::STRING;
const CONN: Groups = Groups::CONNECTION;
const TX: Groups = Groups::TRANSACTION;
const VARIES: &[&str] = &["nondeterministic_output"];
const VARIES_IN_ORDER: &[&str] = &["nondeterministic_output_order"];
const SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];
const ON_ALL: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

/// Every command, by name.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    Command::new("append", 3, FAST_FILL, strings::append).keys(1, 1, 1, &["RW", "insert"]).groups(STR).about("2.0.0", "Adds to the end of a string."),
    Command::new("asking", 1, Traits::FAST, cluster::asking).groups(CONN).about("3.0.0", "Lets the next request touch a slot that is being imported."),
    Command::new("auth", -2, GREETING, connection::auth).groups(CONN).about("1.0.0", "Shows a password."),
    Command::new("client", -2, Traits::empty(), client::help).subcommands(CLIENT).about("2.4.0", "Commands about connections."),
    Command::new("cluster", -2, Traits::empty(), cluster::help).subcommands(CLUSTER).about("3.0.0", "Commands about the cluster."),
    Command::new("command", -1, ALWAYS, introspection::all).subcommands(COMMAND).groups(CONN).tips(VARIES_IN_ORDER).about("2.8.13", "Describes every command."),
    Command::new("config", -2, Traits::empty(), config::help).subcommands(CONFIG).about("2.0.0", "Commands about the configuration."),
    Command::new("dbsize", 1, FAST_READ, keyspace::dbsize).groups(KEY).tips(&["request_policy:all_shards", "response_policy:agg_sum"]).about("1.0.0", "Counts all keys."),
    Command::new("decr", 2, FAST_FILL, strings::decr).keys(1, 1, 1, &["RW", "access", "update"]).groups(STR).about("1.0.0", "Takes one from a number."),
    Command::new("decrby", 3, FAST_FILL, strings::decrby).keys(1, 1, 1, &["RW", "access", "update"]).groups(STR).about("1.0.0", "Takes an amount from a number."),
    Command::new("del", -2, Traits::WRITE, keyspace::del).keys(1, -1, 1, &["RM", "delete"]).groups(KEY).tips(SUM).about("1.0.0", "Drops keys."),
    Command::new("discard", 1, BRACKET, transaction::discard).groups(TX).about("2.0.0", "Gives up a transaction."),
    Command::new("dump", 2, Traits::READONLY, transfer::dump).keys(1, 1, 1, &["RO", "access"]).groups(KEY).tips(VARIES).about("2.6.0", "Packs a value to be restored elsewhere."),
    Command::new("echo", 2, FAST_ALWAYS, connection::echo).groups(CONN).about("1.0.0", "Answers with its argument."),
    Command::new("exec", 1, SESSION.union(Traits::SKIP_SLOWLOG), transaction::exec).groups(TX).about("1.2.0", "Carries out a transaction."),
    Command::new("exists", -2, FAST_READ, keyspace::exists).keys(1, -1, 1, &["RO"]).groups(KEY).tips(SUM).about("1.0.0", "Counts which of the keys are there."),
    Command::new("expire", -3, FAST_WRITE, expiry::expire).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("1.0.0", "Has a key expire in some seconds."),
    Command::new("expireat", -3, FAST_WRITE, expiry::expireat).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("1.2.0", "Has a key expire at a Unix time in seconds."),
    Command::new("expiretime", 2, FAST_READ, expiry::expiretime).keys(1, 1, 1, &["RO", "access"]).groups(KEY).about("7.0.0", "Tells when a key expires, in seconds."),
    Command::new("flushall", -1, Traits::WRITE, keyspace::flush).groups(KEY.union(Groups::DANGEROUS)).tips(ON_ALL).about("1.0.0", "Drops every key."),
    Command::new("flushdb", -1, Traits::WRITE, keyspace::flush).groups(KEY.union(Groups::DANGEROUS)).tips(ON_ALL).about("1.0.0", "Drops every key."),
    Command::new("get", 2, FAST_READ, strings::get).keys(1, 1, 1, &["RO", "access"]).groups(STR).about("1.0.0", "Reads a string."),
    Command::new("getdel", 2, FAST_WRITE, strings::getdel).keys(1, 1, 1, &["RW", "access", "delete"]).groups(STR).about("6.2.0", "Reads a string and drops it."),
    Command::new("getset", 3, FAST_FILL, strings::getset).keys(1, 1, 1, &["RW", "access", "update"]).groups(STR).about("1.0.0", "Sets a string and answers with the former one."),
    Command::new("hello", -1, GREETING, connection::hello).groups(CONN).about("6.0.0", "Chooses the version of the client protocol."),
    Command::new("incr", 2, FAST_FILL, strings::incr).keys(1, 1, 1, &["RW", "access", "update"]).groups(STR).about("1.0.0", "Adds one to a number."),
    Command::new("incrby", 3, FAST_FILL, strings::incrby).keys(1, 1, 1, &["RW", "access", "update"]).groups(STR).about("1.0.0", "Adds an amount to a number."),
    Command::new("info", -1, ALWAYS, info::info).groups(Groups::DANGEROUS).tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]).about("1.0.0", "Tells what the node does and has done."),
    Command::new("keys", 2, Traits::READONLY, keyspace::keys).groups(KEY.union(Groups::DANGEROUS)).tips(&["request_policy:all_shards", "nondeterministic_output_order"]).about("1.0.0", "Lists the keys that match a pattern."),
    Command::new("mget", -2, FAST_READ, strings::mget).keys(1, -1, 1, &["RO", "access"]).groups(STR).tips(&["request_policy:multi_shard"]).about("1.0.0", "Reads several strings."),
    Command::new("migrate", -6, Traits::WRITE.union(Traits::MOVABLE_KEYS), migrate::migrate).keys(3, 3, 1, &["RW", "access", "delete"]).groups(KEY.union(Groups::DANGEROUS)).tips(VARIES).about("2.6.0", "Moves keys to another server."),
    Command::new("mset", -3, FILL, strings::mset).keys(1, -1, 2, &["OW", "update"]).groups(STR).tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]).about("1.0.1", "Sets several strings."),
    Command::new("msetnx", -3, FILL, strings::msetnx).keys(1, -1, 2, &["OW", "insert"]).groups(STR).tips(&["request_policy:multi_shard", "response_policy:agg_min"]).about("1.0.1", "Sets several strings if none of them is there."),
    Command::new("multi", 1, BRACKET, transaction::multi).groups(TX).about("1.2.0", "Begins a transaction."),
    Command::new("persist", 2, FAST_WRITE, expiry::persist).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("2.2.0", "Has a key stay."),
    Command::new("pexpire", -3, FAST_WRITE, expiry::pexpire).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("2.6.0", "Has a key expire in some milliseconds."),
    Command::new("pexpireat", -3, FAST_WRITE, expiry::pexpireat).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("2.6.0", "Has a key expire at a Unix time in milliseconds."),
    Command::new("pexpiretime", 2, FAST_READ, expiry::pexpiretime).keys(1, 1, 1, &["RO", "access"]).groups(KEY).about("7.0.0", "Tells when a key expires, in milliseconds."),
    Command::new("ping", -1, Traits::FAST, connection::ping).groups(CONN).tips(ON_ALL).about("1.0.0", "Answers."),
    Command::new("psetex", 4, FILL, strings::psetex).keys(1, 1, 1, &["OW", "update"]).groups(STR).about("2.6.0", "Sets a string that expires in some milliseconds."),
    Command::new("psubscribe", -2, LISTEN, pubsub::psubscribe).about("2.0.0", "Listens to the channels that match patterns."),
    Command::new("pttl", 2, FAST_READ, expiry::pttl).keys(1, 1, 1, &["RO", "access"]).groups(KEY).tips(VARIES).about("2.6.0", "Tells in how many milliseconds a key expires."),
    Command::new("publish", 3, PUBLISH, pubsub::publish).about("2.0.0", "Sends a message to a channel."),
    Command::new("pubsub", -2, Traits::empty(), pubsub::help).subcommands(PUBSUB).about("2.8.0", "Commands about who listens to what."),
    Command::new("punsubscribe", -1, LISTEN, pubsub::punsubscribe).about("2.0.0", "Listens to patterns no more."),
    Command::new("quit", -1, GREETING, connection::quit).groups(CONN).about("1.0.0", "Ends the connection."),
    Command::new("randomkey", 1, Traits::READONLY, keyspace::randomkey).groups(KEY).tips(&["request_policy:all_shards", "nondeterministic_output"]).about("1.0.0", "Picks a key."),
    Command::new("readonly", 1, FAST_ALWAYS, cluster::readonly).groups(CONN).about("3.0.0", "Lets this connection read from a replica."),
    Command::new("readwrite", 1, FAST_ALWAYS, cluster::readwrite).groups(CONN).about("3.0.0", "Takes READONLY back."),
    Command::new("reset", 1, GREETING, connection::reset).groups(CONN).about("6.2.0", "Brings the connection back to its beginning."),
    Command::new("restore", -4, FILL, transfer::restore).keys(1, 1, 1, &["OW", "update"]).groups(KEY.union(Groups::DANGEROUS)).about("2.6.0", "Unpacks a value under a key."),
    Command::new("restore-asking", -4, FILL.union(Traits::ASKING), transfer::restore).keys(1, 1, 1, &["OW", "update"]).groups(KEY.union(Groups::DANGEROUS)).about("3.0.0", "Unpacks a value under a key of a slot that is being imported."),
    Command::new("role", 1, SESSION.union(Traits::FAST), server::role).groups(Groups::ADMIN.union(Groups::DANGEROUS)).about("2.8.12", "Tells the node's role in replication."),
    Command::new("scan", -2, Traits::READONLY, keyspace::scan).groups(KEY).tips(&["nondeterministic_output", "request_policy:special"]).about("2.8.0", "Walks through the keys."),
    Command::new("select", 2, FAST_ALWAYS, connection::select).groups(CONN).about("1.0.0", "Chooses the database."),
    Command::new("set", -3, FILL, strings::set).keys(1, 1, 1, &["RW", "access", "update", "variable_flags"]).groups(STR).about("1.0.0", "Sets a string."),
    Command::new("setex", 4, FILL, strings::setex).keys(1, 1, 1, &["OW", "update"]).groups(STR).about("2.0.0", "Sets a string that expires in some seconds."),
    Command::new("setnx", 3, FAST_FILL, strings::setnx).keys(1, 1, 1, &["OW", "insert"]).groups(STR).about("1.0.0", "Sets a string that is not there."),
    Command::new("shutdown", -1, ADMIN.union(Traits::NO_MULTI).union(Traits::ALLOW_BUSY), server::shutdown).about("1.0.0", "Ends the node."),
    Command::new("spublish", 3, PUBLISH, pubsub::spublish).keys(1, 1, 1, &["not_key"]).about("7.0.0", "Sends a message to a channel of a shard."),
    Command::new("ssubscribe", -2, LISTEN, pubsub::ssubscribe).keys(1, -1, 1, &["not_key"]).about("7.0.0", "Listens to channels of a shard."),
    Command::new("strlen", 2, FAST_READ, strings::strlen).keys(1, 1, 1, &["RO"]).groups(STR).about("2.2.0", "Tells a string's length."),
    Command::new("subscribe", -2, LISTEN, pubsub::subscribe).about("2.0.0", "Listens to channels."),
    Command::new("sunsubscribe", -1, LISTEN, pubsub::sunsubscribe).keys(1, -1, 1, &["not_key"]).about("7.0.0", "Listens to channels of a shard no more."),
    Command::new("time", 1, FAST_ALWAYS, server::time).tips(VARIES).about("2.6.0", "Tells the time."),
    Command::new("touch", -2, FAST_READ, keyspace::exists).keys(1, -1, 1, &["RO"]).groups(KEY).tips(SUM).about("3.2.1", "Counts which of the keys are there."),
    Command::new("ttl", 2, FAST_READ, expiry::ttl).keys(1, 1, 1, &["RO", "access"]).groups(KEY).tips(VARIES).about("1.0.0", "Tells in how many seconds a key expires."),
    Command::new("type", 2, FAST_READ, keyspace::type_of).keys(1, 1, 1, &["RO"]).groups(KEY).about("1.0.0", "Tells the kind of a value."),
    Command::new("unlink", -2, FAST_WRITE, keyspace::del).keys(1, -1, 1, &["RM", "delete"]).groups(KEY).tips(SUM).about("4.0.0", "Drops keys."),
    Command::new("unsubscribe", -1, LISTEN, pubsub::unsubscribe).about("2.0.0", "Listens to channels no more."),
    Command::new("unwatch", 1, BRACKET, transaction::unwatch).groups(TX).about("2.2.0", "Watches no key any more."),
    Command::new("watch", -2, BRACKET, transaction::watch).keys(1, -1, 1, &["RO"]).groups(TX).about("2.2.0", "Has EXEC do nothing if a key changes before it."),
];

#[rustfmt::skip]
static CLIENT: &[Command] = &[
    Command::new("client|getname", 2, SESSION, client::getname).groups(CONN).about("2.6.9", "Tells the connection's name."),
    Command::new("client|help", 2, HELP, client::help).groups(CONN).about("5.0.0", "Lists the subcommands."),
    Command::new("client|id", 2, SESSION, client::id).groups(CONN).about("5.0.0", "Tells the connection's number."),
    Command::new("client|info", 2, SESSION, client::info).groups(CONN).tips(VARIES).about("6.2.0", "Tells about this connection."),
    Command::new("client|kill", -3, ADMIN, client::kill).groups(CONN).about("2.4.0", "Ends connections."),
    Command::new("client|list", -2, ADMIN, client::list).groups(CONN).tips(VARIES).about("2.4.0", "Tells about every connection."),
    Command::new("client|no-evict", 3, ADMIN, client::no_evict).groups(CONN).about("7.0.0", "Keeps the connection when memory runs low."),
    Command::new("client|pause", -3, ADMIN, client::pause).groups(CONN).about("3.0.0", "Has requests wait."),
    Command::new("client|reply", 3, SESSION, client::reply).groups(CONN).about("3.2.0", "Chooses which replies are sent."),
    Command::new("client|setname", 3, SESSION, client::setname).groups(CONN).about("2.6.9", "Names the connection."),
    Command::new("client|unpause", 2, ADMIN, client::unpause).groups(CONN).about("6.2.0", "Ends a pause."),
];

#[rustfmt::skip]
static CLUSTER: &[Command] = &[
    Command::new("cluster|addslots", -3, CLUSTER_ADMIN, cluster::addslots).about("3.0.0", "Gives slots to this node."),
    Command::new("cluster|addslotsrange", -4, CLUSTER_ADMIN, cluster::addslotsrange).about("7.0.0", "Gives ranges of slots to this node."),
    Command::new("cluster|bumpepoch", 2, CLUSTER_ADMIN, cluster::bumpepoch).tips(VARIES).about("3.0.0", "Raises this node's config epoch."),
    Command::new("cluster|count-failure-reports", 3, CLUSTER_ADMIN_READ, cluster_views::count_failure_reports).tips(VARIES).about("3.0.0", "Counts who reports a node as failing."),
    Command::new("cluster|countkeysinslot", 3, CLUSTER_READ, cluster_views::countkeysinslot).about("3.0.0", "Counts the keys of a slot."),
    Command::new("cluster|delslots", -3, CLUSTER_ADMIN, cluster::delslots).about("3.0.0", "Takes slots from their owners."),
    Command::new("cluster|delslotsrange", -4, CLUSTER_ADMIN, cluster::delslotsrange).about("7.0.0", "Takes ranges of slots from their owners."),
    Command::new("cluster|failover", -2, CLUSTER_ADMIN, cluster::failover).about("3.0.0", "Has this replica take over from its primary."),
    Command::new("cluster|flushslots", 2, CLUSTER_ADMIN, cluster::flushslots).about("3.0.0", "Takes all slots from this node."),
    Command::new("cluster|forget", 3, CLUSTER_ADMIN, cluster::forget).about("3.0.0", "Removes a node from this node's table."),
    Command::new("cluster|getkeysinslot", 4, CLUSTER_READ, cluster_views::getkeysinslot).tips(VARIES).about("3.0.0", "Lists keys of a slot."),
    Command::new("cluster|help", 2, HELP, cluster::help).about("5.0.0", "Lists the subcommands."),
    Command::new("cluster|info", 2, CLUSTER_READ, cluster_views::info).tips(VARIES).about("3.0.0", "Tells how the cluster is."),
    Command::new("cluster|keyslot", 3, CLUSTER_READ, cluster_views::keyslot).about("3.0.0", "Tells the slot of a key."),
    Command::new("cluster|links", 2, CLUSTER_READ, cluster_views::links).tips(VARIES).about("7.0.0", "Tells about the links of the bus."),
    Command::new("cluster|meet", -4, CLUSTER_ADMIN, cluster::meet).about("3.0.0", "Begins a handshake with a node."),
    Command::new("cluster|myid", 2, CLUSTER_READ, cluster_views::myid).about("3.0.0", "Tells this node's id."),
    Command::new("cluster|myshardid", 2, CLUSTER_READ, cluster_views::myshardid).about("7.2.0", "Tells the id of this node's shard."),
    Command::new("cluster|nodes", 2, CLUSTER_READ, cluster_views::nodes).tips(VARIES).about("3.0.0", "Tells about every node."),
    Command::new("cluster|replicas", 3, CLUSTER_ADMIN_READ, cluster_views::replicas).tips(VARIES).about("5.0.0", "Tells about a primary's replicas."),
    Command::new("cluster|replicate", 3, CLUSTER_ADMIN, cluster::replicate).about("3.0.0", "Makes this node a replica of a primary."),
    Command::new("cluster|reset", -2, CLUSTER_ADMIN_READ.union(Traits::NOSCRIPT), cluster::reset).about("3.0.0", "Forgets all other nodes and slots."),
    Command::new("cluster|saveconfig", 2, CLUSTER_ADMIN, cluster::saveconfig).about("3.0.0", "Saves the nodes file."),
    Command::new("cluster|set-config-epoch", 3, CLUSTER_ADMIN, cluster::set_config_epoch).about("3.0.0", "Gives a new node its config epoch."),
    Command::new("cluster|setslot", -4, CLUSTER_ADMIN, setslot::setslot).about("3.0.0", "Moves a slot, or says where it is."),
    Command::new("cluster|shards", 2, CLUSTER_READ, cluster_views::shards).tips(VARIES).about("7.0.0", "Tells which nodes serve which slots, by shard."),
    Command::new("cluster|slaves", 3, CLUSTER_ADMIN_READ, cluster_views::replicas).tips(VARIES).about("3.0.0", "Tells about a primary's replicas."),
    Command::new("cluster|slots", 2, CLUSTER_READ, cluster_views::slots).tips(VARIES).about("3.0.0", "Tells which nodes serve which slots."),
];

#[rustfmt::skip]
static COMMAND: &[Command] = &[
    Command::new("command|count", 2, ALWAYS, introspection::count).groups(CONN).about("2.8.13", "Counts the commands."),
    Command::new("command|docs", -2, ALWAYS, introspection::docs).groups(CONN).tips(VARIES_IN_ORDER).about("7.0.0", "Documents commands."),
    Command::new("command|getkeys", -4, ALWAYS, introspection::getkeys).groups(CONN).about("2.8.13", "Finds the keys of a request."),
    Command::new("command|help", 2, HELP, introspection::help).groups(CONN).about("5.0.0", "Lists the subcommands."),
    Command::new("command|info", -2, ALWAYS, introspection::info).groups(CONN).tips(VARIES_IN_ORDER).about("2.8.13", "Describes commands."),
    Command::new("command|list", -2, ALWAYS, introspection::list).groups(CONN).tips(VARIES_IN_ORDER).about("7.0.0", "Lists the names of commands."),
];

#[rustfmt::skip]
static CONFIG: &[Command] = &[
    Command::new("config|get", -3, ADMIN, config::get).about("2.0.0", "Tells the values of directives."),
    Command::new("config|help", 2, HELP, config::help).about("5.0.0", "Lists the subcommands."),
    Command::new("config|resetstat", 2, ADMIN, config::resetstat).about("2.0.0", "Resets what INFO counts."),
    Command::new("config|rewrite", 2, ADMIN, config::rewrite).about("2.8.0", "Writes the configuration to its file."),
    Command::new("config|set", -4, ADMIN, config::set).tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]).about("2.0.0", "Changes directives."),
];

#[rustfmt::skip]
static PUBSUB: &[Command] = &[
    Command::new("pubsub|channels", -2, CHANNELS, pubsub::channels).about("2.8.0", "Lists channels that somebody listens to."),
    Command::new("pubsub|help", 2, HELP, pubsub::help).about("6.2.0", "Lists the subcommands."),
    Command::new("pubsub|numpat", 2, CHANNELS, pubsub::numpat).about("2.8.0", "Counts the patterns that somebody listens to."),
    Command::new("pubsub|numsub", -2, CHANNELS, pubsub::numsub).about("2.8.0", "Counts who listens to channels."),
    Command::new("pubsub|shardchannels", -2, CHANNELS, pubsub::shardchannels).about("7.0.0", "Lists channels of shards that somebody listens to."),
    Command::new("pubsub|shardnumsub", -2, CHANNELS, pubsub::shardnumsub).about("7.0.0", "Counts who listens to channels of shards."),
];

const NOT_AN_INTEGER: &str = "value is not an integer or out of range";

fn not_an_integer() -> Reply<'static> {
    Reply::err(NOT_AN_INTEGER)
}

fn syntax_error() -> Reply<'static> {
    Reply::err("syntax error")
}

/// The answer of a HELP subcommand: forms of the container's subcommands, each with what it does.
fn help_of(container: &str, lines: &[(&str, &str)]) -> Reply<'static> {
    let head = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let body = lines.iter().chain(&[("HELP", "Prints this help.")]);
    let body = body.flat_map(|(form, meaning)| [(*form).to_owned(), format!("    {meaning}")]);
    Reply::Array(std::iter::once(head).chain(body).map(Reply::status).collect())
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;
    use crate::command::Command;

    #[test]
    fn tables_are_sorted_and_complete() {
        let is_sorted = |table: &[Command]| table.is_sorted_by(|left, right| left.name < right.name);
        assert!(is_sorted(COMMANDS));
        for command in COMMANDS {
            assert!(!command.summary.is_empty(), "{}", command.name);
            assert!(is_sorted(command.subcommands), "{}", command.name);
            for sub in command.subcommands {
                assert_eq!(sub.name.split('|').next(), Some(command.name));
                assert!(!sub.summary.is_empty(), "{}", sub.name);
            }
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Command::find(COMMANDS, b"GeT").map(|command| command.name), Some("get"));
        for unknown in [b"".as_slice(), b"nosuch", &[0xff; 100]] {
            assert!(Command::find(COMMANDS, unknown).is_none());
        }
    }
}
