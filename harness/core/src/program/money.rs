//! Amounts of money, exact to the hundredth.

use std::fmt;
use std::str::FromStr;

use crate::written::written_as_text;

/// A currency, by its code of three letters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Currency([u8; 3]);

/// An amount with its currency: `12000 EUR`, `99.50 USD`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Money {
    /// Hundredths.
    pub cents: u64,
    /// Of which currency.
    pub currency: Currency,
}

const CURRENCY_HELP: &str = "write a currency by its code of three capital letters, such as EUR";
const MONEY_HELP: &str = "write an amount with its currency, such as 12000 EUR or 99.50 USD";

/// Largest amount, in hundredths: figures stay exact in every JSON reader, also when some are added up.
const MOST: u64 = 1_000_000_000_000_000;

impl Currency {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> &str {
        // Only letters are ever put in.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl Money {
    /// The amount as a number, for products with times.
    #[must_use]
    pub fn amount(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "bounded when it is read: exact")]
        let cents = self.cents as f64;
        cents / 100.0
    }
}

impl FromStr for Currency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = <[u8; 3]>::try_from(text.as_bytes()).ok();
        code.filter(|code| code.iter().all(u8::is_ascii_uppercase))
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no currency: {CURRENCY_HELP}"))
    }
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<f64>().is_ok() {
            return Err(format!("`{text}` has no currency: {MONEY_HELP}"));
        }
        let wrong = || format!("`{text}` is no amount of money: {MONEY_HELP}");
        let (number, currency) = text.trim().rsplit_once(' ').ok_or_else(wrong)?;
        let currency = currency.parse().map_err(|error| format!("{error}; {MONEY_HELP}"))?;
        let (whole, part) = number.trim().split_once('.').unwrap_or((number.trim(), "00"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() != 2 {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let part: u64 = part.parse().map_err(|_| wrong())?;
        let cents = whole.checked_mul(100).and_then(|cents| cents.checked_add(part));
        let cents = cents.filter(|cents| *cents <= MOST).ok_or_else(wrong)?;
        Ok(Self { cents, currency })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.cents / 100, self.cents % 100);
        match part {
            0 => write!(f, "{whole} {}", self.currency),
            _ => write!(f, "{whole}.{part:02} {}", self.currency),
        }
    }
}

written_as_text!(Currency, CURRENCY_HELP, r"^[A-Z]{3}$");
written_as_text!(Money, MONEY_HELP, r"^\s*\d+(\.\d{2})?\s+[A-Z]{3}$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_and_has_a_currency() {
        for (text, cents) in [("0 EUR", 0), ("12000 EUR", 1_200_000), ("99.50 USD", 9_950)] {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.cents, money.to_string().as_str()), (cents, text));
        }
        assert!("12000".parse::<Money>().unwrap_err().contains("has no currency"));
        for text in [
            "-1 EUR",
            "1.5 EUR",
            "1e3 EUR",
            "12.000,00 EUR",
            "EUR 5",
            "5 Euro",
            "5 eur",
            "99999999999999 EUR",
            " EUR",
        ] {
            assert!(text.parse::<Money>().unwrap_err().contains("12000 EUR"), "{text}");
        }
    }
}
