//! Clients that keep copies of keys: the same story told to this node and to redis-server, whose every reply and
//! invalidation must be the same bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use support::{
    NODE, Server,
    story::{Story, compare},
    wait_for,
};

#[test]
fn who_has_read_a_key_is_told_once_of_its_change() {
    compare(
        "
        a hello 3
        a client tracking on
        a get k
        a get {k}2
        a mget k {k}2
        w set k 1
        <a
        w set k 2
        w del {k}2
        w mset {k}2 x k y
        <a
        a ping
        a get k
        w expire k 100
        <a
        a strlen k
        w append k z
        <a
        a get k
        w getdel k
        <a
        a hgetall h
        a exists h
        w hset h f 1 g 2
        <a
        a ping
        a dbsize
        a client tracking off
        a get k
        w set k 9
        a ping
        ",
    );
}

#[test]
fn who_changes_what_it_has_read_is_told_behind_the_reply() {
    compare(
        "
        a hello 3
        a client tracking on
        a get k
        a set k 1
        <a
        a get k
        a multi
        a get {k}2
        a set k 2
        a set {k}2 3
        a exec
        <a
        <a
        a eval return{redis.call('get',KEYS[1])} 1 k
        a get {k}2
        a eval return{redis.call('set',KEYS[1],'x')} 1 {k}2
        <a
        w set k 5
        <a
        a ping
        b hello 3
        b client tracking on noloop
        b get k
        b set k 1
        b ping
        w set k 2
        b get k
        w set k 3
        <b
        b client trackinginfo
        ",
    );
}

#[test]
fn reads_count_as_was_said_ahead() {
    compare(
        "
        a hello 3
        a client tracking on optin
        a get k
        a client caching yes
        a client trackinginfo
        a get {k}2
        a get {k}3
        a client trackinginfo
        w mset k 1 {k}2 1 {k}3 1
        <a
        a client caching yes
        a multi
        a get k
        a get {k}2
        a exec
        a get {k}3
        w mset k 1 {k}2 1 {k}3 1
        <a
        <a
        b hello 3
        b client tracking on optout
        b client caching no
        b get k
        b get {k}2
        w mset k 1 {k}2 1
        <b
        b ping
        ",
    );
}

#[test]
fn prefixes_are_told_of_what_nobody_has_read() {
    compare(
        "
        a hello 3
        a client tracking on bcast prefix user: prefix item:
        a client trackinginfo
        w set user:1 x
        <a
        w set item:1 x
        <a
        w set other x
        a ping
        w multi
        w set user:{1}b 1
        w set user:{1}a 1
        w set user:{1}b 2
        w exec
        <a
        b hello 3
        b client tracking on bcast noloop
        b set other x
        b ping
        w set other y
        <b
        w flushall
        <a
        <b
        ",
    );
}

#[test]
fn another_client_is_told_instead() {
    compare(
        "
        p ping
        p subscribe __redis__:invalidate
        a client tracking on redirect $p
        a client trackinginfo
        a get k
        w set k 1
        <p
        a get k
        w flushall
        <p
        c hello 3
        d hello 3
        c client tracking on redirect $d
        c get k
        w set k 1
        <d
        c get k
        c set k 2
        <d
        c ping
        ",
    );
}

#[test]
fn who_cannot_be_told_misses_it() {
    compare(
        "
        a client tracking on
        a get k
        w set k 1
        a ping
        a hello 3
        a get k
        w set k 2
        <a
        a reset
        a get k
        w set k 1
        a ping
        ",
    );
}

#[test]
fn a_key_that_expires_or_is_popped_is_told() {
    compare(
        "
        a hello 3
        a client tracking on
        w set k 1 px 60
        a get k
        <a
        w rpush l 1 2
        a lrange l 0 -1
        b blpop l 0
        <b
        <a
        a lrange l 0 -1
        w lpop l
        <a
        a xread streams x 0
        w xadd x 1-1 f v
        <a
        a smembers s
        w sadd s 1
        <a
        ",
    );
}

#[test]
fn options_that_do_not_go_together_are_refused_alike() {
    compare(include_str!("scripts/tracking.story"));
}

#[test]
fn a_redirection_that_leads_to_nobody_is_told() {
    let story = "
        p ping
        a hello 3
        a client tracking on redirect $p
        a get k
        p quit
    ";
    let of = |program| {
        let server = Server::start(program, &[]);
        let mut played = Story::begin(&server);
        let mut told = played.tell(story);
        let mut watcher = server.client();
        wait_for("a client to be gone", || {
            (watcher.ask("CLIENT LIST TYPE NORMAL").matches("id=").count() <= 2).then_some(())
        });
        told.push_str(&played.tell("w set k 1\n<a\na client trackinginfo"));
        told
    };
    assert_eq!(of(NODE), of(support::REDIS));
}

#[test]
fn no_more_keys_are_remembered_than_may_be() {
    let server = Server::start(NODE, &["--tracking-table-max-keys", "10"]);
    let (mut reader, mut watcher) = (server.client(), server.client());
    reader.ask("HELLO 3");
    reader.ask("CLIENT TRACKING ON");
    (0..30).for_each(|number| drop(reader.ask(&format!("GET key:{number}"))));
    let mut remembered =
        || watcher.ask("INFO stats").lines().find(|line| line.starts_with("tracking_total_keys:")).map(String::from);
    wait_for("keys to be forgotten", || (remembered()? == "tracking_total_keys:10").then_some(()));
    let told: Vec<String> = (0..20).map(|_| support::text(&reader.reply().unwrap())).collect();
    assert!(told.iter().all(|message| message.starts_with(">2\r\n$10\r\ninvalidate\r\n*1\r\n")), "{told:?}");
}
