//! Owns the table of commands: one entry each, from which lookup, arity checks, routing and COMMAND
//! all work.
//!
//! Must not carry anything out itself: each file below owns the commands of one concern.

mod acl;
mod bits;
mod client;
mod cluster;
mod cluster_views;
mod config;
mod connection;
mod debug;
mod expiry;
mod functions;
pub(crate) mod geo;
mod geo_search;
pub(crate) mod grant;
mod hashes;
mod hyperloglog;
mod info;
mod introspection;
mod keyspace;
mod latency;
mod lists;
mod memory;
mod migrate;
mod monitor;
mod object;
mod options;
mod persistence;
mod pubsub;
mod replication;
mod scan;
mod scripting;
mod server;
mod sets;
mod setslot;
mod sorted_set_algebra;
mod sorted_set_ranges;
mod sorted_sets;
mod sorting;
mod stream_claims;
mod stream_groups;
mod stream_info;
mod stream_options;
pub(crate) mod stream_reads;
mod streams;
mod strings;
mod tracking;
mod transaction;
mod transfer;
mod waiting;

pub(crate) use acl::users_of_file;
pub use connection::REDIS_VERSION;
pub(crate) use debug::refuse_debug;
pub use sorted_sets::Extreme;
pub(crate) use transaction::has_watched_change;

use crate::{
    command::{Command, Groups, Index, Traits},
    store::WrongKind,
};
use slotbus_wire::resp::Reply;
use std::sync::LazyLock;

const FAST_READ: Traits = Traits::READONLY.union(Traits::FAST);
const FAST_WRITE: Traits = Traits::WRITE.union(Traits::FAST);
const FILL: Traits = Traits::WRITE.union(Traits::DENYOOM);
const FAST_FILL: Traits = FILL.union(Traits::FAST);
const ALWAYS: Traits = Traits::LOADING.union(Traits::STALE);
const FAST_ALWAYS: Traits = ALWAYS.union(Traits::FAST);
const SESSION: Traits = ALWAYS.union(Traits::NOSCRIPT);
const WATCH: Traits = ALWAYS.union(Traits::ADMIN);
const ADMIN: Traits = SESSION.union(Traits::ADMIN);
const GREETING: Traits = SESSION.union(Traits::FAST).union(Traits::NO_AUTH).union(Traits::ALLOW_BUSY);
const EVALUATE: Traits = Traits::NOSCRIPT
    .union(Traits::STALE)
    .union(Traits::SKIP_MONITOR)
    .union(Traits::NO_MANDATORY_KEYS)
    .union(Traits::MAY_REPLICATE);
const EVALUATE_READ: Traits = EVALUATE.difference(Traits::MAY_REPLICATE).union(Traits::READONLY);
const CHANGE_FUNCTIONS: Traits = Traits::WRITE.union(Traits::NOSCRIPT);
const ADD_FUNCTIONS: Traits = CHANGE_FUNCTIONS.union(Traits::DENYOOM);
const BRACKET: Traits = SESSION.union(Traits::FAST).union(Traits::ALLOW_BUSY);
const CLUSTER_READ: Traits = Traits::STALE;
const CLUSTER_ADMIN_READ: Traits = Traits::STALE.union(Traits::ADMIN);
const CLUSTER_ADMIN: Traits = CLUSTER_ADMIN_READ.union(Traits::NO_ASYNC_LOADING);
const CHANNELS: Traits = ALWAYS.union(Traits::PUBSUB);
const LISTEN: Traits = CHANNELS.union(Traits::NOSCRIPT);
const PUBLISH: Traits = CHANNELS.union(Traits::FAST).union(Traits::MAY_REPLICATE);
const KEY: Groups = Groups::KEYSPACE;
const STRING: Groups = Groups::STRING;
const BITMAP: Groups = Groups::BITMAP;
const HASH: Groups = Groups::HASH;
const LIST: Groups = Groups::LIST;
const SET: Groups = Groups::SET;
const ZSET: Groups = Groups::SORTED_SET;
const HLL: Groups = Groups::HYPERLOGLOG;
const STREAM: Groups = Groups::STREAM;
const GEO: Groups = Groups::GEO;
const CONN: Groups = Groups::CONNECTION;
const TX: Groups = Groups::TRANSACTION;
const DANGER: Groups = Groups::DANGEROUS;
const SCRIPT_GROUP: Groups = Groups::SCRIPTING;
const OFFICE: Groups = Groups::ADMIN;
const VARIES: &[&str] = &["nondeterministic_output"];
const VARIES_IN_ORDER: &[&str] = &["nondeterministic_output_order"];
const SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];
const OF_ALL_NODES: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];
const OF_ALL_SHARDS: &[&str] = &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];
const ON_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const ON_ALL: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

/// Where each command stands.
static INDEX: LazyLock<Index> = LazyLock::new(|| Index::of(COMMANDS));

/// The command of this name, in any case.
#[must_use]
pub fn named(name: &[u8]) -> Option<&'static Command> {
    INDEX.find(name)
}

