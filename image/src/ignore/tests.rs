use proptest::prelude::*;

use super::*;

fn ignore(text: &str) -> Ignore {
    Ignore::parse(".dockerignore", text.as_bytes()).unwrap()
}

#[test]
fn a_pattern_is_go_s() {
    for (pattern, path, expected) in [
        ("abc", "abc", true),
        ("*", "abc", true),
        ("*c", "abc", true),
        ("a*", "a", true),
        ("a*", "ab/c", false),
        ("a*/b", "abc/b", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("ab[c]", "abc", true),
        ("ab[b-d]", "abc", true),
        ("ab[e-g]", "abc", false),
        ("ab[^c]", "abc", false),
        ("ab[^e-g]", "abc", true),
        ("a[^x]b", "a/b", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "ab", false),
        ("a?b", "aäb", true),
        ("a??b", "aäb", false),
        ("a[^a]b", "aäb", true),
        ("[\\]a]", "]", true),
        ("[\\-]", "-", true),
        ("[x\\-]", "z", false),
        ("[z-a]", "m", false),
        ("a?b", "a/b", false),
        ("a*b", "a/b", false),
        ("**", "a/b", true),
        ("**/", "a/b", true),
        ("**/a", "a", true),
        ("**/a", "b/c/a", true),
        ("**/a", "ba", false),
        ("**a", "b/ca", true),
        ("**a*", "b/ca", false),
        ("**/*.go", "a/b.go", true),
        ("**/*.go", ".go", true),
        ("a/**", "a/b/c", true),
        ("a/**", "a", false),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/xb", false),
        ("a**b", "ab", true),
        ("a**b", "ax/b", true),
        ("a**b", "axb", false),
        ("a/*/**/b", "a/x/b", true),
        ("(a)+{b}|$.", "(a)+{b}|$.", true),
        ("a.c", "abc", false),
    ] {
        let glob = Glob::new(pattern.as_bytes()).unwrap();
        assert_eq!(glob.matches(path.as_bytes()), expected, "{pattern} {path}");
    }
    for bad in ["[", "[]", "[]a]", "[-]", "[a-]", "[-x]", "[^]", "a[", "\\", "[\\", "[a-b-c]"] {
        assert!(Glob::new(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn the_last_pattern_that_matches_decides() {
    for (text, path, expected) in [
        ("a", "a", true),
        ("a", "a/b/c", true),
        ("a", "b/a", false),
        ("a", "ab", false),
        ("/a/", "a/b", true),
        ("./a//b/../c", "a/c", true),
        ("*/temp*", "x/temporary/y", true),
        ("*/temp*", "x/y/temp", false),
        ("*.md\n!README.md", "README.md", false),
        ("*.md\n!README.md", "a.md", true),
        ("!README.md\n*.md", "README.md", true),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
        ("a\n!a/b", "a/b", false),
        ("a\n!a/b", "a/b/c", false),
        ("a\n!a/b", "a/c", true),
        ("a\n!a/b\na/b/c", "a/b/c", true),
        ("**\n!src", "src/main.rs", false),
        ("*\n!src/**/*.rs", "src/a/b.rs", false),
        ("*\n!src/**/*.rs", "src/a/b.c", true),
        ("# a\na#b\n #c", "a", false),
        ("# a\na#b\n #c", "a#b", true),
        ("# a\na#b\n #c", "#c", true),
        ("  a \t\r\n\r\n", "a", true),
        ("\u{feff}a", "a", true),
        ("!  a", "a", false),
        ("*\n! a", "a", false),
        (".", "a", false),
        ("/", "a", false),
        ("..", "a", false),
        ("../a", "a", false),
        ("/../a", "a", true),
        ("a/..", "b", false),
        ("", "a", false),
    ] {
        assert_eq!(ignore(text).excludes(path.as_bytes()), expected, "{text:?} {path}");
    }
}

#[test]
fn names_need_not_be_text() {
    let ignore = Ignore::parse("i", b"a\xff\n?\xfe?\n").unwrap();
    assert!(ignore.excludes(b"a\xff") && ignore.excludes(b"\xfd\xfex"));
    assert!(!ignore.excludes(b"a\xfe") && !ignore.excludes("aÿ".as_bytes()));
}

#[test]
fn a_directory_is_skipped_when_nothing_below_is_kept() {
    for (text, directory, expected) in [
        ("a", "a", true),
        ("a", "a/b", true),
        ("a", "b", false),
        ("*", "a", true),
        ("a\n!b", "a", true),
        ("a\n!a/b", "a", false),
        ("a\n!a/b", "a/b", false),
        ("a\n!a/b", "a/c", true),
        ("a\n!a/b/c/d", "a/b", false),
        ("a\n!ab", "a", true),
        ("!a/b\na", "a", true),
        ("a\n!**/keep", "a/x", false),
        ("*\n!*/b", "a", false),
        ("*\n!*/b", "a/c", true),
        ("*\n!a", "a", false),
        ("*.log", "a", false),
        ("a/b", "a", false),
    ] {
        assert_eq!(ignore(text).skips(directory.as_bytes()), expected, "{text:?} {directory}");
    }
}

#[test]
fn what_is_malformed_is_said_with_its_line() {
    let error = Ignore::parse(".dockerignore", b"a\n[\n").unwrap_err().to_string();
    assert_eq!(error, ".dockerignore:2: invalid pattern \"[\": a [ is not closed\n  2 | [");
    assert!(Ignore::parse("i", b"!").is_err());
    assert!(Ignore::parse("i", &vec![b'a'; MAX_TEXT + 1]).is_err());
    assert!(Ignore::parse("i", "a\n".repeat(MAX_RULES + 1).as_bytes()).is_err());
    assert!(Ignore::parse("i", &vec![b'a'; 5000]).is_err());
    assert!(Ignore::of(["*.a", "["]).is_err());
    assert!(Ignore::of(["*.a", "!b.a"]).unwrap().excludes(b"c.a"));
}

proptest! {
    #[test]
    fn nothing_kept_is_below_what_is_skipped(
        text in "(!?([ab*?/]|\\*\\*){1,6}\n){0,5}",
        path in "[ab]{1,2}(/[ab]{1,2}){0,4}",
    ) {
        let ignore = ignore(&text.replace("!\n", ""));
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends {
            if ignore.skips(&path.as_bytes()[..end]) {
                prop_assert!(ignore.excludes(path.as_bytes()), "{text:?} {path} {end}");
            }
        }
    }

    #[test]
    fn no_pattern_panics(
        text in proptest::collection::vec(any::<u8>(), 0..200),
        path in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(ignore) = Ignore::parse("i", &text) {
            prop_assert!(!ignore.skips(&path) || ignore.excludes(&path));
        }
    }
}

#[test]
fn many_stars_take_no_exponential_time() {
    assert!(!ignore(&format!("{}b", "*a".repeat(30))).excludes(&[b'a'; 4000]));
    assert!(!ignore(&format!("{}b", "**/a".repeat(30))).excludes("a/".repeat(2000).as_bytes()));
}
