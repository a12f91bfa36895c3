//! Whether words assert what stands behind them, deny it, or leave it open.

use std::sync::LazyLock;

use regex::Regex;

static DENIAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:\w+n['\u{2019}]t|not|never|neither|nor|cannot|without|except|excluding|unlike|hardly|incorrect|incorrectly|wrong|wrongly|false|untrue|unlikely|impossible|(?:anything|everything|anywhere|everywhere|anyone|everyone|all)\s+but|far\s+from|(?:rather|other)\s+than|instead\s+of|rul(?:e|es|ed|ing)\s+out|eliminat\w+|reject\w*)\b",
    )
});

// `May` is a month or a name.
static HEDGE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:either|doubt\w*|maybe|perhaps|possibly|could|might|(?-i:may)|unclear|unsure|uncertain|unknown|depends|depending|if|whether|unless|suppose|supposing|assuming|sometimes|occasionally)\b",
    )
});

/// What follows an answer that it is said not to be: `(A) is wrong`, `A can't be`.
static DENIED_BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^[\s)\]]*(?:\w+n['\u{2019}]t\b|(?:can|could|does|do|would|will|is|are|was|be|seems|looks)\s+(?:(?:clearly|obviously|definitely|simply|also|probably|be)\s+)*(?:not|never|no|hardly|wrong|incorrect|false|untrue|impossible|unlikely|out|ruled\s+out|eliminated)\b|cannot\b|(?:[:=\u{2013}\u{2014}]|\s-)\s*(?:wrong|incorrect|false|no)\b)",
    )
});

/// What follows an answer that holds on a condition only: `yes, if it rains`.
static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:\s+only\b|[\s,]*but\s+only\b|[\s,]*(?:but\s+)?(?:only\s+)?(?:if|unless|depending|sometimes|(?:in|under|for|to)\s+(?:some|certain|a\s+(?:certain\s+)?(?:degree|extent)|an\s+extent))\b)",
    )
});

/// What stands before `the answer is` where nobody says that it is.
static UNASSERTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?ix)
        (?: \b(?:not|never|cannot|hardly) | \b\w+n['\u{2019}]t ) \s+
          (?: (?:think|believe|say|mean|agree|accept|claim|imply|follow|suggest|prove|show|know|sure|certain|clear|convinced
            |necessarily|be|true|the|case|that|whether|if|to|as|conclude|assume|yet) \s+ )* $
        | \b(?:some|many|most|others|people|they|critics|sceptics|skeptics|users?|students?) \s+ (?:(?:people|may|might|would|will
            |could|often|wrongly|still) \s+)* (?:say|says|said|think|thinks|thought|believe|believes|believed|argue|argues
            |claim|claims|assume|guess|suggest) \s+ (?:that\s+)? $
        | \b(?:if|whether|unless|doubt|doubtful|unlikely|false|wrong|incorrect|untrue|deny|denies|denied|suppose|supposing
            |assume|assuming|imagine|pretend|why|how|hope|hopes|hoping|wish) \s+ (?:that\s+)? $",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a fixed, tested pattern")
}

/// Whether `before` denies what stands behind it: `not`, `anything but`, `rather than`.
pub(super) fn denies(before: &str) -> bool {
    DENIAL.is_match(before)
}

/// Whether `before` leaves open what stands behind it: `maybe`, `either`, `if`.
pub(super) fn leaves_open(before: &str) -> bool {
    HEDGE.is_match(before)
}

/// Whether what stands behind an answer denies it.
pub(super) fn is_denied(behind: &str) -> bool {
    DENIED_BEHIND.is_match(behind)
}

/// Whether what stands behind an answer makes it hold on a condition only.
pub(super) fn is_conditional(behind: &str) -> bool {
    CONDITION.is_match(behind)
}

/// Whether an answer sentence behind `before` is asserted.
pub(super) fn asserts(before: &str) -> bool {
    !UNASSERTED.is_match(before)
}