/// Every command, by name.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    Command::new("acl", -2, Traits::empty(), acl::help).subcommands(ACL).about("6.0.0", "Commands about users."),
    Command::data("append", 3, FAST_FILL, strings::append).keys(1, 1, 1, &["RW", "insert"]).groups(STRING).about("2.0.0", "Adds to the end of a string."),
    Command::new("asking", 1, Traits::FAST, cluster::asking).groups(CONN).about("3.0.0", "Lets the next request touch a slot that is being imported."),
    Command::new("auth", -2, GREETING, connection::auth).groups(CONN).about("1.0.0", "Shows a password."),
    Command::new("bgrewriteaof", 1, Traits::ADMIN.union(Traits::NO_ASYNC_LOADING).union(Traits::NOSCRIPT), persistence::bgrewriteaof).about("1.0.0", "Makes a new base of the append-only files while the node goes on."),
    Command::new("bgsave", -1, Traits::ADMIN.union(Traits::NO_ASYNC_LOADING).union(Traits::NOSCRIPT), persistence::bgsave).about("1.0.0", "Saves all keys while the node goes on."),
    Command::data("bitcount", -2, Traits::READONLY, bits::bitcount).keys(1, 1, 1, &["RO", "access"]).groups(BITMAP).about("2.6.0", "Counts the bits that are set."),
    Command::data("bitfield", -2, FILL, bits::bitfield).keys(1, 1, 1, &["RW", "access", "update", "variable_flags"]).note("This command allows both access and modification of the key").without(&["set", "incrby"], 2, &["RO", "access"]).groups(BITMAP).about("3.2.0", "Reads and changes numbers within a string."),
    Command::data("bitfield_ro", -2, FAST_READ, bits::bitfield_ro).keys(1, 1, 1, &["RO", "access"]).groups(BITMAP).about("6.0.0", "Reads numbers within a string."),
    Command::data("bitop", -4, FILL, bits::bitop).keys(2, 2, 1, &["OW", "update"]).keys(3, -1, 1, &["RO", "access"]).groups(BITMAP).about("2.6.0", "Combines the bits of strings."),
    Command::data("bitpos", -3, Traits::READONLY, bits::bitpos).keys(1, 1, 1, &["RO", "access"]).groups(BITMAP).about("2.8.7", "Finds the first bit that is set, or is not."),
    Command::waiting("blmove", 6, FILL.union(Traits::BLOCKING).union(Traits::NOSCRIPT), waiting::blmove).keys(1, 1, 1, &["RW", "access", "delete"]).keys(2, 2, 1, &["RW", "insert"]).groups(LIST).about("6.2.0", "Moves an element from list to list, and waits for one."),
    Command::waiting("blmpop", -5, Traits::BLOCKING.union(Traits::WRITE), waiting::blmpop).counted_keys(2, &["RW", "access", "delete"]).groups(LIST).about("7.0.0", "Takes elements from the first list that has some, and waits for one."),
    Command::waiting("blpop", -3, Traits::BLOCKING.union(Traits::NOSCRIPT).union(Traits::WRITE), waiting::blpop).keys(1, -2, 1, &["RW", "access", "delete"]).groups(LIST).about("2.0.0", "Takes an element from the head, and waits for one."),
    Command::waiting("brpop", -3, Traits::BLOCKING.union(Traits::NOSCRIPT).union(Traits::WRITE), waiting::brpop).keys(1, -2, 1, &["RW", "access", "delete"]).groups(LIST).about("2.0.0", "Takes an element from the tail, and waits for one."),
    Command::waiting("brpoplpush", 4, FILL.union(Traits::BLOCKING).union(Traits::NOSCRIPT), waiting::brpoplpush).keys(1, 1, 1, &["RW", "access", "delete"]).keys(2, 2, 1, &["RW", "insert"]).groups(LIST).about("2.2.0", "Moves the last element of a list to the head of another, and waits for one."),
    Command::waiting("bzmpop", -5, Traits::BLOCKING.union(Traits::WRITE), waiting::bzmpop).counted_keys(2, &["RW", "access", "delete"]).groups(ZSET).about("7.0.0", "Takes members from the first sorted set that has some, and waits for one."),
    Command::waiting("bzpopmax", -3, FAST_WRITE.union(Traits::BLOCKING).union(Traits::NOSCRIPT), waiting::bzpopmax).keys(1, -2, 1, &["RW", "access", "delete"]).groups(ZSET).about("5.0.0", "Takes the member with the greatest score, and waits for one."),
    Command::waiting("bzpopmin", -3, FAST_WRITE.union(Traits::BLOCKING).union(Traits::NOSCRIPT), waiting::bzpopmin).keys(1, -2, 1, &["RW", "access", "delete"]).groups(ZSET).about("5.0.0", "Takes the member with the smallest score, and waits for one."),
    Command::new("client", -2, Traits::empty(), client::help).subcommands(CLIENT).about("2.4.0", "Commands about connections."),
    Command::new("cluster", -2, Traits::empty(), cluster::help).subcommands(CLUSTER).about("3.0.0", "Commands about the cluster."),
    Command::new("command", -1, ALWAYS, introspection::all).subcommands(COMMAND).groups(CONN).tips(VARIES_IN_ORDER).about("2.8.13", "Describes every command."),
    Command::new("config", -2, Traits::empty(), config::help).subcommands(CONFIG).about("2.0.0", "Commands about the configuration."),
    Command::data("copy", -3, FILL, keyspace::copy).keys(1, 1, 1, &["RO", "access"]).keys(2, 2, 1, &["OW", "update"]).groups(KEY).about("6.2.0", "Copies a key."),
    Command::data("dbsize", 1, FAST_READ, keyspace::dbsize).groups(KEY).tips(&["request_policy:all_shards", "response_policy:agg_sum"]).about("1.0.0", "Counts all keys."),
    Command::new("debug", -2, ADMIN, debug::debug).about("1.0.0", "Helps with tests."),
    Command::data("decr", 2, FAST_FILL, strings::decr).keys(1, 1, 1, &["RW", "access", "update"]).groups(STRING).about("1.0.0", "Takes one from a number."),
    Command::data("decrby", 3, FAST_FILL, strings::decrby).keys(1, 1, 1, &["RW", "access", "update"]).groups(STRING).about("1.0.0", "Takes an amount from a number."),
    Command::data("del", -2, Traits::WRITE, keyspace::del).keys(1, -1, 1, &["RM", "delete"]).groups(KEY).tips(SUM).about("1.0.0", "Drops keys."),
    Command::new("discard", 1, BRACKET, transaction::discard).groups(TX).about("2.0.0", "Gives up a transaction."),
    Command::data("dump", 2, Traits::READONLY, transfer::dump).keys(1, 1, 1, &["RO", "access"]).groups(KEY).tips(VARIES).about("2.6.0", "Packs a value to be restored elsewhere."),
    Command::new("echo", 2, FAST_ALWAYS, connection::echo).groups(CONN).about("1.0.0", "Answers with its argument."),
    Command::new("eval", -3, EVALUATE, scripting::eval).counted_keys(2, &["RW", "access", "update"]).note("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE").groups(SCRIPT_GROUP).about("2.6.0", "Runs a script."),
    Command::new("eval_ro", -3, EVALUATE_READ, scripting::eval_ro).counted_keys(2, &["RO", "access"]).note("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS").groups(SCRIPT_GROUP).about("7.0.0", "Runs a script that only reads."),
    Command::new("evalsha", -3, EVALUATE, scripting::evalsha).counted_keys(2, &["RW", "access", "update"]).groups(SCRIPT_GROUP).about("2.6.0", "Runs a script that is known."),
    Command::new("evalsha_ro", -3, EVALUATE_READ, scripting::evalsha_ro).counted_keys(2, &["RO", "access"]).groups(SCRIPT_GROUP).about("7.0.0", "Runs a script that is known and only reads."),
    Command::new("exec", 1, SESSION.union(Traits::SKIP_SLOWLOG), transaction::exec).groups(TX).about("1.2.0", "Carries out a transaction."),
    Command::data("exists", -2, FAST_READ, keyspace::exists).keys(1, -1, 1, &["RO"]).groups(KEY).tips(SUM).about("1.0.0", "Counts which of the keys are there."),
    Command::data("expire", -3, FAST_WRITE, expiry::expire).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("1.0.0", "Has a key expire in some seconds."),
    Command::data("expireat", -3, FAST_WRITE, expiry::expireat).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("1.2.0", "Has a key expire at a Unix time in seconds."),
    Command::data("expiretime", 2, FAST_READ, expiry::expiretime).keys(1, 1, 1, &["RO", "access"]).groups(KEY).about("7.0.0", "Tells when a key expires, in seconds."),
    Command::new("failover", -1, Traits::ADMIN.union(Traits::NOSCRIPT).union(Traits::STALE), replication::failover).about("6.2.0", "Has a replica take over, outside of clusters."),
    Command::new("fcall", -3, EVALUATE, functions::fcall).counted_keys(2, &["RW", "access", "update"]).note("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE").groups(SCRIPT_GROUP).about("7.0.0", "Calls a function."),
    Command::new("fcall_ro", -3, EVALUATE_READ, functions::fcall_ro).counted_keys(2, &["RO", "access"]).note("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS").groups(SCRIPT_GROUP).about("7.0.0", "Calls a function that only reads."),
    Command::data("flushall", -1, Traits::WRITE, keyspace::flush).groups(KEY.union(DANGER)).tips(ON_ALL).about("1.0.0", "Drops every key."),
    Command::data("flushdb", -1, Traits::WRITE, keyspace::flush).groups(KEY.union(DANGER)).tips(ON_ALL).about("1.0.0", "Drops every key."),
    Command::new("function", -2, Traits::empty(), functions::help).subcommands(FUNCTION).about("7.0.0", "Commands about functions."),
    Command::data("geoadd", -5, FILL, geo::geoadd).keys(1, 1, 1, &["RW", "update"]).groups(GEO).about("3.2.0", "Adds places to a sorted set, or moves them."),
    Command::data("geodist", -4, Traits::READONLY, geo::geodist).keys(1, 1, 1, &["RO", "access"]).groups(GEO).about("3.2.0", "Tells how far it is from place to place."),
    Command::data("geohash", -2, Traits::READONLY, geo::geohash).keys(1, 1, 1, &["RO", "access"]).groups(GEO).about("3.2.0", "Tells the geohashes of places."),
    Command::data("geopos", -2, Traits::READONLY, geo::geopos).keys(1, 1, 1, &["RO", "access"]).groups(GEO).about("3.2.0", "Tells where places are."),
    Command::data("georadius", -6, FILL, geo_search::georadius).keys(1, 1, 1, &["RO", "access"]).optional_key("STORE", 6, &["OW", "update"]).optional_key("STOREDIST", 6, &["OW", "update"]).groups(GEO).about("3.2.0", "Finds places around a position, and may store them."),
    Command::data("georadius_ro", -6, Traits::READONLY, geo_search::georadius_ro).keys(1, 1, 1, &["RO", "access"]).groups(GEO).about("3.2.10", "Finds places around a position."),
    Command::data("georadiusbymember", -5, FILL, geo_search::georadiusbymember).keys(1, 1, 1, &["RO", "access"]).optional_key("STORE", 5, &["OW", "update"]).optional_key("STOREDIST", 5, &["OW", "update"]).groups(GEO).about("3.2.0", "Finds places around another one, and may store them."),
    Command::data("georadiusbymember_ro", -5, Traits::READONLY, geo_search::georadiusbymember_ro).keys(1, 1, 1, &["RO", "access"]).groups(GEO).about("3.2.10", "Finds places around another one."),
    Command::data("geosearch", -7, Traits::READONLY, geo_search::geosearch).keys(1, 1, 1, &["RO", "access"]).groups(GEO).about("6.2.0", "Finds places within a circle or a box."),
    Command::data("geosearchstore", -8, FILL, geo_search::geosearchstore).keys(1, 1, 1, &["OW", "update"]).keys(2, 2, 1, &["RO", "access"]).groups(GEO).about("6.2.0", "Stores places within a circle or a box."),
    Command::data("get", 2, FAST_READ, strings::get).keys(1, 1, 1, &["RO", "access"]).groups(STRING).about("1.0.0", "Reads a string."),
    Command::data("getbit", 3, FAST_READ, bits::getbit).keys(1, 1, 1, &["RO", "access"]).groups(BITMAP).about("2.2.0", "Reads a bit."),
    Command::data("getdel", 2, FAST_WRITE, strings::getdel).keys(1, 1, 1, &["RW", "access", "delete"]).groups(STRING).about("6.2.0", "Reads a string and drops it."),
    Command::data("getex", -2, FAST_WRITE, strings::getex).keys(1, 1, 1, &["RW", "access", "update"]).note("RW and UPDATE because it changes the TTL").groups(STRING).about("6.2.0", "Reads a string and changes when it ends."),
    Command::data("getrange", 4, Traits::READONLY, strings::getrange).keys(1, 1, 1, &["RO", "access"]).groups(STRING).about("2.4.0", "Reads a part of a string."),
    Command::data("getset", 3, FAST_FILL, strings::getset).keys(1, 1, 1, &["RW", "access", "update"]).groups(STRING).about("1.0.0", "Sets a string and answers with the former one."),
    Command::data("hdel", -3, FAST_WRITE, hashes::hdel).keys(1, 1, 1, &["RW", "delete"]).groups(HASH).about("2.0.0", "Drops fields."),
    Command::new("hello", -1, GREETING, connection::hello).groups(CONN).about("6.0.0", "Chooses the version of the client protocol."),
    Command::data("hexists", 3, FAST_READ, hashes::hexists).keys(1, 1, 1, &["RO"]).groups(HASH).about("2.0.0", "Tells whether a field is there."),
    Command::data("hget", 3, FAST_READ, hashes::hget).keys(1, 1, 1, &["RO", "access"]).groups(HASH).about("2.0.0", "Reads a field."),
    Command::data("hgetall", 2, Traits::READONLY, hashes::hgetall).keys(1, 1, 1, &["RO", "access"]).groups(HASH).tips(VARIES_IN_ORDER).about("2.0.0", "Reads all fields and values."),
    Command::data("hincrby", 4, FAST_FILL, hashes::hincrby).keys(1, 1, 1, &["RW", "access", "update"]).groups(HASH).about("2.0.0", "Adds an amount to a number in a field."),
    Command::data("hincrbyfloat", 4, FAST_FILL, hashes::hincrbyfloat).keys(1, 1, 1, &["RW", "access", "update"]).groups(HASH).about("2.6.0", "Adds an amount to a floating point number in a field."),
    Command::data("hkeys", 2, Traits::READONLY, hashes::hkeys).keys(1, 1, 1, &["RO", "access"]).groups(HASH).tips(VARIES_IN_ORDER).about("2.0.0", "Reads all fields."),
    Command::data("hlen", 2, FAST_READ, hashes::hlen).keys(1, 1, 1, &["RO"]).groups(HASH).about("2.0.0", "Counts the fields."),
    Command::data("hmget", -3, FAST_READ, hashes::hmget).keys(1, 1, 1, &["RO", "access"]).groups(HASH).about("2.0.0", "Reads several fields."),
    Command::data("hmset", -4, FAST_FILL, hashes::hmset).keys(1, 1, 1, &["RW", "update"]).groups(HASH).about("2.0.0", "Sets several fields."),
    Command::data("hrandfield", -2, Traits::READONLY, hashes::hrandfield).keys(1, 1, 1, &["RO", "access"]).groups(HASH).tips(VARIES).about("6.2.0", "Picks fields."),
    Command::data("hscan", -3, Traits::READONLY, hashes::hscan).keys(1, 1, 1, &["RO", "access"]).groups(HASH).tips(VARIES).about("2.8.0", "Walks through the fields."),
    Command::data("hset", -4, FAST_FILL, hashes::hset).keys(1, 1, 1, &["RW", "update"]).groups(HASH).about("2.0.0", "Sets fields."),
    Command::data("hsetnx", 4, FAST_FILL, hashes::hsetnx).keys(1, 1, 1, &["RW", "insert"]).groups(HASH).about("2.0.0", "Sets a field that is not there."),
    Command::data("hstrlen", 3, FAST_READ, hashes::hstrlen).keys(1, 1, 1, &["RO"]).groups(HASH).about("3.2.0", "Tells the length of a field's value."),
    Command::data("hvals", 2, Traits::READONLY, hashes::hvals).keys(1, 1, 1, &["RO", "access"]).groups(HASH).tips(VARIES_IN_ORDER).about("2.0.0", "Reads all values."),
    Command::data("incr", 2, FAST_FILL, strings::incr).keys(1, 1, 1, &["RW", "access", "update"]).groups(STRING).about("1.0.0", "Adds one to a number."),
    Command::data("incrby", 3, FAST_FILL, strings::incrby).keys(1, 1, 1, &["RW", "access", "update"]).groups(STRING).about("1.0.0", "Adds an amount to a number."),
    Command::data("incrbyfloat", 3, FAST_FILL, strings::incrbyfloat).keys(1, 1, 1, &["RW", "access", "update"]).groups(STRING).about("2.6.0", "Adds an amount to a floating point number."),
    Command::new("info", -1, ALWAYS, info::info).groups(DANGER).tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]).about("1.0.0", "Tells what the node does and has done."),
    Command::data("keys", 2, Traits::READONLY, keyspace::keys).groups(KEY.union(DANGER)).tips(&["request_policy:all_shards", "nondeterministic_output_order"]).about("1.0.0", "Lists the keys that match a pattern."),
    Command::new("lastsave", 1, FAST_ALWAYS, persistence::lastsave).groups(OFFICE).tips(VARIES).about("1.0.0", "Tells when all keys were last saved."),
    Command::new("latency", -2, Traits::empty(), latency::help_latency).subcommands(LATENCY).about("2.8.13", "Commands about what took long."),
    Command::data("lcs", -3, Traits::READONLY, strings::lcs).keys(1, 2, 1, &["RO", "access"]).groups(STRING).about("7.0.0", "Finds the longest common subsequence of two strings."),
    Command::data("lindex", 3, Traits::READONLY, lists::lindex).keys(1, 1, 1, &["RO", "access"]).groups(LIST).about("1.0.0", "Reads an element."),
    Command::data("linsert", 5, FILL, lists::linsert).keys(1, 1, 1, &["RW", "insert"]).groups(LIST).about("2.2.0", "Inserts an element beside another."),
    Command::data("llen", 2, FAST_READ, lists::llen).keys(1, 1, 1, &["RO"]).groups(LIST).about("1.0.0", "Counts the elements."),
    Command::data("lmove", 5, FILL, lists::lmove).keys(1, 1, 1, &["RW", "access", "delete"]).keys(2, 2, 1, &["RW", "insert"]).groups(LIST).about("6.2.0", "Moves an element from list to list."),
    Command::data("lmpop", -4, Traits::WRITE, lists::lmpop).counted_keys(1, &["RW", "access", "delete"]).groups(LIST).about("7.0.0", "Takes elements from the first list that has some."),
    Command::data("lpop", -2, FAST_WRITE, lists::lpop).keys(1, 1, 1, &["RW", "access", "delete"]).groups(LIST).about("1.0.0", "Takes elements from the head."),
    Command::data("lpos", -3, Traits::READONLY, lists::lpos).keys(1, 1, 1, &["RO", "access"]).groups(LIST).about("6.0.6", "Finds elements."),
    Command::data("lpush", -3, FAST_FILL, lists::lpush).keys(1, 1, 1, &["RW", "insert"]).groups(LIST).about("1.0.0", "Adds elements to the head."),
    Command::data("lpushx", -3, FAST_FILL, lists::lpushx).keys(1, 1, 1, &["RW", "insert"]).groups(LIST).about("2.2.0", "Adds elements to the head of a list that is there."),
    Command::data("lrange", 4, Traits::READONLY, lists::lrange).keys(1, 1, 1, &["RO", "access"]).groups(LIST).about("1.0.0", "Reads a range of elements."),
    Command::data("lrem", 4, Traits::WRITE, lists::lrem).keys(1, 1, 1, &["RW", "delete"]).groups(LIST).about("1.0.0", "Drops elements that are equal to one."),
    Command::data("lset", 4, FILL, lists::lset).keys(1, 1, 1, &["RW", "update"]).groups(LIST).about("1.0.0", "Replaces an element."),
    Command::data("ltrim", 4, Traits::WRITE, lists::ltrim).keys(1, 1, 1, &["RW", "delete"]).groups(LIST).about("1.0.0", "Drops all but a range of elements."),
    Command::data("memory", -2, Traits::empty(), memory::help).subcommands(MEMORY).about("4.0.0", "Commands about memory."),
    Command::data("mget", -2, FAST_READ, strings::mget).keys(1, -1, 1, &["RO", "access"]).groups(STRING).tips(&["request_policy:multi_shard"]).about("1.0.0", "Reads several strings."),
    Command::new("migrate", -6, Traits::WRITE, migrate::migrate).keys(3, 3, 1, &["RW", "access", "delete"]).listed_keys(&["RW", "access", "delete", "incomplete"]).groups(KEY.union(DANGER)).tips(VARIES).about("2.6.0", "Moves keys to another server."),
    Command::new("monitor", 1, ADMIN, monitor::monitor).about("1.0.0", "Shows every request that the node carries out."),
    Command::data("move", 3, FAST_WRITE, keyspace::move_to_database).keys(1, 1, 1, &["RW", "access", "update"]).groups(KEY).about("1.0.0", "Moves a key to another database."),
    Command::data("mset", -3, FILL, strings::mset).keys(1, -1, 2, &["OW", "update"]).groups(STRING).tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]).about("1.0.1", "Sets several strings."),
    Command::data("msetnx", -3, FILL, strings::msetnx).keys(1, -1, 2, &["OW", "insert"]).groups(STRING).tips(&["request_policy:multi_shard", "response_policy:agg_min"]).about("1.0.1", "Sets several strings if none of them is there."),
    Command::new("multi", 1, BRACKET, transaction::multi).groups(TX).about("1.2.0", "Begins a transaction."),
    Command::data("object", -2, Traits::empty(), object::help).subcommands(OBJECT).about("2.2.3", "Commands about how values are held."),
    Command::data("persist", 2, FAST_WRITE, expiry::persist).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("2.2.0", "Has a key stay."),
    Command::data("pexpire", -3, FAST_WRITE, expiry::pexpire).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("2.6.0", "Has a key expire in some milliseconds."),
    Command::data("pexpireat", -3, FAST_WRITE, expiry::pexpireat).keys(1, 1, 1, &["RW", "update"]).groups(KEY).about("2.6.0", "Has a key expire at a Unix time in milliseconds."),
    Command::data("pexpiretime", 2, FAST_READ, expiry::pexpiretime).keys(1, 1, 1, &["RO", "access"]).groups(KEY).about("7.0.0", "Tells when a key expires, in milliseconds."),
    Command::data("pfadd", -2, FAST_FILL, hyperloglog::pfadd).keys(1, 1, 1, &["RW", "insert"]).groups(HLL).about("2.8.9", "Adds elements of which only their number is to be estimated."),
    Command::data("pfcount", -2, Traits::READONLY.union(Traits::MAY_REPLICATE), hyperloglog::pfcount).keys(1, -1, 1, &["RW", "access"]).note("RW because it may change the internal representation of the key, and propagate to replicas").groups(HLL).about("2.8.9", "Estimates how many different elements there were."),
    Command::data("pfdebug", 3, FILL.union(Traits::ADMIN), hyperloglog::pfdebug).keys(2, 2, 1, &["RW", "access"]).groups(HLL).about("2.8.9", "Shows what estimates are made of."),
    Command::data("pfmerge", -2, FILL, hyperloglog::pfmerge).keys(1, 1, 1, &["RW", "access", "insert"]).keys(2, -1, 1, &["RO", "access"]).groups(HLL).about("2.8.9", "Makes the union of what several keys estimate."),
    Command::data("pfselftest", 1, Traits::ADMIN, hyperloglog::pfselftest).groups(HLL).about("2.8.9", "Checks that estimates are made well."),
    Command::new("ping", -1, Traits::FAST, connection::ping).groups(CONN).tips(ON_ALL).about("1.0.0", "Answers."),
    Command::data("psetex", 4, FILL, strings::psetex).keys(1, 1, 1, &["OW", "update"]).groups(STRING).about("2.6.0", "Sets a string that expires in some milliseconds."),
    Command::new("psubscribe", -2, LISTEN, pubsub::psubscribe).about("2.0.0", "Listens to the channels that match patterns."),
    Command::new("psync", -3, Traits::ADMIN.union(Traits::NO_ASYNC_LOADING).union(Traits::NO_MULTI).union(Traits::NOSCRIPT), replication::psync).about("2.8.0", "Asks for the stream of writes, from a place on."),
    Command::data("pttl", 2, FAST_READ, expiry::pttl).keys(1, 1, 1, &["RO", "access"]).groups(KEY).tips(VARIES).about("2.6.0", "Tells in how many milliseconds a key expires."),
    Command::new("publish", 3, PUBLISH, pubsub::publish).about("2.0.0", "Sends a message to a channel."),
    Command::new("pubsub", -2, Traits::empty(), pubsub::help).subcommands(PUBSUB).about("2.8.0", "Commands about who listens to what."),
    Command::new("punsubscribe", -1, LISTEN, pubsub::punsubscribe).about("2.0.0", "Listens to patterns no more."),
    Command::new("quit", -1, GREETING, connection::quit).groups(CONN).about("1.0.0", "Ends the connection."),
    Command::data("randomkey", 1, Traits::READONLY, keyspace::randomkey).groups(KEY).tips(&["request_policy:all_shards", "nondeterministic_output"]).about("1.0.0", "Picks a key."),
    Command::new("readonly", 1, FAST_ALWAYS, cluster::readonly).groups(CONN).about("3.0.0", "Lets this connection read from a replica."),
    Command::new("readwrite", 1, FAST_ALWAYS, cluster::readwrite).groups(CONN).about("3.0.0", "Takes READONLY back."),
    Command::data("rename", 3, Traits::WRITE, keyspace::rename).keys(1, 1, 1, &["RW", "access", "delete"]).keys(2, 2, 1, &["OW", "update"]).groups(KEY).about("1.0.0", "Renames a key."),
    Command::data("renamenx", 3, FAST_WRITE, keyspace::renamenx).keys(1, 1, 1, &["RW", "access", "delete"]).keys(2, 2, 1, &["OW", "insert"]).groups(KEY).about("1.0.0", "Renames a key if the new name is free."),
    Command::new("replconf", -1, ADMIN.union(Traits::ALLOW_BUSY), replication::replconf).about("3.0.0", "Says what kind of replica this is, and how far it is."),
    Command::new("replicaof", 3, Traits::ADMIN.union(Traits::NO_ASYNC_LOADING).union(Traits::NOSCRIPT).union(Traits::STALE), replication::replicaof).about("5.0.0", "Replicates a primary, outside of clusters."),
    Command::new("reset", 1, GREETING, connection::reset).groups(CONN).about("6.2.0", "Brings the connection back to its beginning."),
    Command::data("restore", -4, FILL, transfer::restore).keys(1, 1, 1, &["OW", "update"]).groups(KEY.union(DANGER)).about("2.6.0", "Unpacks a value under a key."),
    Command::data("restore-asking", -4, FILL.union(Traits::ASKING), transfer::restore).keys(1, 1, 1, &["OW", "update"]).groups(KEY.union(DANGER)).about("3.0.0", "Unpacks a value under a key of a slot that is being imported."),
    Command::new("role", 1, SESSION.union(Traits::FAST), replication::role).groups(OFFICE).about("2.8.12", "Tells the node's role in replication."),
    Command::data("rpop", -2, FAST_WRITE, lists::rpop).keys(1, 1, 1, &["RW", "access", "delete"]).groups(LIST).about("1.0.0", "Takes elements from the tail."),
    Command::data("rpoplpush", 3, FILL, lists::rpoplpush).keys(1, 1, 1, &["RW", "access", "delete"]).keys(2, 2, 1, &["RW", "insert"]).groups(LIST).about("1.2.0", "Moves the last element of a list to the head of another."),
    Command::data("rpush", -3, FAST_FILL, lists::rpush).keys(1, 1, 1, &["RW", "insert"]).groups(LIST).about("1.0.0", "Adds elements to the tail."),
    Command::data("rpushx", -3, FAST_FILL, lists::rpushx).keys(1, 1, 1, &["RW", "insert"]).groups(LIST).about("2.2.0", "Adds elements to the tail of a list that is there."),
    Command::data("sadd", -3, FAST_FILL, sets::sadd).keys(1, 1, 1, &["RW", "insert"]).groups(SET).about("1.0.0", "Adds members."),
    Command::new("save", 1, Traits::ADMIN.union(Traits::NO_ASYNC_LOADING).union(Traits::NO_MULTI).union(Traits::NOSCRIPT), persistence::save).about("1.0.0", "Saves all keys."),
    Command::data("scan", -2, Traits::READONLY, keyspace::scan).groups(KEY).tips(&["nondeterministic_output", "request_policy:special"]).about("2.8.0", "Walks through the keys."),
    Command::data("scard", 2, FAST_READ, sets::scard).keys(1, 1, 1, &["RO"]).groups(SET).about("1.0.0", "Counts the members."),
    Command::new("script", -2, Traits::empty(), scripting::help).subcommands(SCRIPT).about("2.6.0", "Commands about scripts."),
    Command::data("sdiff", -2, Traits::READONLY, sets::sdiff).keys(1, -1, 1, &["RO", "access"]).groups(SET).tips(VARIES_IN_ORDER).about("1.0.0", "Takes the members of other sets from those of one."),
    Command::data("sdiffstore", -3, FILL, sets::sdiffstore).keys(1, 1, 1, &["OW", "update"]).keys(2, -1, 1, &["RO", "access"]).groups(SET).about("1.0.0", "Stores what SDIFF finds."),
    Command::new("select", 2, FAST_ALWAYS, connection::select).groups(CONN).about("1.0.0", "Chooses the database."),
    Command::data("set", -3, FILL, strings::set).keys(1, 1, 1, &["RW", "access", "update", "variable_flags"]).note("RW and ACCESS due to the optional `GET` argument").without(&["get"], 3, &["OW", "update"]).groups(STRING).about("1.0.0", "Sets a string."),
    Command::data("setbit", 4, FILL, bits::setbit).keys(1, 1, 1, &["RW", "access", "update"]).groups(BITMAP).about("2.2.0", "Sets a bit."),
    Command::data("setex", 4, FILL, strings::setex).keys(1, 1, 1, &["OW", "update"]).groups(STRING).about("2.0.0", "Sets a string that expires in some seconds."),
    Command::data("setnx", 3, FAST_FILL, strings::setnx).keys(1, 1, 1, &["OW", "insert"]).groups(STRING).about("1.0.0", "Sets a string that is not there."),
    Command::data("setrange", 4, FILL, strings::setrange).keys(1, 1, 1, &["RW", "update"]).groups(STRING).about("2.2.0", "Overwrites a part of a string."),
    Command::new("shutdown", -1, ADMIN.union(Traits::ALLOW_BUSY).union(Traits::NO_MULTI), server::shutdown).about("1.0.0", "Ends the node."),
    Command::data("sinter", -2, Traits::READONLY, sets::sinter).keys(1, -1, 1, &["RO", "access"]).groups(SET).tips(VARIES_IN_ORDER).about("1.0.0", "Finds the members that all sets have."),
    Command::data("sintercard", -3, Traits::READONLY, sets::sintercard).counted_keys(1, &["RO", "access"]).groups(SET).about("7.0.0", "Counts the members that all sets have."),
    Command::data("sinterstore", -3, FILL, sets::sinterstore).keys(1, 1, 1, &["RW", "update"]).keys(2, -1, 1, &["RO", "access"]).groups(SET).about("1.0.0", "Stores what SINTER finds."),
    Command::data("sismember", 3, FAST_READ, sets::sismember).keys(1, 1, 1, &["RO"]).groups(SET).about("1.0.0", "Tells whether a member is there."),
    Command::new("slaveof", 3, Traits::ADMIN.union(Traits::NO_ASYNC_LOADING).union(Traits::NOSCRIPT).union(Traits::STALE), replication::replicaof).about("1.0.0", "Replicates a primary, outside of clusters."),
    Command::new("slowlog", -2, Traits::empty(), latency::help_slowlog).subcommands(SLOWLOG).about("2.2.12", "Commands about slow requests."),
    Command::data("smembers", 2, Traits::READONLY, sets::smembers).keys(1, 1, 1, &["RO", "access"]).groups(SET).tips(VARIES_IN_ORDER).about("1.0.0", "Reads all members."),
    Command::data("smismember", -3, FAST_READ, sets::smismember).keys(1, 1, 1, &["RO", "access"]).groups(SET).about("6.2.0", "Tells which members are there."),
    Command::data("smove", 4, FAST_WRITE, sets::smove).keys(1, 1, 1, &["RW", "access", "delete"]).keys(2, 2, 1, &["RW", "insert"]).groups(SET).about("1.0.0", "Moves a member from set to set."),
    Command::data("sort", -2, FILL, sorting::sort).keys(1, 1, 1, &["RO", "access"]).hidden_keys(&["RO", "access"]).note("For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort").hidden_keys(&["OW", "update"]).note("For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array").groups(SET.union(ZSET).union(LIST).union(DANGER)).about("1.0.0", "Sorts the items of a collection."),
    Command::data("sort_ro", -2, Traits::READONLY, sorting::sort_ro).keys(1, 1, 1, &["RO", "access"]).hidden_keys(&["RO", "access"]).note("For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort").groups(SET.union(ZSET).union(LIST).union(DANGER)).about("7.0.0", "Sorts the items of a collection."),
    Command::data("spop", -2, FAST_WRITE, sets::spop).keys(1, 1, 1, &["RW", "access", "delete"]).groups(SET).tips(VARIES).about("1.0.0", "Takes members picked by chance."),
    Command::new("spublish", 3, PUBLISH, pubsub::spublish).keys(1, 1, 1, &["not_key"]).about("7.0.0", "Sends a message to a channel of a shard."),
    Command::data("srandmember", -2, Traits::READONLY, sets::srandmember).keys(1, 1, 1, &["RO", "access"]).groups(SET).tips(VARIES).about("1.0.0", "Picks members."),
    Command::data("srem", -3, FAST_WRITE, sets::srem).keys(1, 1, 1, &["RW", "delete"]).groups(SET).about("1.0.0", "Drops members."),
    Command::data("sscan", -3, Traits::READONLY, sets::sscan).keys(1, 1, 1, &["RO", "access"]).groups(SET).tips(VARIES).about("2.8.0", "Walks through the members."),
    Command::new("ssubscribe", -2, LISTEN, pubsub::ssubscribe).keys(1, -1, 1, &["not_key"]).about("7.0.0", "Listens to channels of a shard."),
    Command::data("strlen", 2, FAST_READ, strings::strlen).keys(1, 1, 1, &["RO"]).groups(STRING).about("2.2.0", "Tells a string's length."),
    Command::new("subscribe", -2, LISTEN, pubsub::subscribe).about("2.0.0", "Listens to channels."),
    Command::data("substr", 4, Traits::READONLY, strings::getrange).keys(1, 1, 1, &["RO", "access"]).groups(STRING).about("1.0.0", "Reads a part of a string."),
    Command::data("sunion", -2, Traits::READONLY, sets::sunion).keys(1, -1, 1, &["RO", "access"]).groups(SET).tips(VARIES_IN_ORDER).about("1.0.0", "Finds the members that any set has."),
    Command::data("sunionstore", -3, FILL, sets::sunionstore).keys(1, 1, 1, &["OW", "update"]).keys(2, -1, 1, &["RO", "access"]).groups(SET).about("1.0.0", "Stores what SUNION finds."),
    Command::new("sunsubscribe", -1, LISTEN, pubsub::sunsubscribe).keys(1, -1, 1, &["not_key"]).about("7.0.0", "Listens to channels of a shard no more."),
    Command::data("swapdb", 3, FAST_WRITE, keyspace::swapdb).groups(KEY.union(DANGER)).about("4.0.0", "Swaps two databases."),
    Command::new("sync", 1, Traits::ADMIN.union(Traits::NO_ASYNC_LOADING).union(Traits::NO_MULTI).union(Traits::NOSCRIPT), replication::sync).about("1.0.0", "Asks for a copy of all keys and the stream of writes behind it."),
    Command::new("time", 1, FAST_ALWAYS, server::time).tips(VARIES).about("2.6.0", "Tells the time."),
    Command::data("touch", -2, FAST_READ, keyspace::touch).keys(1, -1, 1, &["RO"]).groups(KEY).tips(SUM).about("3.2.1", "Counts which of the keys are there."),
    Command::data("ttl", 2, FAST_READ, expiry::ttl).keys(1, 1, 1, &["RO", "access"]).groups(KEY).tips(VARIES).about("1.0.0", "Tells in how many seconds a key expires."),
    Command::data("type", 2, FAST_READ, keyspace::type_of).keys(1, 1, 1, &["RO"]).groups(KEY).about("1.0.0", "Tells the kind of a value."),
    Command::data("unlink", -2, FAST_WRITE, keyspace::del).keys(1, -1, 1, &["RM", "delete"]).groups(KEY).tips(SUM).about("4.0.0", "Drops keys."),
    Command::new("unsubscribe", -1, LISTEN, pubsub::unsubscribe).about("2.0.0", "Listens to channels no more."),
    Command::new("unwatch", 1, BRACKET, transaction::unwatch).groups(TX).about("2.2.0", "Watches no key any more."),
    Command::new("wait", 3, Traits::NOSCRIPT, replication::wait).groups(CONN).tips(&["request_policy:all_shards", "response_policy:agg_min"]).about("3.0.0", "Waits until replicas have what was written."),
    Command::new("watch", -2, BRACKET, transaction::watch).keys(1, -1, 1, &["RO"]).groups(TX).about("2.2.0", "Has EXEC do nothing if a key changes before it."),
    Command::data("xack", -4, FAST_WRITE, stream_groups::xack).keys(1, 1, 1, &["RW", "update"]).groups(STREAM).about("5.0.0", "Acknowledges entries that were delivered."),
    Command::data("xadd", -5, FAST_FILL, streams::xadd).keys(1, 1, 1, &["RW", "update"]).note("UPDATE instead of INSERT because of the optional trimming feature").groups(STREAM).tips(VARIES).about("5.0.0", "Adds an entry."),
    Command::data("xautoclaim", -6, FAST_WRITE, stream_claims::xautoclaim).keys(1, 1, 1, &["RW", "delete"]).groups(STREAM).tips(VARIES).about("6.2.0", "Takes what has been pending for long, for another consumer."),
    Command::data("xclaim", -6, FAST_WRITE, stream_claims::xclaim).keys(1, 1, 1, &["RW", "update"]).groups(STREAM).tips(VARIES).about("5.0.0", "Takes what is pending, for another consumer."),
    Command::data("xdel", -3, FAST_WRITE, streams::xdel).keys(1, 1, 1, &["RW", "delete"]).groups(STREAM).about("5.0.0", "Drops entries."),
    Command::data("xgroup", -2, Traits::empty(), stream_groups::help).subcommands(XGROUP).about("5.0.0", "Commands about groups of consumers."),
    Command::data("xinfo", -2, Traits::empty(), stream_info::help).subcommands(XINFO).about("5.0.0", "Commands that tell about streams."),
    Command::data("xlen", 2, FAST_READ, streams::xlen).keys(1, 1, 1, &["RO"]).groups(STREAM).about("5.0.0", "Counts the entries."),
    Command::data("xpending", -3, Traits::READONLY, stream_groups::xpending).keys(1, 1, 1, &["RO", "access"]).groups(STREAM).tips(VARIES).about("5.0.0", "Tells what was delivered and not acknowledged."),
    Command::data("xrange", -4, Traits::READONLY, streams::xrange).keys(1, 1, 1, &["RO", "access"]).groups(STREAM).about("5.0.0", "Reads a range of entries."),
    Command::new("xread", -4, Traits::BLOCKING.union(Traits::READONLY), stream_reads::xread).stream_keys(1, &["RO", "access"]).groups(STREAM).about("5.0.0", "Reads what is new in streams, and waits for it."),
    Command::new("xreadgroup", -7, Traits::BLOCKING.union(Traits::WRITE), stream_reads::xreadgroup).stream_keys(4, &["RO", "access"]).groups(STREAM).about("5.0.0", "Reads what is new in streams for one of a group, and waits for it."),
    Command::data("xrevrange", -4, Traits::READONLY, streams::xrevrange).keys(1, 1, 1, &["RO", "access"]).groups(STREAM).about("5.0.0", "Reads a range of entries from its end on."),
    Command::data("xsetid", -3, FAST_FILL, streams::xsetid).keys(1, 1, 1, &["RW", "update"]).groups(STREAM).about("5.0.0", "Says which id was given last."),
    Command::data("xtrim", -4, Traits::WRITE, streams::xtrim).keys(1, 1, 1, &["RW", "delete"]).groups(STREAM).tips(VARIES).about("5.0.0", "Drops entries from the beginning."),
    Command::data("zadd", -4, FAST_FILL, sorted_sets::zadd).keys(1, 1, 1, &["RW", "update"]).groups(ZSET).about("1.2.0", "Adds members, or changes their scores."),
    Command::data("zcard", 2, FAST_READ, sorted_sets::zcard).keys(1, 1, 1, &["RO"]).groups(ZSET).about("1.2.0", "Counts the members."),
    Command::data("zcount", 4, FAST_READ, sorted_sets::zcount).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("2.0.0", "Counts the members within a range of scores."),
    Command::data("zdiff", -3, Traits::READONLY, sorted_set_algebra::zdiff).counted_keys(1, &["RO", "access"]).groups(ZSET).about("6.2.0", "Takes the members of other sets from those of one."),
    Command::data("zdiffstore", -4, FILL, sorted_set_algebra::zdiffstore).keys(1, 1, 1, &["OW", "update"]).counted_keys(2, &["RO", "access"]).groups(ZSET).about("6.2.0", "Stores what ZDIFF finds."),
    Command::data("zincrby", 4, FAST_FILL, sorted_sets::zincrby).keys(1, 1, 1, &["RW", "access", "update"]).groups(ZSET).about("1.2.0", "Adds an amount to a score."),
    Command::data("zinter", -3, Traits::READONLY, sorted_set_algebra::zinter).counted_keys(1, &["RO", "access"]).groups(ZSET).about("6.2.0", "Finds the members that all sets have."),
    Command::data("zintercard", -3, Traits::READONLY, sorted_set_algebra::zintercard).counted_keys(1, &["RO", "access"]).groups(ZSET).about("7.0.0", "Counts the members that all sets have."),
    Command::data("zinterstore", -4, FILL, sorted_set_algebra::zinterstore).keys(1, 1, 1, &["OW", "update"]).counted_keys(2, &["RO", "access"]).groups(ZSET).about("2.0.0", "Stores what ZINTER finds."),
    Command::data("zlexcount", 4, FAST_READ, sorted_sets::zlexcount).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("2.8.9", "Counts the members within a range of names."),
    Command::data("zmpop", -4, Traits::WRITE, sorted_sets::zmpop).counted_keys(1, &["RW", "access", "delete"]).groups(ZSET).about("7.0.0", "Takes members from the first sorted set that has some."),
    Command::data("zmscore", -3, FAST_READ, sorted_sets::zmscore).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("6.2.0", "Reads the scores of members."),
    Command::data("zpopmax", -2, FAST_WRITE, sorted_sets::zpopmax).keys(1, 1, 1, &["RW", "access", "delete"]).groups(ZSET).about("5.0.0", "Takes the members with the greatest scores."),
    Command::data("zpopmin", -2, FAST_WRITE, sorted_sets::zpopmin).keys(1, 1, 1, &["RW", "access", "delete"]).groups(ZSET).about("5.0.0", "Takes the members with the smallest scores."),
    Command::data("zrandmember", -2, Traits::READONLY, sorted_sets::zrandmember).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).tips(VARIES).about("6.2.0", "Picks members."),
    Command::data("zrange", -4, Traits::READONLY, sorted_set_ranges::zrange).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("1.2.0", "Reads a range of members."),
    Command::data("zrangebylex", -4, Traits::READONLY, sorted_set_ranges::zrangebylex).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("2.8.9", "Reads the members within a range of names."),
    Command::data("zrangebyscore", -4, Traits::READONLY, sorted_set_ranges::zrangebyscore).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("1.0.5", "Reads the members within a range of scores."),
    Command::data("zrangestore", -5, FILL, sorted_set_ranges::zrangestore).keys(1, 1, 1, &["OW", "update"]).keys(2, 2, 1, &["RO", "access"]).groups(ZSET).about("6.2.0", "Stores a range of members."),
    Command::data("zrank", 3, FAST_READ, sorted_sets::zrank).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("2.0.0", "Tells a member's rank."),
    Command::data("zrem", -3, FAST_WRITE, sorted_sets::zrem).keys(1, 1, 1, &["RW", "delete"]).groups(ZSET).about("1.2.0", "Drops members."),
    Command::data("zremrangebylex", 4, Traits::WRITE, sorted_set_ranges::zremrangebylex).keys(1, 1, 1, &["RW", "delete"]).groups(ZSET).about("2.8.9", "Drops the members within a range of names."),
    Command::data("zremrangebyrank", 4, Traits::WRITE, sorted_set_ranges::zremrangebyrank).keys(1, 1, 1, &["RW", "delete"]).groups(ZSET).about("2.0.0", "Drops the members within a range of ranks."),
    Command::data("zremrangebyscore", 4, Traits::WRITE, sorted_set_ranges::zremrangebyscore).keys(1, 1, 1, &["RW", "delete"]).groups(ZSET).about("1.2.0", "Drops the members within a range of scores."),
    Command::data("zrevrange", -4, Traits::READONLY, sorted_set_ranges::zrevrange).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("1.2.0", "Reads a range of members, downwards."),
    Command::data("zrevrangebylex", -4, Traits::READONLY, sorted_set_ranges::zrevrangebylex).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("2.8.9", "Reads the members within a range of names, downwards."),
    Command::data("zrevrangebyscore", -4, Traits::READONLY, sorted_set_ranges::zrevrangebyscore).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("2.2.0", "Reads the members within a range of scores, downwards."),
    Command::data("zrevrank", 3, FAST_READ, sorted_sets::zrevrank).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("2.0.0", "Tells a member's rank from the greatest score on."),
    Command::data("zscan", -3, Traits::READONLY, sorted_sets::zscan).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).tips(VARIES).about("2.8.0", "Walks through the members."),
    Command::data("zscore", 3, FAST_READ, sorted_sets::zscore).keys(1, 1, 1, &["RO", "access"]).groups(ZSET).about("1.2.0", "Reads a member's score."),
    Command::data("zunion", -3, Traits::READONLY, sorted_set_algebra::zunion).counted_keys(1, &["RO", "access"]).groups(ZSET).about("6.2.0", "Finds the members that any set has."),
    Command::data("zunionstore", -4, FILL, sorted_set_algebra::zunionstore).keys(1, 1, 1, &["OW", "update"]).counted_keys(2, &["RO", "access"]).groups(ZSET).about("2.0.0", "Stores what ZUNION finds."),
];

