//! What single signs, names and commands mean, whichever way they are written.
//!
//! A sign of the token stream is one letter; those that no keyboard has are the constants here.

/// `\{` and `\}`, the brackets of a set.
pub(super) const SET: char = '\u{2983}';
/// The end of what begins at [`SET`].
pub(super) const SET_END: char = '\u{2984}';

/// What a sign or a command stands for.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// It changes how the text looks.
    Nothing,
    /// A blank.
    Blank,
    /// A sign.
    Sign(char),
    /// A letter with a longer name.
    Letter(&'static str),
    /// A constant or a function.
    Name(&'static str),
    /// A command with arguments.
    Command(&'static str),
}

/// The bracket that closes `open`; of `(` and `[` either of both may, since intervals mix them.
pub(super) fn closer(open: char) -> Option<char> {
    Some(match open {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        SET => SET_END,
        '\u{27e8}' => '\u{27e9}',
        '\u{230a}' => '\u{230b}',
        '\u{2308}' => '\u{2309}',
        _ => return None,
    })
}

/// Whether `c` closes a bracket.
pub(super) fn is_closer(c: char) -> bool {
    matches!(
        c,
        ')' | ']' | '}' | SET_END | '\u{27e9}' | '\u{230b}' | '\u{2309}'
    )
}

/// What the sign at the head of `text` means, with its bytes.
pub(super) fn sign(text: &str) -> (usize, Meaning) {
    const LONG: [(&str, char); 8] = [
        ("**", '^'),
        ("<=", '\u{2264}'),
        (">=", '\u{2265}'),
        ("=<", '\u{2264}'),
        ("!=", '\u{2260}'),
        ("==", '='),
        ("->", '\u{2192}'),
        ("+-", '\u{b1}'),
    ];
    if let Some((written, sign)) = LONG.iter().find(|(written, _)| text.starts_with(written)) {
        return (written.len(), Meaning::Sign(*sign));
    }
    let c = text.chars().next().unwrap_or(' ');
    let sign = match c {
        '\u{2212}' | '\u{2010}'..='\u{2013}' => '-',
        '\u{d7}' | '\u{b7}' | '\u{22c5}' | '\u{2219}' | '\u{2217}' => '*',
        '\u{f7}' | '\u{2044}' | '\u{2215}' => '/',
        '\u{2a7d}' => '\u{2264}',
        '\u{2a7e}' => '\u{2265}',
        '\u{2243}' | '\u{2245}' => '\u{2248}',
        '\u{2018}' | '\u{2019}' | '\u{2032}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        '\u{2205}' | '\u{2300}' => return (c.len_utf8(), Meaning::Name("emptyset")),
        '\u{221a}' => return (c.len_utf8(), Meaning::Command("sqrt")),
        c => c,
    };
    (c.len_utf8(), Meaning::Sign(sign))
}

/// What is raised without being an exponent, behind `^`: the sign of degrees, a prime; with its bytes.
pub(super) fn raised(text: &str) -> Option<(char, usize)> {
    let inner = text.trim_start();
    let braced = inner.strip_prefix('{').map(str::trim_start);
    let (name, sign) = [
        ("\\circ", '\u{b0}'),
        ("\\prime", '\''),
        ("\u{b0}", '\u{b0}'),
    ]
    .into_iter()
    .find(|(name, _)| braced.unwrap_or(inner).starts_with(name))?;
    let behind = &braced.unwrap_or(inner)[name.len()..];
    let behind = match braced {
        Some(_) => behind.trim_start().strip_prefix('}')?,
        None => behind,
    };
    (!behind.starts_with(|c: char| c.is_ascii_alphabetic()) || braced.is_some())
        .then(|| (sign, text.len() - behind.len()))
}

/// The constant or function that a run of letters names.
pub(super) fn name(run: &str) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|name| **name == run)
        .copied()
        .or(match run {
            "\u{3c0}" => Some("pi"),
            _ => None,
        })
}

/// Constants and functions whose names stand for themselves in plain text as well.
const NAMES: [&str; 16] = [
    "pi", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh",
    "tanh", "ln", "log", "exp",
];

