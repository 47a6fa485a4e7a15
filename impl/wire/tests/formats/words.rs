//! Lines and their words, as redis-server splits them.

use proptest::prelude::*;
use slotbus_wire::words;

#[track_caller]
fn check(line: &str, expected: &[&str]) {
    let expected: Vec<Vec<u8>> = expected.iter().map(|word| word.as_bytes().into()).collect();
    assert_eq!(words::split(line.as_bytes()), Ok(expected), "{line}");
}

#[test]
fn spaces_separate_words() {
    check("", &[]);
    check(" \t\r\n\x0b\x0c", &[]);
    check("a", &["a"]);
    check("  a\tb\x0bc \r", &["a", "b", "c"]);
    check("a b\0c", &["a", "b"]);
}

#[test]
fn quotes_keep_words_together() {
    check(r#""a b" 'c d' """#, &["a b", "c d", ""]);
    check(r#"x"y z" x'y z'"#, &["xy z", "xy z"]);
    check(r#""\x41\n\r\t\b\a\"\q\x4""#, &["A\n\r\t\x08\x07\"qx4"]);
    check(r"'a\'b\n'", &[r"a'b\n"]);
    check(r"a\nb", &[r"a\nb"]);
}

#[test]
fn quotes_must_balance() {
    for line in [r#"""#, "'", r#"a "b"#, r#""a"b"#, "'a'b", r#"'a'"b""#, r#""a\"#, r#""a\""#, r"'a\'", "\"a\0\""] {
        assert_eq!(words::split(line.as_bytes()), Err(words::UnbalancedQuotes), "{line}");
    }
}

proptest! {
    #[test]
    fn quoted_bytes_come_back(words in prop::collection::vec(any::<Vec<u8>>(), 0..5)) {
        let quoted = words.iter().map(|word| {
            let escaped: String = word.iter().map(|byte| format!("\\x{byte:02X}")).collect();
            format!("\"{escaped}\"")
        });
        let line = quoted.collect::<Vec<_>>().join(" ");
        prop_assert_eq!(words::split(line.as_bytes()), Ok(words));
    }

    #[test]
    fn any_line_is_split_or_refused(line in "[\"'\\\\x0-9a-f \t]{0,30}") {
        let _ = words::split(line.as_bytes());
    }
}
