//! Owns sums of decimal numbers as a processor's 80 bit floating point format makes them: the digits
//! that clients see of INCRBYFLOAT and HINCRBYFLOAT come from there.
//!
//! Must not use that format itself: there is none in this language. Numbers are whole ones with a
//! power of two.

use crate::number::without_zeros;
use num_bigint::BigUint;

const MANTISSA_BITS: u64 = 64;
const EXPONENT_MAX: i64 = 16_384;
const EXPONENT_MIN: i64 = -16_445;
const TEXT_MAX: usize = 5 * 1024;
/// Powers of ten beyond this make any number overflow, or vanish.
const POWER_MAX: i64 = 10_000;
const DECIMALS: u32 = 17;

/// A number of the format: `mantissa` times a power of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extended {
    /// A finite number.
    Finite {
        /// Whether it is below zero.
        is_negative: bool,
        /// A whole number of at most 64 bits.
        mantissa: BigUint,
        /// The power of two.
        exponent: i64,
    },
    /// No finite number.
    Infinite,
}

impl Extended {
    /// The number that a text spells; none if there is anything else in it, or if it does not fit.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() < TEXT_MAX)?;
        let is_negative = text.starts_with('-');
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        if ["inf", "infinity"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
            return Some(Self::Infinite);
        }
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let is_decimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let power_digits = power.strip_prefix(['-', '+']).unwrap_or(power);
        if digits.is_empty() || !is_decimal(&digits) || power_digits.is_empty() || !is_decimal(power_digits) {
            return None;
        }
        let digits = BigUint::parse_bytes(digits.as_bytes(), 10)?;
        let power = power.parse::<i64>().unwrap_or(i64::MAX).clamp(-POWER_MAX, POWER_MAX);
        let power = power - i64::try_from(fraction.len()).ok()?;
        let number = Self::of_decimal(is_negative, digits.clone(), power);
        let is_lost = match &number {
            Self::Infinite => true,
            Self::Finite { mantissa, .. } => *mantissa == BigUint::ZERO && digits != BigUint::ZERO,
        };
        (!is_lost).then_some(number)
    }

    /// The sum; infinite if it is too large.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let (
            Self::Finite { is_negative, mantissa, exponent },
            Self::Finite { is_negative: is_their, mantissa: their, exponent: their_exponent },
        ) = (self, other)
        else {
            return Self::Infinite;
        };
        let low = (*exponent).min(*their_exponent);
        let left = mantissa << shift(exponent - low);
        let right = their << shift(their_exponent - low);
        if is_negative == is_their {
            return Self::rounded(*is_negative, left + right, low);
        }
        if left >= right {
            Self::rounded(*is_negative, left - right, low)
        } else {
            Self::rounded(*is_their, right - left, low)
        }
    }

    /// The number with up to 17 decimals; none if it is not finite.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let Self::Finite { is_negative, mantissa, exponent } = self else { return None };
        let scaled = mantissa * BigUint::from(10_u8).pow(DECIMALS);
        let scaled =
            if *exponent >= 0 { scaled << shift(*exponent) } else { divided_by_power(&scaled, shift(-exponent)) };
        let digits = format!("{scaled:0>width$}", width = DECIMALS as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - DECIMALS as usize);
        let text = format!("{whole}.{fraction}");
        let text = without_zeros(&text);
        Some(if *is_negative && text != "0" { format!("-{text}") } else { text.to_owned() })
    }

    fn of_decimal(is_negative: bool, digits: BigUint, power: i64) -> Self {
        let ten_to = |power: i64| BigUint::from(10_u8).pow(u32::try_from(power).unwrap_or(u32::MAX));
        if power >= 0 {
            return Self::rounded(is_negative, digits * ten_to(power), 0);
        }
        let divisor = ten_to(-power);
        // Two bits more than the mantissa has, and one that stands for all that follow, round right.
        let spare = (divisor.bits() + MANTISSA_BITS + 2).saturating_sub(digits.bits());
        let shifted = digits << spare;
        let (quotient, rest) = (&shifted / &divisor, &shifted % &divisor);
        let sticky = BigUint::from(u8::from(rest != BigUint::ZERO));
        Self::rounded(is_negative, (quotient << 1_u32) + sticky, -i64::try_from(spare).unwrap_or(i64::MAX) - 1)
    }

    fn rounded(is_negative: bool, number: BigUint, exponent: i64) -> Self {
        let excess = number.bits().saturating_sub(MANTISSA_BITS);
        let mantissa = divided_by_power(&number, excess);
        let exponent = exponent + i64::try_from(excess).unwrap_or(i64::MAX);
        let magnitude = exponent + i64::try_from(mantissa.bits()).unwrap_or(i64::MAX);
        if magnitude > EXPONENT_MAX && mantissa != BigUint::ZERO {
            return Self::Infinite;
        }
        let mantissa = if magnitude < EXPONENT_MIN { BigUint::ZERO } else { mantissa };
        Self::Finite { is_negative, mantissa, exponent }
    }
}

fn shift(distance: i64) -> u64 {
    u64::try_from(distance).unwrap_or_default()
}

/// A number divided by a power of two; halves are rounded to the even neighbour.
fn divided_by_power(number: &BigUint, power: u64) -> BigUint {
    if power == 0 {
        return number.clone();
    }
    let quotient = number >> power;
    let is_half = number.bit(power - 1);
    let is_above_half = is_half && number.trailing_zeros().is_some_and(|zeros| zeros < power - 1);
    let rounds_up = is_above_half || is_half && quotient.bit(0);
    if rounds_up { quotient + 1_u8 } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::Extended;

    fn sum(left: &str, right: &str) -> Option<String> {
        Extended::parse(left.as_bytes())?.plus(&Extended::parse(right.as_bytes())?).text()
    }

    #[test]
    fn sums_have_the_digits_of_the_format() {
        for (left, right, text) in [
            ("10.5", "0.1", "10.6"),
            ("3.0e3", "200", "3200"),
            ("1", "-1", "0"),
            ("-0", "0", "0"),
            ("0", "-1.5", "-1.5"),
            ("12345.678", "0", "12345.67799999999999994"),
            ("5", "1e-18", "5"),
            ("1e20", "1", "100000000000000000000"),
            (".5", "5.", "5.5"),
        ] {
            assert_eq!(sum(left, right).as_deref(), Some(text), "{left} + {right}");
        }
        assert_eq!(sum("1e4932", "9e4931"), None);
        assert_eq!(sum("1", "inf"), None);
        for bad in ["", "x", "1x", " 1", "nan", "e5", ".", "1e", "1e5000", "1e-9999", "0x10"] {
            assert_eq!(Extended::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
