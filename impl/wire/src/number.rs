//! Owns the texts of floating point numbers: how a client may write one, and the exact digits in
//! which redis-server shows one.
//!
//! Must not know what a number stands for.

/// The number that a text spells, or the nearest to it; none if there is anything else in it, or if it
/// is not a number.
#[must_use]
pub fn nearest_f64(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!number.is_nan()).then_some(number)
}

/// Like [`nearest_f64`]; none if the number is too large, or too small, to be told from others.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    if let Some(whole) = parse_small(text) {
        return Some(whole.into());
    }
    let number = nearest_f64(text)?;
    let digits = text.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or_default();
    let names_infinity = text.iter().any(|byte| matches!(byte, b'i' | b'I'));
    let is_overflown = number.is_infinite() && !names_infinity;
    let is_underflown = number == 0.0 && digits.iter().any(|byte| matches!(byte, b'1'..=b'9'));
    (!is_overflown && !is_underflown).then_some(number)
}

/// The whole number that a few digits spell: most scores are no more than that.
fn parse_small(text: &[u8]) -> Option<u32> {
    const DIGITS_MAX: usize = 9;
    let is_small = (1..=DIGITS_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_small.then(|| text.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

/// A number with 17 significant digits, as `%.17g` shows it.
#[must_use]
pub fn format_f64(number: f64) -> String {
    format_significant(number, 17)
}

/// A number with so many significant digits, at least one, as `%g` with that precision shows it.
#[must_use]
pub fn format_significant(number: f64, digits: usize) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if number.is_nan() {
        return "nan".to_owned();
    }
    if let Some(whole) = whole_below(number, digits) {
        return whole.to_string();
    }
    let decimals = digits.saturating_sub(1);
    let scientific = format!("{number:.decimals$e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let whole = i32::try_from(decimals).unwrap_or(i32::MAX);
    if (-4..=whole).contains(&exponent) {
        let decimals = usize::try_from(whole - exponent).unwrap_or_default();
        return without_zeros(&format!("{number:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.unsigned_abs())
}

/// A whole number of at most so many digits, as which most numbers are shown: the exact digits of others take long.
fn whole_below(number: f64, digits: usize) -> Option<i64> {
    /// Every whole number of so many digits is exact.
    const EXACT_DIGITS: usize = 15;
    let exponent = u32::try_from(digits.min(EXACT_DIGITS)).unwrap_or_default();
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    let is_whole = number.fract() == 0.0 && number.abs() < 10_i64.pow(exponent) as f64 && !is_negative_zero;
    is_whole.then_some(number as i64)
}

/// A number in the fewest digits that read back as the same, without an exponent where it is a whole
/// number of moderate size: the form of scores inside of a listpack.
#[must_use]
pub fn format_score(number: f64) -> String {
    const WHOLE_MAX: f64 = (i64::MAX / 2) as f64;
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        // A whole number of this size loses nothing but the sign of a zero.
        return (number as i64).to_string();
    }
    format_f64(number)
}

/// A number with so many digits behind the point, as `%f` with that precision shows it.
#[must_use]
pub fn format_fixed(number: f64, decimals: usize) -> String {
    if number.is_finite() {
        return format!("{number:.decimals$}");
    }
    let name = if number.is_nan() { "nan" } else { "inf" };
    if number.is_sign_negative() { format!("-{name}") } else { name.to_owned() }
}

/// A number with the digits behind the point that it has, up to 17 of them: the form of coordinates.
#[must_use]
pub fn format_decimal(number: f64) -> String {
    without_zeros(&format_fixed(number, 17)).to_owned()
}

/// A fixed-point text without the zeros that end its fraction.
#[must_use]
pub fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::{format_decimal, format_f64, format_fixed, format_score, format_significant, parse_f64};

    #[test]
    fn numbers_show_as_seventeen_digits_do() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.10000000000000001"),
            (2.7, "2.7000000000000002"),
            (999_999_999_999_999.0, "999999999999999"),
            (-1e15, "-1000000000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.5e300, "1.5000000000000001e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (-123456.789, "-123456.789"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(format_f64(number), text);
        }
        assert_eq!(format_significant(123_456.0, 3), "1.23e+05");
        assert_eq!(format_significant(-999.0, 3), "-999");
        assert_eq!(format_score(-3.0), "-3");
        assert_eq!(format_score(0.5), "0.5");
        assert_eq!(format_score(-0.0), "0");
    }

    #[test]
    fn fixed_points_show_what_is_no_number_too() {
        for (number, text) in [
            (0.0, "0.0000"),
            (314_371.834_849, "314371.8348"),
            (1e21, "1000000000000000000000.0000"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN.copysign(1.0), "nan"),
            (f64::NAN.copysign(-1.0), "-nan"),
        ] {
            assert_eq!(format_fixed(number, 4), text);
        }
        for (number, text) in [(0.0, "0"), (180.0, "180"), (2.000_000_185_646_549, "2.0000001856465488")] {
            assert_eq!(format_decimal(number), text);
        }
        assert_eq!(format_decimal(13.361_389_338_970_184), "13.36138933897018433");
    }

    #[test]
    fn numbers_are_read_whole_or_not_at_all() {
        for (text, number) in [
            ("1", Some(1.0)),
            ("007", Some(7.0)),
            ("999999999", Some(999_999_999.0)),
            ("9999999999", Some(9_999_999_999.0)),
            ("+1.5e3", Some(1500.0)),
            (".5", Some(0.5)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("nan", None),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("1e400", None),
            ("1e-400", None),
            ("0e-400", Some(0.0)),
            ("x", None),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), number, "{text:?}");
        }
    }
}