#[rustfmt::skip]
static ACL: &[Command] = &[
    Command::new("acl|cat", -2, SESSION, acl::cat).about("6.0.0", "Lists the categories of commands, or the commands of one."),
    Command::new("acl|deluser", -3, ADMIN, acl::deluser).about("6.0.0", "Removes users, and ends their connections."),
    Command::new("acl|dryrun", -4, ADMIN, acl::dryrun).about("7.0.0", "Tells whether a user may make a request."),
    Command::new("acl|genpass", -2, SESSION, acl::genpass).about("6.0.0", "Makes up a password."),
    Command::new("acl|getuser", 3, ADMIN, acl::getuser).about("6.0.0", "Tells the rules of a user."),
    Command::new("acl|help", 2, ALWAYS, acl::help).about("6.0.0", "Lists the subcommands."),
    Command::new("acl|list", 2, ADMIN, acl::list).about("6.0.0", "Tells the rules of every user, as a file has them."),
    Command::new("acl|load", 2, ADMIN, acl::load).about("6.0.0", "Reads the users from their file again."),
    Command::new("acl|log", -2, ADMIN, acl::log).about("6.0.0", "Tells who was turned away."),
    Command::new("acl|save", 2, ADMIN, acl::save).about("6.0.0", "Writes the users to their file."),
    Command::new("acl|setuser", -3, ADMIN, acl::setuser).about("6.0.0", "Makes or changes a user."),
    Command::new("acl|users", 2, ADMIN, acl::users).about("6.0.0", "Lists the names of all users."),
    Command::new("acl|whoami", 2, SESSION, acl::whoami).about("6.0.0", "Tells the name of this connection's user."),
];

