//! No bytes whatever make the reader panic, or go on without an end.

use minidock_image::dockerfile::Dockerfile;
use proptest::prelude::*;

use crate::render::{Asked, render};

/// Pieces that mean something to the reader.
const PIECES: &[&str] = &[
    "FROM a",
    " AS b",
    "\nFROM b",
    "\nRUN",
    "\nCOPY",
    "\nADD",
    "\nENV",
    "\nARG",
    "\nONBUILD",
    "\nLABEL",
    "\nEXPOSE",
    "\nCMD",
    "\nHEALTHCHECK",
    "\nVOLUME",
    "\nSHELL",
    "\nUSER",
    "\nSTOPSIGNAL",
    " --from=",
    " --mount=type=cache,target=",
    " --chown=",
    " --interval=",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\\",
    "`",
    "#",
    "=",
    "\"",
    "'",
    "${",
    "$",
    "}",
    ":-",
    ":+",
    ":?",
    "##",
    "%%",
    "//",
    "/",
    "*",
    "?",
    "<<",
    "<<-",
    "EOF",
    "\nEOF\n",
    "[",
    "]",
    ",",
    "a",
    "b",
    "ä",
    "1",
    "A",
    "B",
    "# escape=`\n",
    "# syntax=x\n",
    "\u{2003}",
];

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(render(&bytes, &Asked::default()));
    }

    #[test]
    fn no_text_panics(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60), begin in any::<bool>()) {
        let text = format!("{}{}", if begin { "FROM x\n" } else { "" }, pieces.concat());
        let asked = Asked { target: None, arguments: &[("A", "$A ${A}"), ("B", "")] };
        if let Err(error) = render(text.as_bytes(), &asked) {
            prop_assert!(error.line() <= text.lines().count());
            prop_assert!(!error.message().is_empty());
        }
    }
}

#[test]
fn what_is_repeated_as_often_as_it_fits_has_an_end() {
    for piece in [
        "[", "{", "\"", "'", "\\", "\\\n", "$", "${", "${a:-", "${a/", "<<a ", "<<'", "--a ", "--",
        "--mount=", ",", "\n", "\r", "#", " ", "=", "a=\"", "a ", "\u{feff}", "ONBUILD ",
    ] {
        for head in [
            "",
            "FROM ",
            "FROM a\nRUN ",
            "FROM a\nENV ",
            "FROM a\nCOPY ",
            "FROM a\nONBUILD RUN ",
            "ARG ",
        ] {
            let text = format!("{head}{}", piece.repeat(60_000 / piece.len()));
            drop(render(text.as_bytes(), &Asked::default()));
        }
    }
    assert!(Dockerfile::parse("D", &vec![b'a'; 2 << 20]).is_err());
}
