//! The same requests to this node and to redis-server, each a cluster of one with all slots: the
//! replies must be the same bytes, but for ids, ports and times.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up ends at once")]

mod support;

use support::{
    Client, NODE, REDIS, Server,
    pair::{Pair, words_of},
    text,
};

#[test]
fn strings_and_keys_behave_the_same() {
    Pair::start(Server::alone).compare(
        "
        get a
        set a 1
        get a
        GET a
        gEt a
        set a 2 nx
        set a 2 xx
        set b 1 xx
        set b 1 nx
        get b
        set a 3 get
        set nosuch 3 get xx
        set a 4 nx get
        get a
        set a
        set a 1 ex
        set a 1 ex 0
        set a 1 ex -1
        set a 1 ex x
        set a 1 ex 1 px 1
        set a 1 nx xx
        set a 1 nx nx
        set a 1 foo
        set a 1 ex 99999999999999999
        set a 1 px 9223372036854775807
        set a 1 keepttl ex 10
        set a 1 ex 10 keepttl
        set a 1 exat 1
        exists a
        set a 1 ex 100
        ttl a
        set a 2 keepttl
        ttl a
        set a 3
        ttl a
        pttl a
        set a 1 px 100000
        ttl a
        set a 1 exat 99999999999
        expiretime a
        pexpiretime a
        set a 1 pxat 99999999999999
        expiretime a
        pexpiretime a
        persist a
        persist a
        persist nosuch
        ttl nosuch
        pttl nosuch
        expiretime nosuch
        expire nosuch 10
        expire a x
        expire a 100
        ttl a
        expire a 50 gt
        ttl a
        expire a 50 lt
        ttl a
        expire a 200 nx
        expire a 200 xx
        ttl a
        expire a 10 nx xx
        expire a 10 gt lt
        expire a 10 foo
        expire a 9223372036854775807
        pexpire a 9223372036854775807
        expireat a 99999999999
        expiretime a
        pexpireat a 99999999999999
        expire a 0
        exists a
        set a 1
        expire a -1
        get a
        set a 1
        expire a 10 xx
        ttl a
        expire a 10 gt
        expire a 10 lt
        ttl a
        del a
        del a b
        del {t}1 {t}2
        mset {t}1 a {t}2 b
        mget {t}1 {t}2 {t}3
        mset {t}1 a {t}2
        mset {t}1
        msetnx {t}1 a {t}9 b
        msetnx {t}8 a {t}9 b
        msetnx {t}8 a {t}9
        exists {t}1 {t}1 {t}9 {t}3
        touch {t}1 {t}3
        unlink {t}1 {t}3
        type {t}2
        type nosuch
        strlen {t}2
        strlen nosuch
        append s abc
        append s def
        get s
        setnx s 1
        setnx u 1
        setex u 10 v
        ttl u
        setex u 0 v
        setex u x v
        psetex u 10000 v
        ttl u
        psetex u -5 v
        getset u w
        ttl u
        getset nosuch2 w
        getdel u
        getdel u
        incr n
        incr n
        decr n
        incrby n 40
        decrby n 2
        incrby n x
        incrby n 1.5
        incr s
        set n 9223372036854775807
        incr n
        decrby n -1
        decrby n -9223372036854775808
        set n 012
        incr n
        set n ' 1'
        incr n
        set empty \"\"
        get empty
        strlen empty
        set \"\" x
        get \"\"
        del \"\"
        get a b
        get
        mget
        del
        exists
        mget a b
        mset a 1 b 2
        del a b
        exists a b
        dbsize
        dbsize x
        flushall foo
        flushall sync async
        flushall async
        dbsize
        flushdb sync
        set {s}a 1
        keys *
        keys {s}?
        keys [
        keys
        randomkey
        scan 0
        scan 0 count 100 match *a
        scan 0 match nosuch*
        scan 0 type string
        scan 0 type list
        scan x
        scan 0 count x
        scan 0 count 0
        scan 0 match
        scan 0 foo bar
        info keyspace
        flushall
        scan -1
        randomkey
        info keyspace
        ",
    );
}

#[test]
fn connections_and_errors_behave_the_same() {
    Pair::start(Server::alone).compare(
        "
        ping
        ping 'hello there'
        ping a b
        echo x
        echo
        foo
        foo bar baz
        foo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbb ccc
        select
        select 0
        select 1
        select x
        select 99999999999999999999
        hello x
        hello 1
        hello 4
        hello 2 foo
        hello 2 auth
        hello 2 auth default
        hello 2 setname
        hello 2 setname 'a b'
        auth
        auth a
        auth a b
        auth default b
        auth a b c
        client
        client foo
        client getname
        client setname
        client setname a b
        client setname 'a b'
        client setname x
        client getname
        client setname \"\"
        client getname
        client list type foo
        client list id abc
        client list id
        client list foo
        client reply foo
        client reply
        client setinfo lib-name x
        client no-evict
        client no-evict on
        client no-evict off
        client no-evict foo
        client kill
        client kill 1.2.3.4:5
        client kill id x
        client kill id 0
        client kill id 99999
        client kill id
        client kill foo bar
        client kill type foo
        client kill user nosuch
        client kill addr 1.2.3.4:5 skipme maybe
        client kill type pubsub
        multi
        multi
        get a
        set a 1
        foo
        exec
        exec
        discard
        multi
        set a 1
        get a
        incr a
        get a b
        discard
        multi
        set a 1
        get a
        incr a
        set b x
        incr b
        exec
        multi
        exec
        multi
        mget a b
        exec
        multi
        ping
        shutdown
        exec
        multi
        hello 9
        client getname
        exec
        time x
        move a 1
        swapdb 0 1
        reset
        reset x
        readonly
        readwrite
        asking
        asking x
        role
        config
        config foo
        config get
        config get nosuch
        config get maxclients
        config get maxmemory
        config get MAXMEMORY-pol*
        config get cluster-slave-no-failover
        config get cluster-node-timeout cluster-node-timeout
        config get hash-max-ziplist-e*
        config set
        config set port
        config set nosuch 1
        config set cluster-enabled no
        config set cluster-node-timeout abc
        config set cluster-node-timeout -1
        config set cluster-node-timeout 15000 nosuch 1
        config set cluster-node-timeout 15000 cluster-node-timeout 2
        config set cluster-node-timeout 15000
        config get cluster-node-timeout
        config set cluster-announce-hostname 'a b'
        config set timeout 5 tcp-keepalive
        config set loglevel foo
        config set loglevel warning
        config get loglevel
        config set proto-max-bulk-len 1
        config set proto-max-bulk-len 2mb
        config get proto-max-bulk-len
        config set dir /tmp
        config set cluster-require-full-coverage maybe
        config resetstat
        config rewrite
        command foo
        command getkeys get a
        command getkeys set a b
        command getkeys mset a b c d
        command getkeys mget a b c
        command getkeys zunionstore d 2 a b
        command getkeys zunion 2 a b
        command getkeys zunion 0 a
        command getkeys zunion 5 a b
        command getkeys lmpop 2 a b left
        command getkeys blmpop 0 2 a b left
        command getkeys sort a by x limit 0 1 get y store b
        command getkeys sort a store b store c
        command getkeys lmove a b left right
        command getkeys blpop a b c 0
        command getkeys bitop and d a b
        command getkeys migrate h 1 a 0 1
        command getkeys migrate h 1 \"\" 0 1 keys a b
        command getkeys ping x
        command getkeys nosuch a
        command getkeys get a b
        command list filterby module x
        command list foo
        command list filterby aclcat nosuch
        command docs nosuch
        command info nosuch
        shutdown foo
        shutdown save nosave
        shutdown abort
        shutdown abort now
        info nosuch
        info cluster
        ",
    );
}

#[test]
fn the_cluster_commands_behave_the_same() {
    Pair::start(Server::alone).compare(
        "
        cluster
        cluster foo
        cluster meet
        cluster meet a b
        cluster meet 127.0.0.1 x
        cluster meet 127.0.0.1 99999
        cluster meet 127.0.0.1 0
        cluster meet 127.0.0.1 -1
        cluster meet 127.0.0.1 7000 x
        cluster meet 127.0.0.1 7000 0
        cluster meet 127.0.0.1 7000 99999
        cluster meet 127.0.0.1 60000
        cluster meet localhost 7000
        cluster meet 1.2.3 7000
        cluster meet 127.0.0.1 7000 8000 9000
        cluster addslots
        cluster addslots x
        cluster addslots 16384
        cluster addslots -1
        cluster addslots 1
        cluster addslotsrange 1
        cluster addslotsrange 1 2 3
        cluster addslotsrange 5 2
        cluster addslotsrange 1 x
        cluster addslotsrange 1 5 3 8
        cluster delslots x
        cluster delslots 5 5
        cluster delslots 5
        cluster delslots 5
        cluster addslots 5 5
        cluster addslots 5
        cluster addslots 5
        cluster delslotsrange 10 20
        cluster delslotsrange 15 25
        cluster addslotsrange 10 15 15 20
        cluster delslotsrange 30 40 50 60
        cluster addslotsrange 10 20 30 40 50 60
        cluster nodes x
        cluster myid x
        cluster myid
        cluster info x
        cluster slots x
        cluster slots
        cluster shards
        cluster links
        cluster keyslot
        cluster keyslot foo
        cluster keyslot {foo}bar
        cluster keyslot \"\"
        cluster countkeysinslot x
        cluster countkeysinslot 16384
        cluster countkeysinslot -1
        cluster countkeysinslot 1
        set {a}1 x
        set {a}2 x
        set {a}3 x
        cluster keyslot a
        cluster countkeysinslot 15495
        cluster getkeysinslot 15495 2
        cluster getkeysinslot 15495 100
        cluster getkeysinslot 15495 0
        cluster getkeysinslot x 1
        cluster getkeysinslot 1 x
        cluster getkeysinslot 1 -1
        cluster getkeysinslot 16384 1
        cluster forget abc
        cluster forget aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        cluster replicas abc
        cluster slaves abc
        cluster replicas aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        cluster count-failure-reports abc
        cluster set-config-epoch x
        cluster set-config-epoch -1
        cluster bumpepoch
        cluster bumpepoch
        cluster set-config-epoch 7
        cluster saveconfig
        cluster saveconfig x
        cluster info
        mget a b
        set a 1
        get a
        ",
    );
}

#[test]
fn a_cluster_without_slots_refuses_the_same() {
    Pair::start(Server::clustered).compare(
        "
        cluster slots
        cluster shards
        cluster set-config-epoch 5
        cluster set-config-epoch 6
        cluster bumpepoch
        get a
        mget a b
        set a
        exists a
        keys *
        dbsize
        multi
        get a
        exec
        exec
        multi
        ping
        exec
        multi
        foo
        exec
        cluster addslots 15495
        set a 1
        mget a b
        get b
        cluster delslots 15495
        ",
    );
}

#[test]
fn a_node_outside_of_a_cluster_behaves_the_same() {
    let start = |program: &str| Server::start(program, &[]);
    let (node, redis) = (start(NODE), start(REDIS));
    for line in [
        "cluster info",
        "cluster help",
        "cluster foo",
        "asking",
        "readonly",
        "readwrite",
        "get a",
        "mset a 1 b 2",
        "mget a b",
        "info cluster",
        "cluster meet a",
    ] {
        assert_eq!(node.client().ask(line), redis.client().ask(line), "{line}");
    }
}

#[test]
fn commands_describe_themselves_the_same() {
    let mut pair = Pair::start(Server::alone);
    let names = pair.ours.ask("COMMAND LIST");
    let names: Vec<String> = names.lines().skip(1).filter(|line| !line.starts_with('$')).map(String::from).collect();
    assert!(names.len() > 40, "{names:?}");
    // redis-server has these since later versions.
    let is_later = |name: &str| name == "cluster|myshardid";
    for name in names.into_iter().filter(|name| !is_later(name)) {
        // Subcommands come in no particular order, and not all of them are here.
        let [ours, theirs] = pair.ask(&words_of(&format!("command info {name}")));
        if !format!("{ours:?}").contains(&format!("{name}|")) {
            assert_eq!(ours, theirs, "{name}");
        }
    }
    pair.speak_newer();
    pair.compare(
        "
        command info get
        command info set
        command info config|set
        get nosuch
        mget nosuch
        config get maxmemory
        cluster slots
        cluster shards
        cluster info
        set a 1 xx
        scan 0
        client getname
        ",
    );
}

/// One database, as this node has it.
fn outside_of_clusters(program: &str) -> Server {
    Server::start(program, &["--databases", "1"])
}

#[test]
fn administration_is_answered_the_same() {
    let list = include_str!("scripts/administration.txt");
    Pair::start(Server::alone).compare(list);
    let mut pair = Pair::start(outside_of_clusters);
    pair.compare(list);
    pair.speak_newer();
    pair.compare(list);
}

/// The lines of a text reply.
fn lines(client: &mut Client, request: &str) -> Vec<String> {
    client.ask(request).lines().skip(1).map(str::to_owned).collect()
}

/// What INFO of redis-server tells, and this node cannot, or does not count.
const UNTOLD: &[&str] = &[
    // How it was compiled.
    "monotonic_clock",
    "atomicvar_api",
    "gcc_version",
    // Its allocator and its clients' buffers, which are not part of the memory that is counted here.
    "used_memory_overhead",
    "used_memory_startup",
    "allocator_",
    "rss_overhead_",
    "mem_total_replication_buffers",
    "mem_clients_slaves",
    "mem_clients_normal",
    "client_recent_max_",
    "reply_buffer_",
    "total_eviction_exceeded_time",
    "current_eviction_exceeded_time",
    "clients_in_timeout_table",
    // How far its child process has come.
    "current_fork_perc",
    "current_save_keys_",
    "rdb_last_bgsave_time_sec",
    "rdb_current_bgsave_time_sec",
    // What a load has met, and what expires in cycles.
    "rdb_last_load_keys_",
    "expired_stale_perc",
    "expired_time_cap_reached_count",
    "expire_cycle_cpu_milliseconds",
    // Rates, and parts of the traffic.
    "instantaneous_input_repl",
    "instantaneous_output_repl",
    "total_net_repl_",
    "used_cpu_sys_main_thread",
    "used_cpu_user_main_thread",
];

#[test]
fn info_has_the_same_sections_and_fields() {
    for start in [Server::alone, outside_of_clusters] {
        let mut pair = Pair::start(start);
        for sections in ["info", "info all", "info everything", "info stats Memory", "info default cpu"] {
            let names = |client: &mut Client| -> Vec<String> {
                let lines = lines(client, sections);
                lines.iter().filter_map(|line| Some(line.split(':').next()?.to_owned())).collect()
            };
            let [ours, theirs] = [&mut pair.ours, &mut pair.theirs].map(names);
            let sections_of = |names: &[String]| -> Vec<String> {
                names.iter().filter(|name| name.starts_with('#')).cloned().collect()
            };
            assert_eq!(sections_of(&ours), sections_of(&theirs), "{sections}");
            let is_told = |name: &&String| !UNTOLD.iter().any(|untold| name.starts_with(untold));
            // Which commands were called depends on how long the server took to start.
            let is_counted =
                |name: &&String| !["cmdstat_", "latency_percentiles_"].iter().any(|stat| name.starts_with(stat));
            let missing: Vec<&String> =
                theirs.iter().filter(is_told).filter(is_counted).filter(|name| !ours.contains(name)).collect();
            assert!(missing.is_empty(), "{sections}: {missing:?}");
        }
    }
}

#[test]
fn every_directive_has_the_same_value() {
    let mut pair = Pair::start(Server::alone);
    let names: Vec<String> = lines(&mut pair.theirs, "config get *").into_iter().skip(1).step_by(4).collect();
    assert!(names.len() > 150, "{names:?}");
    for name in names {
        let difference = pair.difference(&words_of(&format!("config get {name}")));
        assert_eq!(difference, None);
    }
}

#[test]
fn a_bad_stream_is_answered_the_same() {
    let (node, redis) = (Server::alone(NODE), Server::alone(REDIS));
    let long = vec![b'a'; 70_000];
    let count = [b"*".as_slice(), &vec![b'1'; 70_000]].concat();
    let length = [b"*1\r\n$".as_slice(), &vec![b'1'; 70_000]].concat();
    for bytes in [
        b"*2147483648\r\n".as_slice(),
        b"*x\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\nx\r\n",
        b"*1\r\n\x01\r\n",
        b"get \"a\r\n",
        b"foo '\r\n",
        b"PING\r\n*x\r\n",
        b"PING\r\nQUIT\r\nPING\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"host: x\r\n",
        &long,
        &count,
        &length,
    ] {
        let rest = |server: &Server| {
            let mut client = server.client();
            client.try_send(bytes);
            text(&client.rest())
        };
        assert_eq!(rest(&node), rest(&redis), "{:?}", text(&bytes[..bytes.len().min(40)]));
    }
    for bytes in [
        b"*-5\r\nPING\r\n".as_slice(),
        b"\r\n\r\nPING\r\n",
        b"PING 'a b'\r\n",
        b"ping \"\\x41\\n\"\r\n",
        b"*1\r\n$4\r\nPINGxyPING\r\n",
        b"*0\r\nPING\r\n",
        b"  PING   \r\n",
        b"PING\n",
    ] {
        let first = |server: &Server| {
            let mut client = server.client();
            client.send(bytes);
            text(&client.reply().unwrap())
        };
        assert_eq!(first(&node), first(&redis), "{:?}", text(bytes));
    }
}

#[test]
fn replies_can_be_turned_off() {
    let (node, redis) = (Server::alone(NODE), Server::alone(REDIS));
    let dialogue = |server: &Server| {
        let mut client = server.client();
        client.send(b"client reply off\r\nping\r\nset a 1\r\nclient reply on\r\nping\r\nclient reply skip\r\nping\r\nget a\r\nquit\r\n");
        text(&client.rest())
    };
    assert_eq!(dialogue(&node), dialogue(&redis));
    assert_eq!(dialogue(&node), "+OK\r\n+PONG\r\n$1\r\n1\r\n+OK\r\n");
}

#[test]
fn a_password_is_asked_for_the_same() {
    let start = |program: &str| Server::start(program, &["--requirepass", "secret"]);
    let (node, redis) = (start(NODE), start(REDIS));
    let (mut ours, mut theirs) = (node.client(), redis.client());
    for line in [
        "ping",
        "get",
        "foo",
        "auth wrong",
        "hello 3",
        "hello 2 auth default wrong",
        "auth nosuch secret",
        "ping",
        "auth secret",
        "ping",
        "reset",
        "ping",
        "auth default secret",
        "get a",
    ] {
        assert_eq!(ours.ask(line), theirs.ask(line), "{line}");
    }
    for bytes in [b"*11\r\n".as_slice(), b"*2\r\n$4\r\nAUTH\r\n$16385\r\n"] {
        let rest = |server: &Server| {
            let mut client = server.client();
            client.send(bytes);
            text(&client.rest())
        };
        assert_eq!(rest(&node), rest(&redis));
    }
}