#[rustfmt::skip]
static CLIENT: &[Command] = &[
    Command::new("client|caching", 3, SESSION, tracking::caching).groups(CONN).about("6.0.0", "Tells whether copies of the next reads are kept."),
    Command::new("client|getname", 2, SESSION, client::getname).groups(CONN).about("2.6.9", "Tells the connection's name."),
    Command::new("client|getredir", 2, SESSION, tracking::getredir).groups(CONN).about("6.0.0", "Tells where invalidations of this connection go."),
    Command::new("client|help", 2, ALWAYS, client::help).groups(CONN).about("5.0.0", "Lists the subcommands."),
    Command::new("client|id", 2, SESSION, client::id).groups(CONN).about("5.0.0", "Tells the connection's number."),
    Command::new("client|info", 2, SESSION, client::info).groups(CONN).tips(VARIES).about("6.2.0", "Tells about this connection."),
    Command::new("client|kill", -3, ADMIN, client::kill).groups(CONN).about("2.4.0", "Ends connections."),
    Command::new("client|list", -2, ADMIN, client::list).groups(CONN).tips(VARIES).about("2.4.0", "Tells about every connection."),
    Command::new("client|no-evict", 3, ADMIN, client::no_evict).groups(CONN).about("7.0.0", "Keeps the connection when memory runs low."),
    Command::new("client|pause", -3, ADMIN, client::pause).groups(CONN).about("2.9.50", "Has requests wait."),
    Command::new("client|reply", 3, SESSION, client::reply).groups(CONN).about("3.2.0", "Chooses which replies are sent."),
    Command::new("client|setname", 3, SESSION, client::setname).groups(CONN).about("2.6.9", "Names the connection."),
    Command::new("client|tracking", -3, SESSION, tracking::tracking).groups(CONN).about("6.0.0", "Has keys that change be told of."),
    Command::new("client|trackinginfo", 2, SESSION, tracking::trackinginfo).groups(CONN).about("6.2.0", "Tells whether reads of this connection are tracked."),
    Command::new("client|unblock", -3, ADMIN, client::unblock).groups(CONN).about("5.0.0", "Ends a client's wait."),
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
    Command::new("cluster|help", 2, ALWAYS, cluster::help).about("5.0.0", "Lists the subcommands."),
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
    Command::new("command|getkeysandflags", -4, ALWAYS, introspection::getkeysandflags).groups(CONN).about("7.0.0", "Finds the keys of a request, and what it does with them."),
    Command::new("command|help", 2, ALWAYS, introspection::help).groups(CONN).about("5.0.0", "Lists the subcommands."),
    Command::new("command|info", -2, ALWAYS, introspection::info).groups(CONN).tips(VARIES_IN_ORDER).about("2.8.13", "Describes commands."),
    Command::new("command|list", -2, ALWAYS, introspection::list).groups(CONN).tips(VARIES_IN_ORDER).about("7.0.0", "Lists the names of commands."),
];

