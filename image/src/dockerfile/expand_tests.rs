use super::*;

fn lookup(name: &str) -> Option<&'static str> {
    match name {
        "X" => Some("value"),
        "P" => Some("/usr/local/lib.tar.gz"),
        "E" => Some(""),
        "W" => Some("a  b\tc"),
        "S" => Some("a*b*c"),
        "U" => Some("äöü"),
        "1" => Some("one"),
        _ => None,
    }
}

fn with<T>(escape: char, run: impl FnOnce(&mut Expander<'_, '_>) -> T) -> T {
    let mut budget = Budget::default();
    run(&mut Expander { lookup: &lookup, escape, budget: &mut budget })
}

fn word(text: &str) -> Result<String, String> {
    with('\\', |expander| expander.word(text))
}

#[test]
fn variables_have_values() {
    for (text, expected) in [
        ("$X", "value"),
        ("${X}", "value"),
        ("a$X.b", "avalue.b"),
        ("$XY-", "-"),
        ("${X}Y", "valueY"),
        ("$1X", "oneX"),
        ("$", "$"),
        ("a$ b", "a$ b"),
        ("$@|$$|$?", "||"),
        ("${X:-w}", "value"),
        ("${E:-w}", "w"),
        ("${N:-w}", "w"),
        ("${E-w}", ""),
        ("${N-w}", "w"),
        ("${X:+w}", "w"),
        ("${E:+w}", ""),
        ("${E+w}", "w"),
        ("${N+w}", ""),
        ("${X:?m}", "value"),
        ("${E?m}", ""),
        ("${N:-$X}", "value"),
        ("${N:-${M:-${X}}}", "value"),
        ("${N:-a b}", "a b"),
        ("${N:-\"a}b\"}", "a}b"),
        ("${N:-a\\}b}", "a}b"),
        ("${N:-'$X'}", "$X"),
    ] {
        assert_eq!(word(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn patterns_take_away_and_replace() {
    for (text, expected) in [
        ("${P#*/}", "usr/local/lib.tar.gz"),
        ("${P##*/}", "lib.tar.gz"),
        ("${P%.*}", "/usr/local/lib.tar"),
        ("${P%%.*}", "/usr/local/lib"),
        ("${P#x}", "/usr/local/lib.tar.gz"),
        ("${P%?z}", "/usr/local/lib.tar."),
        ("${P#*}", "/usr/local/lib.tar.gz"),
        ("${P##*}", ""),
        ("${S#a\\*}", "b*c"),
        ("${S%\\**}", "a*b"),
        ("${S/\\*/-}", "a-b*c"),
        ("${S//\\*/-}", "a-b-c"),
        ("${S//\\*/}", "abc"),
        ("${P//\\//_}", "_usr_local_lib.tar.gz"),
        ("${P/usr*lib/x}", "/x.tar.gz"),
        ("${X/?/-}", "-alue"),
        ("${X//?/-}", "-----"),
        ("${X/*/-}", "-"),
        ("${X//x/-}", "value"),
        ("${X///-}", "value"),
        ("${E/*/-}", "-"),
        ("${N/*/-}", "-"),
        ("${U#?}", "öü"),
        ("${U%?}", "äö"),
        ("${X/${X}/$P}", "/usr/local/lib.tar.gz"),
        ("${X/v/\\/}", "/alue"),
        ("${X#[v]}", "value"),
    ] {
        assert_eq!(word(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn quotes_and_escapes_are_taken_away() {
    for (text, expected) in [
        ("'$X'", "$X"),
        ("\"$X\"", "value"),
        ("\"${X}'\"", "value'"),
        ("\\$X", "$X"),
        ("\"\\$X\"", "$X"),
        ("\\a", "a"),
        ("\"\\a\"", "\\a"),
        ("'\\a'", "\\a"),
        ("\"\\\\\"", "\\"),
        ("\"a\\\"b\"", "a\"b"),
        ("a\\ b", "a b"),
        ("a\\", "a"),
        ("a'b'\"c\"", "abc"),
        ("", ""),
    ] {
        assert_eq!(word(text).as_deref(), Ok(expected), "{text}");
    }
    let backtick = |text: &str| with('`', |expander| expander.word(text)).unwrap();
    assert_eq!(backtick("c:\\$X`$X``"), "c:\\value$X`");
    assert_eq!(with('\\', |e| e.heredoc("'$X' \"\\$X\" \\n")).unwrap(), "'value' \"$X\" n");
}

#[test]
fn unquoted_whitespace_ends_a_word() {
    let words = |text: &str| with('\\', |expander| expander.words(text)).unwrap();
    assert_eq!(words("$W d"), ["a", "b", "c", "d"]);
    assert_eq!(words("\"$W\" d"), ["a  b\tc", "d"]);
    assert_eq!(words("  x$W\\ y  "), ["xa", "b", "c y"]);
    assert_eq!(words("$E \"\" $N"), [""; 0]);
    assert_eq!(words("\u{2003}ä\u{2003}"), ["ä"]);
    assert_eq!(words("' a'"), [" a"]);
}

#[test]
fn what_is_wrong_is_said() {
    for (text, expected) in [
        ("${X", "missing"),
        ("${", "missing"),
        ("${}", "no name"),
        ("${:-a}", "no name"),
        ("${{X}}", "no name"),
        ("${X:-a", "missing"),
        ("${X/a}", "a / is missing"),
        ("${X/a/b", "a } is missing"),
        ("${X^}", "unsupported modifier ^"),
        ("${X:1}", "unsupported modifier :1"),
        ("${X:#a}", "unsupported modifier :#"),
        ("${N:?it is needed}", "N: it is needed"),
        ("${N?}", "N: is not allowed to be unset"),
        ("${E:?}", "E: is not allowed to be empty"),
        ("'a", "single quote"),
        ("\"a", "double quote"),
        ("\"a\\\"", "double quote"),
    ] {
        let error = word(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn depth_size_and_time_are_bounded() {
    let nested = |depth| format!("{}w{}", "${N:-".repeat(depth), "}".repeat(depth));
    assert_eq!(word(&nested(MAX_DEPTH)).unwrap(), "w");
    assert!(word(&nested(MAX_DEPTH + 1)).unwrap_err().contains("more than 32 times"));
    assert!(word(&"${N:-".repeat(200_000)).is_err());
    let large = "x".repeat(MAX_EXPANSION / 2 + 1);
    let run = |text: &str| {
        let mut budget = Budget::default();
        let lookup = |_: &str| Some(large.as_str());
        Expander { lookup: &lookup, escape: '\\', budget: &mut budget }.word(text)
    };
    assert_eq!(run("$X").unwrap().len(), large.len());
    assert!(run("$X$X").unwrap_err().contains("larger than"));
    assert!(run("${X//*y/-}").unwrap_err().contains("too long"));
    assert!(run("${X//x/$X}").unwrap_err().contains("too large"));
    assert!(run(&"${X#x}${X:+}".repeat(100)).is_err());
}
