//! Owns glob patterns as KEYS, SCAN and CONFIG GET know them: `*`, `?`, `[a-z]`, `[^a]`, `\x`.
//!
//! Must not recurse: the pattern comes from a client.

/// Whether `text` matches `pattern` as a whole. Takes at most about the product of both lengths.
/// As in redis-server an empty text matches nothing but an empty pattern.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8], ignores_case: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut rest, mut at) = (pattern, 0);
    // What follows the last star, and how much of the text that star has taken: where to resume.
    let mut resume: Option<(&[u8], usize)> = None;
    loop {
        if let [b'*', after @ ..] = rest {
            if after.is_empty() {
                return true;
            }
            resume = Some((after, at));
            rest = after;
            continue;
        }
        let step = match text.get(at) {
            None if rest.is_empty() => return true,
            None => return false,
            Some(&byte) => one(rest, byte, ignores_case),
        };
        match (step, resume) {
            (Some(after), _) => {
                rest = after;
                at += 1;
            }
            (None, Some((after, taken))) => {
                resume = Some((after, taken + 1));
                rest = after;
                at = taken + 1;
            }
            (None, None) => return false,
        }
    }
}

/// Like [`matches()`] for the names that KEYS and SCAN list: a star alone stands for every name, an empty one included.
#[must_use]
pub fn lists(pattern: &[u8], name: &[u8]) -> bool {
    pattern == b"*" || matches(pattern, name, false)
}

/// What is left of the pattern after its first item, if that matches `byte`.
fn one(pattern: &[u8], byte: u8, ignores_case: bool) -> Option<&[u8]> {
    let fold = |byte: u8| if ignores_case { byte.to_ascii_lowercase() } else { byte };
    match pattern {
        [] => None,
        [b'?', after @ ..] => Some(after),
        [b'[', class @ ..] => {
            let (is_in, after) = class_has(class, byte, ignores_case);
            is_in.then_some(after)
        }
        [b'\\', escaped, after @ ..] => (fold(*escaped) == fold(byte)).then_some(after),
        [plain, after @ ..] => (fold(*plain) == fold(byte)).then_some(after),
    }
}

/// Whether a class, given from behind its bracket, has `byte`; and what follows the class.
fn class_has(class: &[u8], byte: u8, ignores_case: bool) -> (bool, &[u8]) {
    let fold = |byte: u8| if ignores_case { byte.to_ascii_lowercase() } else { byte };
    let (negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut is_in = false;
    loop {
        rest = match rest {
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', escaped, after @ ..] => {
                is_in |= *escaped == byte;
                after
            }
            [start, b'-', end, after @ ..] => {
                let (start, end) = (fold(*start.min(end)), fold(*start.max(end)));
                is_in |= (start..=end).contains(&fold(byte));
                after
            }
            [plain, after @ ..] => {
                is_in |= fold(*plain) == fold(byte);
                after
            }
        };
    }
    (is_in != negated, rest)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("*", "", false),
            ("*", "abc", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("h*llo", "heeeello", true),
            ("h*llo", "heeeell", false),
            ("a*b*c", "axxbxxbxxc", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hello", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("[\\]]", "]", true),
            ("a[", "a", false),
            ("**a", "ba", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), false), expected, "{pattern} {text}");
        }
        assert!(matches(b"CLUSTER-*", b"cluster-port", true));
    }

    #[test]
    fn many_stars_do_not_take_forever() {
        let pattern = b"a*".repeat(200);
        let text = [b"a".repeat(5000).as_slice(), b"b"].concat();
        assert!(!matches(&[pattern.as_slice(), b"c"].concat(), &text, false));
    }
}
