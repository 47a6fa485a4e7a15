//! nodes.conf: what is written is read back, and every way in which a file can be wrong is named.

use crate::arbitrary;
use proptest::{collection::vec, prelude::*, sample::Index};
use slotbus_core::{Address, Durable, Flags, Host, NodeView, Slot, SlotSet};
use slotbus_wire::nodes_conf::{self, Fault, NodesConfError};

const ID: &str = "07c37dfeb235213a872192d90877d0cd55635b91";
const OTHER: &str = "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1";

fn parsed(text: &str) -> Durable<16384> {
    nodes_conf::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = nodes_conf::parse(text.as_bytes()).expect_err("a wrong file");
    assert_eq!(error.to_string(), expected, "{text}");
}

/// A file whose node has this word at this place of its line.
fn with_word(place: usize, word: &str) -> String {
    let line = format!("{ID} 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5");
    let mut words: Vec<&str> = line.split(' ').collect();
    words[place] = word;
    words.join(" ") + "\n"
}

#[test]
fn the_lines_of_redis_server() {
    let text = format!(
        "{ID} 127.0.0.1:7000@17000,host.example.org myself,master - 0 1500000000123 3 connected 0-5 7 \
         [6-<-{OTHER}] [7->-{OTHER}]\n\
         {OTHER} ::1:7001@17001 slave,fail?,nofailover {ID} 1500000000100 1500000000000 3 disconnected\n\
         a7ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 :0@0 master,fail,noaddr - 0 0 0 disconnected 16383\n\
         b7ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 10.0.0.1:7003@17003 noflags - 0 0 0 disconnected\n\
         vars currentEpoch 4 lastVoteEpoch 2\n"
    );
    let durable = parsed(&text);
    assert_eq!(nodes_conf::write(&durable), text);
    assert_eq!((durable.current_epoch, durable.last_vote_epoch), (4, 2));
    let [own, replica, gone, bare] = &durable.nodes[..] else { panic!("four nodes") };
    assert_eq!(&*own.hostname, "host.example.org");
    assert_eq!(own.slots.to_string(), "0-5 7");
    assert_eq!(durable.importing.iter().map(|(slot, id)| (slot.0, id.to_string())).next(), Some((6, OTHER.into())));
    assert_eq!(durable.migrating.iter().map(|(slot, id)| (slot.0, id.to_string())).next(), Some((7, OTHER.into())));
    assert_eq!(replica.flags, Flags::REPLICA | Flags::PFAIL | Flags::NOFAILOVER);
    assert_eq!(replica.primary, Some(own.id));
    assert_eq!(replica.address.host, Host::Ip(std::net::Ipv6Addr::LOCALHOST.into()));
    assert_eq!(gone.address, Address::default());
    assert_eq!(bare.flags, Flags::empty());
}

#[test]
fn files_of_older_and_later_versions() {
    let node = |address: &str| parsed(&with_word(1, address)).nodes.remove(0);
    assert_eq!(node("127.0.0.1:7000").address.cport, 17000);
    assert_eq!(&*node("127.0.0.1:7000@17000,").hostname, "");
    assert_eq!(&*node("127.0.0.1:7000@17000,host").hostname, "host");
    let shard = format!("shard-id={OTHER}");
    assert_eq!(&*node(&format!("127.0.0.1:7000@17000,,tls-port=0,{shard}")).hostname, "");
    assert_eq!(&*node(&format!("127.0.0.1:7000@17000,host,nodename=n,{shard}")).hostname, "host");
    assert_eq!(&*node(&format!("127.0.0.1:7000@17000,{shard}")).hostname, "");
    let durable = parsed(&format!("{}vars someEpoch x currentEpoch 5\n", with_word(0, ID)));
    assert_eq!((durable.current_epoch, durable.last_vote_epoch), (5, 0));
    // An older file is overwritten in place, and what it was longer is filled with line ends.
    parsed(&format!("{}\n\n\n\0\0\0", with_word(0, ID)));
    parsed(&format!("\n{}", with_word(0, ID).replace('\n', " \r\n")));
    parsed(&with_word(7, "\"connected\""));
}

