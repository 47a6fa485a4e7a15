//! Keys of every kind and form, made by requests.

use super::{Client, text};

/// Keys of every kind and form.
pub(crate) fn fill(client: &mut Client) {
    let long = "compressible ".repeat(3000);
    let noise: String = (0..30_000_u32).map(|number| char::from(33 + (number * number % 89) as u8)).collect();
    let mut ask = |args: &[&[u8]]| {
        client.send_request(args);
        let reply = client.reply().unwrap();
        assert!(!reply.starts_with(b"-"), "{:?}: {}", text(args[0]), text(&reply));
    };
    for (key, value) in [("int", "-12345"), ("empty", ""), ("short", "hello"), ("long", &long), ("noise", &noise)] {
        ask(&[b"SET", key.as_bytes(), value.as_bytes()]);
    }
    ask(&[b"SET", b"binary\r\n\0\xff", b"\0\xff\r\n"]);
    ask(&[b"SET", b"ending", b"x", b"EXAT", b"99999999999"]);
    for number in 0..700_u32 {
        let (text, large) = (number.to_string(), format!("member-{}-{number}", number % 3));
        ask(&[b"RPUSH", b"list", text.as_bytes(), large.as_bytes()]);
        ask(&[b"SADD", b"table", large.as_bytes()]);
        ask(&[b"HSET", b"fields", large.as_bytes(), text.as_bytes()]);
        ask(&[b"ZADD", b"ranked", (f64::from(number) / 7.0).to_string().as_bytes(), large.as_bytes()]);
        if number < 40 {
            ask(&[b"SADD", b"numbers16", text.as_bytes()]);
            ask(&[b"SADD", b"numbers32", (number * 100_000).to_string().as_bytes()]);
            ask(&[b"SADD", b"numbers64", (i64::from(number) - (1 << 40)).to_string().as_bytes()]);
            ask(&[b"HSET", b"few", text.as_bytes(), large.as_bytes()]);
            ask(&[b"ZADD", b"ranked few", text.as_bytes(), large.as_bytes()]);
        }
    }
    ask(&[b"RPUSH", b"large element", noise.as_bytes(), b"1", noise.as_bytes()]);
    ask(&[b"ZADD", b"extremes", b"-inf", b"low", b"inf", b"high", b"0.1", b"tenth", b"1e300", b"huge"]);
    ask(&[b"GEOADD", b"places", b"13.361389", b"38.115556", b"Palermo", b"15.087269", b"37.502669", b"Catania"]);
    ask(&[b"PEXPIREAT", b"few", b"99999999999999"]);
    ask(&[b"PFADD", b"estimated", b"a", b"b", b"c", b"d"]);
    let elements: Vec<String> = (0..3000).map(|number: u32| number.to_string()).collect();
    let elements: Vec<&[u8]> = elements.iter().map(String::as_bytes).collect();
    ask(&[&[b"PFADD".as_slice(), b"estimated in full"], elements.as_slice()].concat());
    ask(&[b"PFCOUNT", b"estimated in full"]);
    for number in 1..250_u32 {
        let (id, text) = (format!("{}-{number}", number / 3), number.to_string());
        let words: [&[u8]; 7] = [b"XADD", b"entries", id.as_bytes(), b"field", text.as_bytes(), b"other", &[b'y'; 30]];
        ask(if number % 7 == 0 { &words[..5] } else { &words });
        if number % 5 == 0 {
            ask(&[b"XDEL", b"entries", id.as_bytes()]);
        }
    }
}

/// Streams of which entries are gone or pending, and functions.
pub(crate) fn fill_further(client: &mut Client) {
    for line in [
        "XADD stream 1-1 field value",
        "XADD stream 2-1 field value other 5",
        "XADD stream 3-1 field value",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group consumer COUNT 2 STREAMS stream >",
        "XDEL stream 2-1",
        "XADD gone 1-1 a b",
        "XDEL gone 1-1",
    ] {
        assert!(!client.ask(line).starts_with('-'), "{line}");
    }
    let library = b"#!lua name=library\nredis.register_function('f', function() return 1 end)";
    client.send_request(&[b"FUNCTION", b"LOAD", library]);
    assert_eq!(text(&client.reply().unwrap()), "$7\r\nlibrary\r\n");
}
