/// A pattern for paths: Go's `filepath.Match`, with `**` for any number of directories.
///
/// `*` and `?` match no `/`; `[a-z]` and `[^a-z]` one character; a backslash takes the meaning of
/// the next character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

/// A pattern that is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid pattern {pattern:?}: {reason}")]
pub struct InvalidGlob {
    pattern: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Unit(u32),
    /// One character, but no slash.
    Any,
    Class {
        ranges: Vec<(u32, u32)>,
        negated: bool,
    },
    /// Any number of characters without a slash.
    Star,
    /// Nothing, or anything that ends with a slash.
    Directories,
    /// Anything.
    Everything,
}

const SLASH: u32 = b'/' as u32;
/// In characters: longer than any path.
const MAX_PATTERN: usize = 4096;

/// The characters of a name. A byte that is no part of one stands for itself, as a number that no
/// character has.
pub(super) fn units(bytes: &[u8]) -> Vec<u32> {
    let chunk = |chunk: std::str::Utf8Chunk<'_>| {
        let invalid = chunk.invalid().iter().map(|byte| 0x11_0000 + u32::from(*byte));
        chunk.valid().chars().map(u32::from).chain(invalid).collect::<Vec<_>>()
    };
    bytes.utf8_chunks().flat_map(chunk).collect()
}

impl InvalidGlob {
    pub(super) fn new(pattern: &[u8], reason: &'static str) -> Self {
        Self { pattern: String::from_utf8_lossy(pattern).chars().take(200).collect(), reason }
    }
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is longer than a path, a `[` is not closed or has nothing in it, or there is a backslash
    /// at its end.
    pub fn new(pattern: &[u8]) -> Result<Self, InvalidGlob> {
        let units = units(pattern);
        if units.len() > MAX_PATTERN {
            return Err(InvalidGlob::new(pattern, "it is longer than 4096 characters"));
        }
        Self::tokens(&units).map(Self).map_err(|reason| InvalidGlob::new(pattern, reason))
    }

    /// Whether a path matches, as a whole.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        Run::default().matches(self, &units(path), false)
    }

    fn tokens(units: &[u32]) -> Result<Vec<Token>, &'static str> {
        let mut tokens = Vec::new();
        let mut rest = units;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            tokens.push(match char::from_u32(*first) {
                Some('*') if rest.first() == Some(&u32::from('*')) => {
                    rest = rest.get(1..).unwrap_or_default();
                    let slash = rest.first() == Some(&SLASH);
                    rest = rest.get(usize::from(slash)..).unwrap_or_default();
                    // `**name` at the beginning matches any end of a path.
                    let suffix = tokens.is_empty() && !slash && is_plain(rest);
                    match rest.is_empty() || suffix {
                        true => Token::Everything,
                        false => Token::Directories,
                    }
                }
                Some('*') => Token::Star,
                Some('?') => Token::Any,
                Some('\\') => {
                    let escaped = rest.split_first().ok_or("there is a \\ at its end")?;
                    rest = escaped.1;
                    Token::Unit(*escaped.0)
                }
                Some('[') => {
                    let (class, after) = class(rest)?;
                    rest = after;
                    class
                }
                _ => Token::Unit(*first),
            });
        }
        Ok(tokens)
    }
}

fn is_plain(units: &[u32]) -> bool {
    !units.iter().any(|unit| "*?[\\".chars().any(|special| u32::from(special) == *unit))
}

/// What follows a `[`, and what follows its `]`.
fn class(units: &[u32]) -> Result<(Token, &[u32]), &'static str> {
    const OPEN: &str = "a [ is not closed";
    let is = |unit: Option<&u32>, c: char| unit == Some(&u32::from(c));
    let negated = is(units.first(), '^');
    let mut rest = units.get(usize::from(negated)..).unwrap_or_default();
    let mut ranges = Vec::new();
    loop {
        if is(rest.first(), ']') && !ranges.is_empty() {
            return Ok((Token::Class { ranges, negated }, rest.get(1..).unwrap_or_default()));
        }
        let (low, after) = member(rest).ok_or(OPEN)??;
        rest = after;
        let mut high = low;
        if is(rest.first(), '-') {
            (high, rest) = member(rest.get(1..).unwrap_or_default()).ok_or(OPEN)??;
        }
        ranges.push((low, high));
    }
}