#[rustfmt::skip]
static CONFIG: &[Command] = &[
    Command::new("config|get", -3, ADMIN, config::get).about("2.0.0", "Tells the values of directives."),
    Command::new("config|help", 2, ALWAYS, config::help).about("5.0.0", "Lists the subcommands."),
    Command::new("config|resetstat", 2, ADMIN, config::resetstat).about("2.0.0", "Resets what INFO counts."),
    Command::new("config|rewrite", 2, ADMIN, config::rewrite).about("2.8.0", "Writes the configuration to its file."),
    Command::new("config|set", -4, ADMIN, config::set).tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]).about("2.0.0", "Changes directives."),
];

#[rustfmt::skip]
static FUNCTION: &[Command] = &[
    Command::new("function|delete", 3, CHANGE_FUNCTIONS, functions::delete).groups(SCRIPT_GROUP).tips(ON_ALL).about("7.0.0", "Drops a library."),
    Command::new("function|dump", 2, Traits::NOSCRIPT, functions::dump).groups(SCRIPT_GROUP).about("7.0.0", "Packs all libraries to be restored elsewhere."),
    Command::new("function|flush", -2, CHANGE_FUNCTIONS, functions::flush).groups(SCRIPT_GROUP).tips(ON_ALL).about("7.0.0", "Drops all libraries."),
    Command::new("function|help", 2, ALWAYS, functions::help).groups(SCRIPT_GROUP).about("7.0.0", "Lists the subcommands."),
    Command::new("function|kill", 2, Traits::NOSCRIPT.union(Traits::ALLOW_BUSY), functions::kill).groups(SCRIPT_GROUP).tips(&["request_policy:all_shards", "response_policy:one_succeeded"]).about("7.0.0", "Ends the function that runs."),
    Command::new("function|list", -2, Traits::NOSCRIPT, functions::list).groups(SCRIPT_GROUP).tips(VARIES_IN_ORDER).about("7.0.0", "Tells the libraries."),
    Command::new("function|load", -3, ADD_FUNCTIONS, functions::load).groups(SCRIPT_GROUP).tips(ON_ALL).about("7.0.0", "Loads a library."),
    Command::new("function|restore", -3, ADD_FUNCTIONS, functions::restore).groups(SCRIPT_GROUP).tips(ON_ALL).about("7.0.0", "Loads libraries that were packed."),
    Command::new("function|stats", 2, Traits::NOSCRIPT.union(Traits::ALLOW_BUSY), functions::stats).groups(SCRIPT_GROUP).tips(OF_ALL_SHARDS).about("7.0.0", "Tells which function runs."),
];