#[test]
fn the_first_owner_of_a_slot_stays_it() {
    let other = with_word(0, OTHER).replace("myself,", "");
    let durable = parsed(&(with_word(8, "3-9") + &other + &with_word(2, "master").replace(ID, &"c".repeat(40))));
    let slots: Vec<String> = durable.nodes.iter().map(|node| node.slots.to_string()).collect();
    assert_eq!(slots, ["3-9", "0-2", ""]);
}

#[test]
fn wrong_words_are_named() {
    let no_id = "is no node id: those are 40 lowercase hex digits";
    let upper = ID.to_uppercase();
    check_error(&with_word(0, &upper), &format!("line 1: '{upper}' {no_id}"));
    check_error(&with_word(0, &ID[1..]), &format!("line 1: '{}' {no_id}", &ID[1..]));
    for bad in ["127.0.0.1", "127.0.0.1:x@17000", "127.0.0.1:7000@", "127.0.0.1:65536@1", "a@b:1@2", "127.0.0.1:60000"]
    {
        check_error(&with_word(1, bad), &format!("line 1: '{bad}' is no address: those look like ip:port@bus-port"));
    }
    check_error(
        &with_word(1, "127.0.0.1:1@2,host,rest"),
        "line 1: '127.0.0.1:1@2,host,rest' is no address: those look like ip:port@bus-port",
    );
    check_error(&with_word(1, "127.0.0.1:1@2,a_b"), "line 1: 'a_b' is no host name");
    check_error(&with_word(2, "myself,primary"), "line 1: 'primary' is no flag of a node");
    check_error(&with_word(2, "myself,"), "line 1: '' is no flag of a node");
    check_error(&with_word(3, "me"), &format!("line 1: 'me' {no_id}"));
    for place in [4, 5, 6] {
        for bad in ["x", "-1", "+1", "", "18446744073709551616"] {
            let quoted = format!("\"{bad}\"");
            check_error(&with_word(place, &quoted), &format!("line 1: '{bad}' is no number of 64 bits"));
        }
    }
    check_error(&with_word(7, "connec"), "line 1: 'connec' is no state of a link");
    for bad in ["16384", "0-16384", "5-4", "-", "1-", "x", "1-2-3", "[", "[]", "[1->-", "[1>-2]", "[99999->-x]"] {
        check_error(&with_word(8, bad), &format!("line 1: '{bad}' names no slots below 16384"));
    }
    check_error(&with_word(8, "[1->-x]"), &format!("line 1: 'x' {no_id}"));
    check_error(&with_word(8, "\"\\xff\n"), "line 1: unbalanced quotes");
    check_error(&with_word(8, "\"\\xff\""), "line 1: '\\xff' names no slots below 16384");
    let long = "y".repeat(1000);
    check_error(&with_word(2, &long), &format!("line 1: '{}' is no flag of a node", &long[..60]));
}

#[test]
fn wrong_files_are_named() {
    let good = with_word(0, ID);
    assert_eq!(nodes_conf::parse(b""), Err(NodesConfError::Empty));
    check_error("\n\n", "no node is flagged as myself");
    check_error(&with_word(2, "master"), "no node is flagged as myself");
    check_error(&(good.clone() + &good), &format!("line 2: node {ID} has a line already"));
    check_error(&(good.clone() + &good.replace(ID, OTHER)), "line 2: another node is flagged as myself already");
    check_error(&(good.clone() + "\nabc def\n"), "line 3: a node takes at least 8 words, here are 2");
    check_error(&(good.clone() + "vars currentEpoch\n"), "line 2: a variable has no value");
    check_error(&(good.clone() + "vars currentEpoch x\n"), "line 2: 'x' is no number of 64 bits");
    check_error(&(good + "vars currentEpoch 1"), "line 2: the file ends within this line");
}