/// What one letter means.
pub(super) fn letter(letter: &str) -> Meaning {
    let greek = GREEK.iter().find(|(_, sign)| letter.starts_with(*sign));
    match greek {
        Some((name, _)) => Meaning::Letter(name),
        None => LATIN
            .iter()
            .find(|name| **name == letter)
            .map_or(Meaning::Sign('\u{fffd}'), |name| Meaning::Letter(name)),
    }
}

const LATIN: [&str; 52] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
    "t", "u", "v", "w", "x", "y", "z", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L",
    "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z",
];

const GREEK: [(&str, char); 24] = [
    ("alpha", '\u{3b1}'),
    ("beta", '\u{3b2}'),
    ("gamma", '\u{3b3}'),
    ("delta", '\u{3b4}'),
    ("epsilon", '\u{3b5}'),
    ("zeta", '\u{3b6}'),
    ("eta", '\u{3b7}'),
    ("theta", '\u{3b8}'),
    ("kappa", '\u{3ba}'),
    ("lambda", '\u{3bb}'),
    ("mu", '\u{3bc}'),
    ("nu", '\u{3bd}'),
    ("xi", '\u{3be}'),
    ("rho", '\u{3c1}'),
    ("sigma", '\u{3c3}'),
    ("tau", '\u{3c4}'),
    ("phi", '\u{3c6}'),
    ("chi", '\u{3c7}'),
    ("psi", '\u{3c8}'),
    ("omega", '\u{3c9}'),
    ("Delta", '\u{394}'),
    ("Omega", '\u{3a9}'),
    ("Phi", '\u{3a6}'),
    ("Gamma", '\u{393}'),
];

/// What the command `name` of LaTeX means; `None` for one that is not known.
pub(super) fn command(name: &str) -> Option<Meaning> {
    use Meaning::{Blank, Command, Letter, Name, Nothing, Sign};
    Some(match name {
        "left" | "right" | "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl" | "Bigr"
        | "displaystyle" | "textstyle" | "limits" | "nolimits" | "boxed" | "fbox" | "mathbf"
        | "mathit" | "mathsf" | "boldsymbol" | "bm" | "bf" | "it" | "rm" | "!" | "(" | ")"
        | "[" | "]" => Nothing,
        "," | ";" | ":" | ">" | " " | "\n" | "quad" | "qquad" | "space" | "hspace"
        | "thinspace" => Blank,
        "{" | "lbrace" => Sign(SET),
        "}" | "rbrace" => Sign(SET_END),
        "%" => Sign('%'),
        "$" => Sign('$'),
        "&" => Sign('\u{fffd}'),
        "cdot" | "times" | "ast" => Sign('*'),
        "div" => Sign('/'),
        "pm" => Sign('\u{b1}'),
        "mp" => Sign('\u{2213}'),
        "circ" | "degree" => Sign('\u{b0}'),
        "infty" => Sign('\u{221e}'),
        "cup" => Sign('\u{222a}'),
        "cap" => Sign('\u{2229}'),
        "in" => Sign('\u{2208}'),
        "le" | "leq" | "leqslant" => Sign('\u{2264}'),
        "ge" | "geq" | "geqslant" => Sign('\u{2265}'),
        "lt" => Sign('<'),
        "gt" => Sign('>'),
        "ne" | "neq" => Sign('\u{2260}'),
        "approx" | "simeq" => Sign('\u{2248}'),
        "langle" => Sign('\u{27e8}'),
        "rangle" => Sign('\u{27e9}'),
        "lfloor" => Sign('\u{230a}'),
        "rfloor" => Sign('\u{230b}'),
        "lceil" => Sign('\u{2308}'),
        "rceil" => Sign('\u{2309}'),
        "lvert" | "rvert" | "vert" | "mid" | "|" => Sign('|'),
        "ldots" | "dots" | "cdots" => Sign('\u{2026}'),
        "colon" => Sign(':'),
        "prime" => Sign('\''),
        "emptyset" | "varnothing" => Name("emptyset"),
        "frac" | "dfrac" | "tfrac" | "cfrac" => Command("frac"),
        "sqrt" => Command("sqrt"),
        "binom" | "dbinom" | "tbinom" => Command("binom"),
        "varphi" => Letter("phi"),
        "varepsilon" => Letter("epsilon"),
        "ell" => Letter("l"),
        _ => match GREEK.iter().find(|(greek, _)| *greek == name) {
            Some((greek, _)) => Letter(greek),
            None => Name(self::name(name)?),
        },
    })
}