#[rustfmt::skip]
static LATENCY: &[Command] = &[
    Command::new("latency|doctor", 2, ADMIN, latency::doctor).tips(OF_ALL_NODES).about("2.8.13", "Tells in words what took long."),
    Command::new("latency|graph", 3, ADMIN, latency::graph).tips(OF_ALL_NODES).about("2.8.13", "Draws how long an event took."),
    Command::new("latency|help", 2, ALWAYS, latency::help_latency).about("2.8.13", "Lists the subcommands."),
    Command::new("latency|histogram", -2, ADMIN, latency::histogram).tips(OF_ALL_NODES).about("7.0.0", "Tells how long commands took."),
    Command::new("latency|history", 3, ADMIN, latency::history).tips(OF_ALL_NODES).about("2.8.13", "Tells when an event took long."),
    Command::new("latency|latest", 2, ADMIN, latency::latest).tips(OF_ALL_NODES).about("2.8.13", "Tells when each event last took long."),
    Command::new("latency|reset", -2, ADMIN, latency::reset).tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]).about("2.8.13", "Forgets what took long."),
];

#[rustfmt::skip]
static SCRIPT: &[Command] = &[
    Command::new("script|debug", 3, Traits::NOSCRIPT, scripting::debug).groups(SCRIPT_GROUP).about("3.2.0", "Debugs scripts."),
    Command::new("script|exists", -3, Traits::NOSCRIPT, scripting::exists).groups(SCRIPT_GROUP).tips(&["request_policy:all_shards", "response_policy:agg_logical_and"]).about("2.6.0", "Tells which scripts are known."),
    Command::new("script|flush", -2, Traits::NOSCRIPT, scripting::flush).groups(SCRIPT_GROUP).tips(ON_NODES).about("2.6.0", "Forgets all scripts."),
    Command::new("script|help", 2, ALWAYS, scripting::help).groups(SCRIPT_GROUP).about("5.0.0", "Lists the subcommands."),
    Command::new("script|kill", 2, Traits::NOSCRIPT.union(Traits::ALLOW_BUSY), scripting::kill).groups(SCRIPT_GROUP).tips(&["request_policy:all_shards", "response_policy:one_succeeded"]).about("2.6.0", "Ends the script that runs."),
    Command::new("script|load", 3, Traits::NOSCRIPT.union(Traits::STALE), scripting::load).groups(SCRIPT_GROUP).tips(ON_NODES).about("2.6.0", "Has a script known without running it."),
];

