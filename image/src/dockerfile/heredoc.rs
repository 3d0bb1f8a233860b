use super::words;

/// A text that stands in the Dockerfile below the instruction that uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// What ends it: `EOF` of `<<EOF`.
    pub name: String,
    /// Whether variables are put into it: not when a part of the name is quoted.
    pub expand: bool,
    /// Whether leading tabs are taken away: `<<-EOF`.
    pub strip_tabs: bool,
    /// As it stands in the file, with its tabs.
    pub content: String,
}

impl Heredoc {
    /// The text that is meant: without the tabs, if so asked.
    #[must_use]
    pub fn text(&self) -> String {
        if !self.strip_tabs {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }

    /// Whether the line, without its end, is the last.
    pub(super) fn ends_at(&self, line: &str) -> bool {
        match self.strip_tabs {
            true => line.trim_start_matches('\t') == self.name,
            false => line == self.name,
        }
    }

    /// What a word announces: `<<EOF`, `<<-EOF`, `3<<EOF`, `<<"EOF"`. The content is still empty.
    pub(super) fn announced(word: &str) -> Option<Self> {
        let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let (strip_tabs, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.contains('<') || words::split(rest, '\\') != (vec![rest], true) {
            return None;
        }
        let name = words::unquote(rest)?;
        if name.is_empty() {
            return None;
        }
        Some(Self { expand: name == rest, name, strip_tabs, content: String::new() })
    }

    /// Those that an instruction's text announces, in order. A text with an open quote has none:
    /// whoever interprets it will say so.
    pub(super) fn all(text: &str) -> Vec<Self> {
        if !text.contains("<<") {
            return Vec::new();
        }
        match words::split(text, '\\') {
            (words, true) => words.into_iter().filter_map(Self::announced).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_announces_a_text() {
        for (word, expected) in [
            ("<<EOF", Some(("EOF", true, false))),
            ("<<-EOF", Some(("EOF", true, true))),
            ("<<\"EOF\"", Some(("EOF", false, false))),
            ("<<'E F'", Some(("E F", false, false))),
            ("<<E\\OF", Some(("EOF", false, false))),
            ("3<<EOF", Some(("EOF", true, false))),
            ("<<a.txt", Some(("a.txt", true, false))),
            ("<<", None),
            ("<<-", None),
            ("<<<EOF", None),
            ("<<\"\"", None),
            ("x<<EOF", None),
            ("<EOF", None),
            ("$((1<<2))", None),
        ] {
            let heredoc = Heredoc::announced(word);
            let seen = heredoc.as_ref().map(|h| (h.name.as_str(), h.expand, h.strip_tabs));
            assert_eq!(seen, expected, "{word}");
        }
    }

    #[test]
    fn several_in_a_line_and_none_in_quotes() {
        let names = |text: &str| Heredoc::all(text).into_iter().map(|h| h.name).collect::<Vec<_>>();
        assert_eq!(names("RUN cat <<a /x 3<<b"), ["a", "b"]);
        assert_eq!(names("RUN $(cat <<EOF )"), ["EOF"]);
        assert!(names("RUN echo '<<a' \"x <<b\" don\\'t").is_empty());
        assert!(names("RUN echo don't <<a").is_empty());
    }

    #[test]
    fn tabs_are_taken_away_only_when_asked() {
        let mut heredoc = Heredoc::announced("<<-E").unwrap();
        heredoc.content = "\t\ta\n b\tc\n".to_owned();
        assert_eq!(heredoc.text(), "a\n b\tc\n");
        assert!(heredoc.ends_at("\t\tE") && !heredoc.ends_at(" E"));
        heredoc.strip_tabs = false;
        assert_eq!(heredoc.text(), "\t\ta\n b\tc\n");
        assert!(heredoc.ends_at("E") && !heredoc.ends_at("\tE"));
    }
}
