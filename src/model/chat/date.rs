//! The date that a template sees: declared, so that a text is the same tomorrow.
//!
//! Templates ask by `strftime_now`, mostly "%d %b %Y". It is midnight of that day, in no time zone; names are English, as
//! in C's locale, in which servers run.

use std::fmt;
use std::str::FromStr;

use super::error::ChatError;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A day of the Gregorian calendar, from year 1 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl FromStr for Date {
    type Err = ChatError;

    fn from_str(text: &str) -> Result<Self, ChatError> {
        let wrong = || ChatError::Date(text.to_owned());
        let number = |part: &str, digits: usize| {
            (part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse().ok())
                .flatten()
        };
        let mut parts = text.split('-');
        let mut next = |digits| number(parts.next()?, digits);
        let (year, month, day) = (|| Some((next(4)?, next(2)?, next(2)?)))().ok_or_else(wrong)?;
        let whole = parts.next().is_none() && year >= 1 && (1..=12).contains(&month);
        if !whole || day < 1 || day > days_of(year, month) {
            return Err(wrong());
        }
        Ok(Self { year, month, day })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Date {
    /// What Python's `strftime` writes for it (glibc's directives and flags); an unknown directive stays as it is.
    pub(super) fn strftime(self, format: &str) -> String {
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out += &rest[..at];
            let directive = &rest[at..];
            let flags = directive[1..].find(|c| !matches!(c, '-' | '_' | '0' | '^' | '#'));
            let Some(end) = flags.map(|flags| flags + 1) else {
                rest = directive;
                break;
            };
            let Some(letter) = directive[end..].chars().next() else {
                break;
            };
            rest = &directive[end + letter.len_utf8()..];
            match self.field(letter) {
                Some(field) => out += &field.written(&directive[1..end]),
                None => out += &directive[..end + letter.len_utf8()],
            }
        }
        out + rest
    }

    fn field(self, letter: char) -> Option<Field> {
        let weekday = self.weekday();
        let (iso_year, iso_week) = self.iso_week();
        let day_of_year = self.day_of_year();
        let name = |name: &str| Field::Text(name.to_owned());
        let two = |value| Field::Number(value, 2, '0');
        Some(match letter {
            'a' => name(&WEEKDAYS[weekday as usize][..3]),
            'A' => name(WEEKDAYS[weekday as usize]),
            'b' | 'h' => name(&MONTHS[self.month as usize - 1][..3]),
            'B' => name(MONTHS[self.month as usize - 1]),
            'c' => Field::Text(self.strftime("%a %b %e %H:%M:%S %Y")),
            'C' => two(self.year / 100),
            'd' => two(self.day),
            'D' | 'x' => Field::Text(self.strftime("%m/%d/%y")),
            'e' => Field::Number(self.day, 2, ' '),
            'f' => Field::Text("000000".to_owned()),
            'F' => Field::Text(self.strftime("%Y-%m-%d")),
            'g' => two(iso_year % 100),
            'G' => Field::Number(iso_year, 4, '0'),
            'H' | 'M' | 'S' => two(0),
            'I' => two(12),
            'j' => Field::Number(day_of_year, 3, '0'),
            'k' => Field::Number(0, 2, ' '),
            'l' => Field::Number(12, 2, ' '),
            'm' => two(self.month),
            'n' => name("\n"),
            'p' => name("AM"),
            'P' => name("am"),
            'r' => name("12:00:00 AM"),
            'R' => name("00:00"),
            't' => name("\t"),
            'T' | 'X' => name("00:00:00"),
            'u' => Field::Number(if weekday == 0 { 7 } else { weekday }, 1, '0'),
            'U' => two((day_of_year + 6 - weekday) / 7),
            'V' => two(iso_week),
            'w' => Field::Number(weekday, 1, '0'),
            'W' => two((day_of_year + 6 - (weekday + 6) % 7) / 7),
            'y' => two(self.year % 100),
            // Python pads no year, as glibc.
            'Y' => Field::Number(self.year, 1, '0'),
            // A time without a zone has no name for it.
            'z' | 'Z' => name(""),
            '%' => name("%"),
            _ => return None,
        })
    }

    /// Days before it in its year, and one: from 1 to 366.
    fn day_of_year(self) -> u32 {
        (1..self.month)
            .map(|month| days_of(self.year, month))
            .sum::<u32>()
            + self.day
    }

    /// From Sunday, 0, to Saturday.
    fn weekday(self) -> u32 {
        let before = self.year - 1;
        // 1 January of year 1 was a Monday.
        (before * 365 + before / 4 - before / 100 + before / 400 + self.day_of_year()) % 7
    }

    /// The ISO year and week: weeks begin on Monday, and the first holds the year's first Thursday.
    fn iso_week(self) -> (u32, u32) {
        let monday_based = (self.weekday() + 6) % 7;
        let week = (self.day_of_year() + 9 - monday_based) / 7;
        let weeks_of = |year: u32| {
            let first = Self {
                year,
                month: 1,
                day: 1,
            }
            .weekday();
            let long = first == 4 || (first == 3 && days_of(year, 2) == 29);
            if long { 53 } else { 52 }
        };
        if week == 0 {
            let before = self.year.saturating_sub(1);
            (before, if before == 0 { 52 } else { weeks_of(before) })
        } else if week > weeks_of(self.year) {
            (self.year + 1, 1)
        } else {
            (self.year, week)
        }
    }
}

/// What a directive stands for.
enum Field {
    Text(String),
    /// A number, its width, and what it is padded with.
    Number(u32, usize, char),
}

impl Field {
    fn written(self, flags: &str) -> String {
        let padding = flags.chars().rfind(|flag| matches!(flag, '-' | '_' | '0'));
        let upper = flags.contains('^');
        match self {
            Self::Text(text) if upper => text.to_uppercase(),
            Self::Text(text) => text,
            Self::Number(value, width, own) => match padding.unwrap_or(own) {
                '-' => value.to_string(),
                '0' => format!("{value:0width$}"),
                _ => format!("{value:width$}"),
            },
        }
    }
}

fn days_of(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}
