//! From the lines of the file to instructions: directives, comments, continuations, heredocs.

use super::heredoc::Heredoc;
use super::{Error, MAX_HEREDOCS, MAX_INSTRUCTIONS, MAX_LINES, MAX_TEXT, words};

/// One instruction as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, from 1.
    pub(super) number: usize,
    /// Its lines joined, without comments.
    pub(super) text: String,
    pub(super) heredocs: Vec<Heredoc>,
}

/// A file taken apart.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) lines: Vec<Line>,
    /// The escape character: a backslash or a backtick.
    pub(super) escape: char,
    /// What was read and has no effect, for people.
    pub(super) notes: Vec<String>,
}

/// The instructions whose arguments can announce a heredoc.
const WITH_HEREDOCS: [&str; 3] = ["ADD", "COPY", "RUN"];

struct Reader<'a> {
    file: &'a str,
    rest: std::iter::Enumerate<std::str::SplitInclusive<'a, char>>,
    escape: char,
}

/// Takes a file apart.
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Lines, Error> {
    let whole = |message: String| Error::new(file, 0, "", message);
    if bytes.len() > MAX_TEXT {
        return Err(whole(format!("the file is larger than {MAX_TEXT} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        Error::new(file, lines_of(before), "", "the line is not UTF-8")
    })?;
    if let Some(at) = text.find('\0') {
        return Err(Error::new(file, lines_of(&bytes[..at]), "", "there is a NUL in the line"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.split_inclusive('\n').count() > MAX_LINES {
        return Err(whole(format!("the file has more than {MAX_LINES} lines")));
    }
    let (escape, notes) = directives(file, text)?;
    let mut reader = Reader { file, rest: text.split_inclusive('\n').enumerate(), escape };
    let mut lines = Vec::new();
    while let Some(line) = reader.next()? {
        lines.push(line);
        if lines.len() > MAX_INSTRUCTIONS {
            return Err(whole(format!("there are more than {MAX_INSTRUCTIONS} instructions")));
        }
    }
    match lines.is_empty() {
        true => Err(whole("there is no instruction in the file".to_owned())),
        false => Ok(Lines { lines, escape, notes }),
    }
}

/// Takes apart one instruction that stands alone, as it is kept for a trigger.
pub(super) fn read_one(file: &str, text: &str, escape: char) -> Result<Line, Error> {
    let error = |message: &str| Error::new(file, 0, text, message);
    if text.len() > MAX_TEXT || text.contains('\0') {
        return Err(error("the instruction is too large, or there is a NUL in it"));
    }
    let mut reader = Reader { file, rest: text.split_inclusive('\n').enumerate(), escape };
    let line = reader.next()?.ok_or_else(|| error("there is no instruction"))?;
    match reader.next()? {
        None => Ok(line),
        Some(_) => Err(error("there is more than one instruction")),
    }
}

/// The number of the line that begins or goes on after these bytes.
fn lines_of(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The parser directives: comments `# name=value` before anything else. The first line that is
/// none ends them.
fn directives(file: &str, text: &str) -> Result<(char, Vec<String>), Error> {
    let mut escape = '\\';
    let mut notes = Vec::new();
    let mut seen = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let directive = line.trim_start().strip_prefix('#').and_then(|rest| rest.split_once('='));
        let Some((name, value)) = directive else { break };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if !matches!(name.as_str(), "syntax" | "escape" | "check") {
            break;
        }
        let error = |message: String| Error::new(file, index + 1, line, message);
        if seen.contains(&name) {
            return Err(error(format!("the directive {name} is there twice")));
        }
        match (name.as_str(), value) {
            ("escape", "\\") => (),
            ("escape", "`") => escape = '`',
            ("escape", _) => {
                return Err(error(format!("the escape character must be \\ or `, not {value:?}")));
            }
            _ => notes.push(format!("the directive {name}={value} has no effect")),
        }
        seen.push(name);
    }
    Ok((escape, notes))
}

/// Without the end of the line, of either kind.
fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

impl Reader<'_> {
    /// The next instruction with its heredocs.
    fn next(&mut self) -> Result<Option<Line>, Error> {
        let (mut text, number, mut ended) = loop {
            let Some((index, line)) = self.rest.next() else { return Ok(None) };
            if is_comment(line) {
                continue;
            }
            let (line, ended) = self.continued(without_end(line).trim_start());
            if !(ended && line.is_empty()) {
                break (line.to_owned(), index + 1, ended);
            }
        };
        while !ended {
            let Some((_, line)) = self.rest.next() else { break };
            if is_comment(line) || line.trim().is_empty() {
                continue;
            }
            let (line, last) = self.continued(without_end(line));
            text.push_str(line);
            ended = last;
        }
        // The file ended after an escape character.
        if text.trim().is_empty() {
            return Ok(None);
        }
        let heredocs = self.heredocs(&text, number)?;
        Ok(Some(Line { number, text: text.trim().to_owned(), heredocs }))
    }

    /// The line without its escape character at the end, and whether the instruction ends with
    /// it. Two of them are none.
    fn continued<'l>(&self, line: &'l str) -> (&'l str, bool) {
        match line.trim_end_matches([' ', '\t']).strip_suffix(self.escape) {
            Some(before) if !before.ends_with(self.escape) => (before, false),
            _ => (line, true),
        }
    }

    fn heredocs(&mut self, text: &str, number: usize) -> Result<Vec<Heredoc>, Error> {
        let mut heredocs = match takes_heredocs(text) {
            true => Heredoc::all(text),
            false => Vec::new(),
        };
        if heredocs.len() > MAX_HEREDOCS {
            let message = format!("there are more than {MAX_HEREDOCS} heredocs");
            return Err(Error::new(self.file, number, text, message));
        }
        for heredoc in &mut heredocs {
            loop {
                let Some((_, line)) = self.rest.next() else {
                    let name = &heredoc.name;
                    let message = format!("the heredoc is not ended by a line {name:?}");
                    return Err(Error::new(self.file, number, text, message));
                };
                if heredoc.ends_at(without_end(line)) {
                    break;
                }
                heredoc.content.push_str(line);
            }
        }
        Ok(heredocs)
    }
}

/// Whether it is an instruction that takes heredocs, and not in its JSON form.
fn takes_heredocs(text: &str) -> bool {
    let (mut word, mut rest) = command(text);
    if word.eq_ignore_ascii_case("ONBUILD") {
        (word, rest) = command(rest);
    }
    let arguments = words::flags(rest).map_or(rest, |(_, rest)| rest);
    WITH_HEREDOCS.iter().any(|known| word.eq_ignore_ascii_case(known))
        && !matches!(words::json(arguments), Ok(Some(_)))
}

/// The first word, and what follows it.
pub(super) fn command(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(usize, String)> {
        let lines = read("Dockerfile", text.as_bytes()).unwrap().lines;
        lines.into_iter().map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn lines_are_joined() {
        for (text, expected) in [
            ("FROM a\nRUN b", &[(1, "FROM a"), (2, "RUN b")][..]),
            ("\u{feff}FROM a\r\n\r\nRUN b \\\r\n  c\r\n", &[(1, "FROM a"), (3, "RUN b   c")]),
            ("# c\n  FROM a\n\t# d\nRUN x", &[(2, "FROM a"), (4, "RUN x")]),
            ("RUN a \\\n# comment\n  # another \\\n\n \t\n b\nX", &[(1, "RUN a  b"), (7, "X")]),
            ("RUN a \\ \t\nb", &[(1, "RUN a b")]),
            ("RUN a \\\\\nRUN b", &[(1, "RUN a \\\\"), (2, "RUN b")]),
            ("RUN a # b\\\nc", &[(1, "RUN a # bc")]),
            ("RUN a \\", &[(1, "RUN a")]),
            ("\\\nRUN a\n\\\n", &[(1, "RUN a")]),
            ("\\\n\\\n\\\nRUN a", &[(1, "RUN a")]),
            ("# escape=`\nRUN c:\\ `\nb", &[(2, "RUN c:\\ b")]),
            ("#ESCAPE = `\nRUN a`\nb", &[(2, "RUN ab")]),
            ("# hello\n# escape=`\nRUN a`\nRUN b", &[(3, "RUN a`"), (4, "RUN b")]),
            ("\n# escape=`\nRUN a`", &[(3, "RUN a`")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(n, t)| (*n, (*t).to_owned())).collect();
            assert_eq!(texts(text), expected, "{text:?}");
        }
    }

    #[test]
    fn heredocs_follow_their_instruction() {
        let text = "COPY <<a <<-\"b\" /x\n1\n# no comment\\\n\n a\na\n\tb\\\n\tb\nRUN x <<E>y\nE>y\nCMD <<z\n\
                    ONBUILD RUN <<E\nq\r\nE\r\nRUN [\"<<E\"]\n";
        let lines = read("Dockerfile", text.as_bytes()).unwrap().lines;
        let seen: Vec<_> = lines
            .iter()
            .map(|line| line.heredocs.iter().map(|h| h.content.as_str()).collect::<Vec<_>>())
            .collect();
        assert_eq!(
            seen,
            [vec!["1\n# no comment\\\n\n a\n", "\tb\\\n"], vec![""], vec![], vec!["q\r\n"], vec![]]
        );
        let error = read("D", b"FROM a\nRUN <<EOF\n EOF\n").unwrap_err().to_string();
        assert_eq!(error, "D:2: the heredoc is not ended by a line \"EOF\"\n  2 | RUN <<EOF");
    }

    #[test]
    fn directives_are_noted() {
        let lines = read("D", b"# syntax=docker/dockerfile:1\n# check=skip=all\nFROM a").unwrap();
        assert_eq!(lines.notes.len(), 2);
        assert!(lines.notes[0].contains("syntax=docker/dockerfile:1"));
        for (bad, line) in [("# escape=x\nFROM a", 1), ("#syntax=a\n#syntax=b\nFROM a", 2)] {
            assert_eq!(read("D", bad.as_bytes()).unwrap_err().line(), line);
        }
    }

    #[test]
    fn what_is_no_text_or_too_much_is_refused() {
        let instructions = "RUN a\n".repeat(MAX_INSTRUCTIONS + 1);
        let heredocs = format!("RUN {}\n", "<<a ".repeat(MAX_HEREDOCS + 1));
        for (bytes, line) in [
            (&b"FROM a\n\xff"[..], 2),
            (b"FROM a\nRUN \0", 2),
            (b"", 0),
            (b"# only\n\n", 0),
            (b"\\\n", 0),
            (&vec![b' '; MAX_TEXT + 1], 0),
            (&vec![b'\n'; MAX_LINES + 1], 0),
            (instructions.as_bytes(), 0),
            (heredocs.as_bytes(), 1),
        ] {
            assert_eq!(read("D", bytes).unwrap_err().line(), line);
        }
    }
}