#[rustfmt::skip]
static SLOWLOG: &[Command] = &[
    Command::new("slowlog|get", -2, WATCH, latency::slow_get).tips(&["request_policy:all_nodes", "nondeterministic_output"]).about("2.2.12", "Tells the latest slow requests."),
    Command::new("slowlog|help", 2, ALWAYS, latency::help_slowlog).about("6.2.0", "Lists the subcommands."),
    Command::new("slowlog|len", 2, WATCH, latency::slow_len).tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]).about("2.2.12", "Counts the slow requests."),
    Command::new("slowlog|reset", 2, WATCH, latency::slow_reset).tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]).about("2.2.12", "Forgets the slow requests."),
];

#[rustfmt::skip]
static MEMORY: &[Command] = &[
    Command::new("memory|doctor", 2, Traits::empty(), memory::doctor).tips(OF_ALL_SHARDS).about("4.0.0", "Tells in words how memory is used."),
    Command::data("memory|help", 2, ALWAYS, memory::help).about("4.0.0", "Lists the subcommands."),
    Command::new("memory|malloc-stats", 2, Traits::empty(), memory::malloc_stats).tips(OF_ALL_SHARDS).about("4.0.0", "Tells what the allocator counts."),
    Command::new("memory|purge", 2, Traits::empty(), memory::purge).tips(&["request_policy:all_shards", "response_policy:all_succeeded"]).about("4.0.0", "Has the allocator give memory back."),
    Command::new("memory|stats", 2, Traits::empty(), memory::stats).tips(OF_ALL_SHARDS).about("4.0.0", "Tells how memory is used."),
    Command::data("memory|usage", -3, Traits::READONLY, memory::usage).keys(2, 2, 1, &["RO"]).about("4.0.0", "Tells how much memory a key takes."),
];