#[test]
fn texts_that_would_break_a_line_are_left_out() {
    let mut durable = parsed(&with_word(0, ID));
    durable.nodes[0].hostname = "a b".into();
    durable.nodes[0].address.host = Host::Name("x\ny".into());
    assert_eq!(nodes_conf::write(&durable), with_word(1, ":7000@17000") + "vars currentEpoch 0 lastVoteEpoch 0\n");
}

#[test]
fn moves_show_by_slot_and_once() {
    let mut durable = parsed(&with_word(0, ID));
    let id = durable.nodes[0].id;
    durable.migrating = [(Slot(3), id), (Slot(5), id)].into();
    durable.importing = [(Slot(4), id), (Slot(5), id)].into();
    let line = nodes_conf::node_line(&durable.nodes[0], &durable.migrating, &durable.importing);
    let items: Vec<&str> = line.split(' ').skip(9).collect();
    assert_eq!(items, [format!("[3->-{ID}]"), format!("[4-<-{ID}]"), format!("[5->-{ID}]")]);
}

#[test]
fn nodes_in_handshake_are_shown_but_not_saved() {
    let mut durable = parsed(&with_word(0, ID));
    let own = &durable.nodes[0];
    let other = NodeView { flags: Flags::HANDSHAKE, slots: SlotSet::new(), primary: None, ..own.clone() };
    let other = NodeView { id: OTHER.parse().expect("an id"), ..other };
    let line = nodes_conf::node_line(&other, &durable.migrating, &durable.importing);
    assert_eq!(line, format!("{OTHER} 127.0.0.1:7000@17000 handshake - 0 0 1 connected"));
    let saved = nodes_conf::write(&durable);
    durable.nodes.push(other);
    assert_eq!(nodes_conf::write(&durable), saved);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_written_is_read_back(durable in arbitrary::durable()) {
        prop_assert_eq!(nodes_conf::parse(nodes_conf::write(&durable).as_bytes()), Ok(durable));
    }

    #[test]
    fn a_file_cut_short_is_refused_or_ends_with_a_line(durable in arbitrary::durable(), cut in any::<Index>()) {
        let text = nodes_conf::write(&durable);
        let cut = cut.index(text.len());
        let result = nodes_conf::parse(&text.as_bytes()[..cut]);
        if cut > 0 && !text[..cut].ends_with('\n') {
            let is_last_line = |number| number == text[..cut].lines().count();
            let is_cut_short = |fault: &Fault| *fault == Fault::CutShort;
            prop_assert!(
                matches!(&result, Err(NodesConfError::Line { number, fault }) if is_last_line(*number) && is_cut_short(fault)),
                "{:?}", result
            );
        }
        if let Ok(read) = result {
            prop_assert!(durable.nodes.starts_with(&read.nodes));
        }
    }

    #[test]
    fn damage_is_read_or_refused(durable in arbitrary::durable(), changes in vec((any::<Index>(), any::<u8>()), 1..5)) {
        let mut text = nodes_conf::write(&durable).into_bytes();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        match nodes_conf::parse(&text) {
            // Whatever it was understood as is one and the same thing from then on, but for a slot
            // that has come to be moved both ways.
            Ok(read) if read.migrating.keys().all(|slot| !read.importing.contains_key(slot)) => {
                prop_assert_eq!(nodes_conf::parse(nodes_conf::write(&read).as_bytes()), Ok(without_handshakes(read)));
            }
            Ok(_) => {}
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in vec(any::<u8>(), 0..300)) {
        prop_assert!(nodes_conf::parse(&text).is_err());
    }
}

fn without_handshakes(mut durable: Durable<16384>) -> Durable<16384> {
    durable.nodes.retain(|node| !node.flags.contains(Flags::HANDSHAKE));
    durable
}