/// One end of a range, which may be escaped; nothing at the end.
fn member(units: &[u32]) -> Option<Result<(u32, &[u32]), &'static str>> {
    let (first, rest) = units.split_first()?;
    match char::from_u32(*first) {
        Some('-' | ']') => Some(Err("a - or ] in [] has to be escaped")),
        Some('\\') => rest.split_first().map(|(escaped, rest)| Ok((*escaped, rest))),
        _ => Some(Ok((*first, rest))),
    }
}

/// Follows a pattern along a path, all ways at once: no pattern takes more than the product of the
/// two lengths.
#[derive(Debug, Default)]
pub(super) struct Run {
    now: Vec<usize>,
    next: Vec<usize>,
    /// For each place of the pattern the step at which it was reached last.
    marks: Vec<usize>,
    step: usize,
}

impl Run {
    /// Whether the path matches as a whole, or, if so asked, a directory above it.
    pub(super) fn matches(&mut self, glob: &Glob, path: &[u32], above: bool) -> bool {
        // Most patterns and paths differ at once.
        if let Some(Token::Unit(first)) = glob.0.first()
            && path.first() != Some(first)
        {
            return false;
        }
        self.begin(glob);
        for unit in path {
            if above && *unit == SLASH && self.ends(glob) {
                return true;
            }
            if !self.advance(glob, *unit) {
                return false;
            }
        }
        self.ends(glob)
    }

    /// Whether the path is the beginning of one that matches, or has a directory above that does.
    pub(super) fn may_go_on(&mut self, glob: &Glob, path: &[u32]) -> bool {
        self.begin(glob);
        for unit in path {
            if *unit == SLASH && self.ends(glob) {
                return true;
            }
            if !self.advance(glob, *unit) {
                return false;
            }
        }
        true
    }

    fn begin(&mut self, glob: &Glob) {
        self.now.clear();
        self.marks.clear();
        self.marks.resize(glob.0.len() + 1, 0);
        self.step = 1;
        self.reach(glob, 0);
        std::mem::swap(&mut self.now, &mut self.next);
        self.next.clear();
    }

    fn ends(&self, glob: &Glob) -> bool {
        self.now.contains(&glob.0.len())
    }

    /// Takes one character; whether there is still a way.
    fn advance(&mut self, glob: &Glob, unit: u32) -> bool {
        self.step += 1;
        let now = std::mem::take(&mut self.now);
        for place in &now {
            match glob.0.get(*place) {
                Some(Token::Unit(expected)) if *expected == unit => self.reach(glob, place + 1),
                Some(Token::Any) if unit != SLASH => self.reach(glob, place + 1),
                Some(Token::Class { ranges, negated }) if unit != SLASH => {
                    let within = ranges.iter().any(|(low, high)| (low..=high).contains(&&unit));
                    if within != *negated {
                        self.reach(glob, place + 1);
                    }
                }
                Some(Token::Star) if unit != SLASH => self.reach(glob, *place),
                Some(Token::Everything) => self.reach(glob, *place),
                Some(Token::Directories) => {
                    self.mark(*place);
                    if unit == SLASH {
                        self.reach(glob, place + 1);
                    }
                }
                _ => (),
            }
        }
        self.now = now;
        self.now.clear();
        std::mem::swap(&mut self.now, &mut self.next);
        !self.now.is_empty()
    }

    /// A place, and those behind it that need no character.
    fn reach(&mut self, glob: &Glob, place: usize) {
        let mut place = place;
        while self.mark(place)
            && matches!(
                glob.0.get(place),
                Some(Token::Star | Token::Everything | Token::Directories)
            )
        {
            place += 1;
        }
    }

    /// Whether the place is new in this step.
    fn mark(&mut self, place: usize) -> bool {
        let step = self.step;
        match self.marks.get_mut(place) {
            Some(mark) if *mark != step => {
                *mark = step;
                self.next.push(place);
                true
            }
            _ => false,
        }
    }
}