#[rustfmt::skip]
static OBJECT: &[Command] = &[
    Command::data("object|encoding", 3, Traits::READONLY, object::encoding).keys(2, 2, 1, &["RO"]).groups(KEY).tips(VARIES).about("2.2.3", "Tells the form in which a value is held."),
    Command::data("object|freq", 3, Traits::READONLY, object::freq).keys(2, 2, 1, &["RO"]).groups(KEY).tips(VARIES).about("4.0.0", "Tells how often a key is used."),
    Command::data("object|help", 2, ALWAYS, object::help).groups(KEY).about("6.2.0", "Lists the subcommands."),
    Command::data("object|idletime", 3, Traits::READONLY, object::idletime).keys(2, 2, 1, &["RO"]).groups(KEY).tips(VARIES).about("2.2.3", "Tells for how long a key was not used."),
    Command::data("object|refcount", 3, Traits::READONLY, object::refcount).keys(2, 2, 1, &["RO"]).groups(KEY).tips(VARIES).about("2.2.3", "Tells how many share a value."),
];

#[rustfmt::skip]
static PUBSUB: &[Command] = &[
    Command::new("pubsub|channels", -2, CHANNELS, pubsub::channels).about("2.8.0", "Lists channels that somebody listens to."),
    Command::new("pubsub|help", 2, ALWAYS, pubsub::help).about("6.2.0", "Lists the subcommands."),
    Command::new("pubsub|numpat", 2, CHANNELS, pubsub::numpat).about("2.8.0", "Counts the patterns that somebody listens to."),
    Command::new("pubsub|numsub", -2, CHANNELS, pubsub::numsub).about("2.8.0", "Counts who listens to channels."),
    Command::new("pubsub|shardchannels", -2, CHANNELS, pubsub::shardchannels).about("7.0.0", "Lists channels of shards that somebody listens to."),
    Command::new("pubsub|shardnumsub", -2, CHANNELS, pubsub::shardnumsub).about("7.0.0", "Counts who listens to channels of shards."),
];

#[rustfmt::skip]
static XGROUP: &[Command] = &[
    Command::data("xgroup|create", -5, FILL, stream_groups::create).keys(2, 2, 1, &["RW", "insert"]).groups(STREAM).about("5.0.0", "Makes a group of consumers."),
    Command::data("xgroup|createconsumer", 5, FILL, stream_groups::createconsumer).keys(2, 2, 1, &["RW", "insert"]).groups(STREAM).about("6.2.0", "Makes a consumer."),
    Command::data("xgroup|delconsumer", 5, Traits::WRITE, stream_groups::delconsumer).keys(2, 2, 1, &["RW", "delete"]).groups(STREAM).about("5.0.0", "Drops a consumer with what it has pending."),
    Command::data("xgroup|destroy", 4, Traits::WRITE, stream_groups::destroy).keys(2, 2, 1, &["RW", "delete"]).groups(STREAM).about("5.0.0", "Drops a group of consumers."),
    Command::data("xgroup|help", 2, ALWAYS, stream_groups::help).groups(STREAM).about("5.0.0", "Lists the subcommands."),
    Command::data("xgroup|setid", -5, Traits::WRITE, stream_groups::setid).keys(2, 2, 1, &["RW", "update"]).groups(STREAM).about("5.0.0", "Says up to where a group has read."),
];

#[rustfmt::skip]
static XINFO: &[Command] = &[
    Command::data("xinfo|consumers", 4, Traits::READONLY, stream_info::consumers).keys(2, 2, 1, &["RO", "access"]).groups(STREAM).tips(VARIES).about("5.0.0", "Tells about the consumers of a group."),
    Command::data("xinfo|groups", 3, Traits::READONLY, stream_info::groups).keys(2, 2, 1, &["RO", "access"]).groups(STREAM).about("5.0.0", "Tells about the groups of a stream."),
    Command::data("xinfo|help", 2, ALWAYS, stream_info::help).groups(STREAM).about("5.0.0", "Lists the subcommands."),
    Command::data("xinfo|stream", -3, Traits::READONLY, stream_info::about_stream).keys(2, 2, 1, &["RO", "access"]).groups(STREAM).about("5.0.0", "Tells about a stream."),
];

/// Every command, each followed by its subcommands.
pub fn every() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().flat_map(|command| std::iter::once(command).chain(command.subcommands))
}

impl From<WrongKind> for Reply<'static> {
    fn from(_: WrongKind) -> Self {
        Reply::error("WRONGTYPE Operation against a key holding the wrong kind of value")
    }
}

const NOT_AN_INTEGER: &str = "value is not an integer or out of range";

fn not_an_integer() -> Reply<'static> {
    Reply::err(NOT_AN_INTEGER)
}

/// There is one database.
fn out_of_databases() -> Reply<'static> {
    Reply::err("DB index is out of range")
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
    use super::{COMMANDS, named};
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
        for command in COMMANDS {
            let found = named(command.name.to_ascii_uppercase().as_bytes());
            assert_eq!(found.map(|found| found.name), Some(command.name));
        }
        assert_eq!(Command::find(COMMANDS, b"GeT").map(|command| command.name), Some("get"));
        for unknown in [b"".as_slice(), b"nosuch", &[0xff; 100]] {
            assert!(named(unknown).is_none() && Command::find(COMMANDS, unknown).is_none());
        }
    }
}
