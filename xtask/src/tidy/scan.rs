//! Telling code from comments and strings in Rust sources, well enough for rules about words.

/// One line of a source, taken apart.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The code; what was in string and character literals is gone.
    pub(super) code: String,
    /// The text of comments.
    pub(super) comment: String,
    /// Whether it belongs to an item under `#[cfg(test)]`.
    pub(super) test: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    RawText(usize),
}

/// Splits a source into lines.
pub(super) fn scan(source: &str) -> Vec<Line> {
    let chars: Vec<char> = source.chars().collect();
    let mut lines = vec![Line::default()];
    let mut state = State::Code;
    let mut at = 0;
    while at < chars.len() {
        let current = chars[at];
        if current == '\n' {
            lines.push(Line::default());
            state = if state == State::LineComment { State::Code } else { state };
            at += 1;
            continue;
        }
        let Some(line) = lines.last_mut() else { break };
        let (next, length) = step(state, &chars[at..], &line.code);
        let piece = || chars[at..(at + length).min(chars.len())].iter().collect::<String>();
        match (state, next) {
            (State::Code, State::Code | State::Text | State::RawText(_)) => {
                line.code.push_str(&piece());
            }
            (State::Text | State::RawText(_), State::Code) => line.code.push('"'),
            (State::Text | State::RawText(_), _) => (),
            _ => line.comment.push_str(&piece()),
        }
        // An escape may hide a line's end.
        if matches!(state, State::Text) && chars[at..].starts_with(&['\\', '\n']) {
            lines.push(Line::default());
        }
        state = next;
        at += length;
    }
    mark_tests(&mut lines);
    lines
}

/// The state after the next piece, and the piece's length.
fn step(state: State, rest: &[char], code: &str) -> (State, usize) {
    let is = |text: &str| text.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    match state {
        State::Code if is("//") => (State::LineComment, 2),
        State::Code if is("/*") => (State::BlockComment(1), 2),
        State::Code if is("\"") => (State::Text, 1),
        State::Code => match raw_start(rest, code) {
            Some(hashes) => (State::RawText(hashes), hashes + 2),
            None => (State::Code, character_length(rest)),
        },
        State::LineComment => (state, 1),
        State::BlockComment(depth) if is("/*") => (State::BlockComment(depth + 1), 2),
        State::BlockComment(1) if is("*/") => (State::Code, 2),
        State::BlockComment(depth) if is("*/") => (State::BlockComment(depth - 1), 2),
        State::BlockComment(_) => (state, 1),
        State::Text if is("\\") => (state, 2),
        State::Text if is("\"") => (State::Code, 1),
        State::Text => (state, 1),
        State::RawText(hashes) => {
            let end = is("\"") && (1..=hashes).all(|i| rest.get(i) == Some(&'#'));
            if end { (State::Code, hashes + 1) } else { (state, 1) }
        }
    }
}

/// The number of `#` of a raw string that begins here.
fn raw_start(rest: &[char], code: &str) -> Option<usize> {
    let in_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    // br"…" and cr"…": the letter before `r` is already part of the code.
    let prefixed = code.ends_with(['b', 'c'])
        && !code[..code.len() - 1].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if rest.first() != Some(&'r') || (in_word && !prefixed) {
        return None;
    }
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    (rest.get(hashes + 1) == Some(&'"')).then_some(hashes)
}

/// The length of a character literal that begins here, else 1: lifetimes have no second quote.
fn character_length(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', _, more @ ..] => more.iter().position(|c| *c == '\'').map_or(1, |end| end + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

/// Marks the items that follow `#[cfg(test)]`: up to the closing brace, or the semicolon.
fn mark_tests(lines: &mut [Line]) {
    let mut depth = 0_usize;
    let (mut waiting, mut inside) = (false, false);
    for line in lines {
        waiting |= !inside && line.code.contains("#[cfg(test)]");
        line.test = waiting || inside;
        if !line.test {
            continue;
        }
        for c in line.code.chars() {
            match c {
                '{' => {
                    depth += 1;
                    inside = true;
                }
                '}' => depth = depth.saturating_sub(1),
                ';' if depth == 0 => waiting = false,
                _ => (),
            }
        }
        if inside && depth == 0 {
            (waiting, inside) = (false, false);
        }
    }
}

/// Whether `text` has `word` as a whole word.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(source: &str) -> Vec<String> {
        scan(source).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn strings_and_comments_are_not_code() {
        assert_eq!(code("let a = \"unsafe\"; // unsafe"), ["let a = \"\"; "]);
        assert_eq!(code("a /* x /* y */ z */ b"), ["a  b"]);
        assert_eq!(code("r#\"un\"safe\"#;"), ["r#\"\";"]);
        assert_eq!(code("br\"x\"; bar\"y\""), ["br\"\"; bar\"\""]);
        assert_eq!(code("\"a\\\"b\" c"), ["\"\" c"]);
    }

    #[test]
    fn quotes_in_characters_open_no_string() {
        assert_eq!(code("'\"' x 'a' fn f<'a>() '\\'' \"s\""), ["'\"' x 'a' fn f<'a>() '\\'' \"\""]);
    }

    #[test]
    fn strings_over_lines_keep_the_count_of_lines() {
        let lines = scan("a(\"one\\\n two\nthree\"); b\nc");
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[2].code, "\"); b");
        assert_eq!(lines[3].code, "c");
    }

    #[test]
    fn comments_are_kept_apart() {
        let lines = scan("x(); // SAFETY: fine\n/* one\ntwo */ y();");
        assert_eq!(lines[0].comment, "// SAFETY: fine");
        assert_eq!(lines[1].comment, "/* one");
        assert_eq!(lines[2].code, " y();");
    }

    #[test]
    fn items_under_cfg_test_are_marked() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n\
                      #[cfg(test)]\nmod more;\nfn d() {}";
        let marked: Vec<bool> = scan(source).iter().map(|line| line.test).collect();
        assert_eq!(marked, [false, true, true, true, true, false, true, true, false]);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("unsafe {", "unsafe"));
        assert!(!has_word("#![deny(unsafe_code)]", "unsafe"));
    }
}
