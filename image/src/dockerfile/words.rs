//! How the arguments of an instruction fall into words, before any variable is looked at.

/// The first word, quotes and escapes left as they are; what follows it; and whether its quotes
/// are closed. An escaped whitespace belongs to the word.
fn first(text: &str, escape: char) -> Option<(&str, &str, bool)> {
    let text = text.trim_start();
    let mut quote = None;
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                end = at;
                break;
            }
            _ if c == escape && quote != Some('\'') => drop(chars.next()),
            Some(open) if open == c => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            _ => (),
        }
    }
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then_some((word, rest, quote.is_none()))
}

/// All words, and whether all quotes are closed.
pub(super) fn split(text: &str, escape: char) -> (Vec<&str>, bool) {
    let mut words = Vec::new();
    let mut rest = text;
    let mut all_closed = true;
    while let Some((word, after, closed)) = first(rest, escape) {
        words.push(word);
        rest = after;
        all_closed &= closed;
    }
    (words, all_closed)
}

/// A word without its quotes and escapes; nothing when a quote is open.
pub(super) fn unquote(word: &str) -> Option<String> {
    let mut plain = String::with_capacity(word.len());
    let mut quote = None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match quote {
            _ if c == '\\' && quote != Some('\'') => plain.extend(chars.next()),
            Some(open) if open == c => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            _ => plain.push(c),
        }
    }
    quote.is_none().then_some(plain)
}

/// Takes the flags off the front: words that begin with `--`, up to one that is `--` alone.
pub(super) fn flags(text: &str) -> Result<(Vec<String>, &str), String> {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let Some((word, after, _)) = first(rest, '\\') else { break };
        rest = after.trim_start();
        if word == "--" {
            break;
        }
        let flag = unquote(word).ok_or_else(|| format!("the quote in {word} is not closed"))?;
        flags.push(flag);
        if flags.len() > super::MAX_FLAGS {
            return Err(format!("there are more than {} flags", super::MAX_FLAGS));
        }
    }
    Ok((flags, rest))
}

/// The exec form: a JSON array of strings. Nothing for what is no JSON array.
pub(super) fn json(text: &str) -> Result<Option<Vec<String>>, String> {
    let text = text.trim();
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return Ok(None) };
    let strings = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) if text.contains('\0') => {
            Err("a word of the JSON array has a NUL in it".to_owned())
        }
        serde_json::Value::String(text) => Ok(text),
        _ => Err("the JSON array must have strings only".to_owned()),
    });
    strings.collect::<Result<_, _>>().map(Some)
}

/// The fields of a `--mount`: separated by commas, and those with a comma in them quoted as a
/// whole, as in a line of CSV (RFC 4180).
pub(super) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)
                .ok_or_else(|| format!("the quoted field {rest} does not end with a quote"))?,
            None => match rest.find(',') {
                Some(at) => (rest[..at].to_owned(), &rest[at..]),
                None => (rest.to_owned(), ""),
            },
        };
        if !field.starts_with('"') && !rest.starts_with('"') && field.contains('"') {
            return Err(format!("there is a quote inside of the field {field}"));
        }
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// Up to the closing quote, and what follows: a comma or nothing.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (piece, after) = rest.split_once('"')?;
        field.push_str(piece);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None if after.is_empty() || after.starts_with(',') => return Some((field, after)),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_quotes() {
        for (text, expected) in [
            ("a b\tc", &["a", "b", "c"][..]),
            ("  a=\"b c\" d='e \\' f ", &["a=\"b c\"", "d='e \\'", "f"]),
            ("a\\ b c", &["a\\ b", "c"]),
            ("\"a\\\" b\" c", &["\"a\\\" b\"", "c"]),
            ("", &[]),
            ("\\", &["\\"]),
            ("ä\u{a0}ö", &["ä", "ö"]),
        ] {
            assert_eq!(split(text, '\\'), (expected.to_vec(), true), "{text}");
        }
        assert_eq!(split("a` b", '`').0, ["a` b"]);
        assert_eq!(split("don't do", '\\'), (vec!["don't do"], false));
    }

    #[test]
    fn flags_come_first() {
        assert_eq!(
            flags("--from=a --chown=\"1:1 x\"  b --c").unwrap(),
            (vec!["--from=a".to_owned(), "--chown=1:1 x".to_owned()], "b --c")
        );
        assert_eq!(flags("-- --a").unwrap(), (vec![], "--a"));
        assert_eq!(flags("--link").unwrap(), (vec!["--link".to_owned()], ""));
        assert!(flags("--a='b c").is_err());
        assert!(flags(&"--a ".repeat(5000)).is_err());
    }

    #[test]
    fn the_exec_form_has_strings_only() {
        assert_eq!(json(r#" ["a", "b c"] "#).unwrap().unwrap(), ["a", "b c"]);
        assert_eq!(json("[]").unwrap().unwrap(), [""; 0]);
        for shell in ["[ -f x ] && y", "['a']", "a", "[\"a\"] b", "[", &"[".repeat(100_000)] {
            assert_eq!(json(shell), Ok(None));
        }
        for bad in ["[1]", "[\"a\", [\"b\"]]", "[null]", r#"["\u0000"]"#] {
            assert!(json(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fields_are_separated_by_commas() {
        assert_eq!(fields("type=bind,ro,a=").unwrap(), ["type=bind", "ro", "a="]);
        assert_eq!(fields("\"a=b,c\",\"d\"\"e\"").unwrap(), ["a=b,c", "d\"e"]);
        assert_eq!(fields("").unwrap(), [""]);
        assert!(fields("\"a").is_err() && fields("\"a\"b").is_err() && fields("a\"b").is_err());
    }
}
