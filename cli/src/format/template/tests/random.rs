use super::{ROW, SHAPE, render, row, thing};
use crate::format::template::Template;

const PIECES: [&str; 74] = [
    "{{",
    "}}",
    "{{",
    "}}",
    "{{- ",
    " -}}",
    "{{if ",
    "{{else}}",
    "{{else if ",
    "{{end}}",
    "{{end}}",
    "{{range ",
    "{{with ",
    "{{break}}",
    "{{continue}}",
    "{{/*",
    "*/}}",
    "$x",
    "$i, $x",
    " := ",
    " = ",
    ".",
    ".Id",
    ".Args",
    ".State",
    ".Config.Labels",
    ".NetworkSettings.Networks",
    ".Null",
    ".Label",
    ".Names",
    "$",
    " ",
    " ",
    " ",
    " | ",
    "|",
    "(",
    ")",
    "\"",
    "`",
    "'",
    "\\",
    "\"é\"",
    "\"%5.2f|%-8v|%[1]q|%*d\"",
    "\"%\"",
    "1",
    "-1",
    "0x",
    "1e9",
    "99999999",
    ".5",
    "nil",
    "true",
    "and",
    "or",
    "not",
    "len",
    "index",
    "slice",
    "print",
    "printf",
    "println",
    "eq",
    "lt",
    "json",
    "split",
    "join",
    "title",
    "upper",
    "truncate",
    "pad",
    "\n",
    "é\u{301}",
    "\u{0}",
];

/// Numbers that are the same in every run: a linear congruence, of which the high bits are good.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn text(&mut self) -> String {
        let length = self.below(24);
        (0..length).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }
}

/// Neither a template nor what is done with it panics, and a template means the same each time.
#[test]
fn any_text_is_a_template_or_an_error() {
    let mut numbers = Numbers(1);
    let (thing, row) = (thing(), row());
    let (mut good, mut bad) = (0, 0);
    for _ in 0..10_000 {
        let text = numbers.text();
        let rendered = render(&text, &thing, &SHAPE);
        assert_eq!(rendered, render(&text, &thing, &SHAPE), "{text}");
        match rendered {
            Ok(_) => good += 1,
            Err(error) => {
                bad += 1;
                assert!(error.starts_with("template parsing error: template: :"), "{error}");
            }
        }
        drop(render(&text, &row, &ROW));
        drop(Template::parse(&text).map(|template| template.render_header(&row)));
    }
    assert!(good > 200 && bad > 200, "{good} {bad}");
}

/// Whole actions, of which more can be carried out.
#[test]
fn any_call_gives_a_text_or_an_error() {
    let mut numbers = Numbers(2);
    let words = &PIECES[20..];
    let mut good = 0;
    for _ in 0..10_000 {
        let count = 1 + numbers.below(5);
        let words: Vec<&str> = (0..count).map(|_| words[numbers.below(words.len())]).collect();
        let text = format!("{{{{$x := .}}}}{{{{{}}}}}", words.join(" "));
        good += usize::from(render(&text, &thing(), &SHAPE).is_ok());
        drop(render(&text, &row(), &ROW));
    }
    assert!(good > 200, "{good}");
}
