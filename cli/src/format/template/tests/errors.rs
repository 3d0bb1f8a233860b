use serde_json::json;

use super::{ROW, SHAPE, render, row, thing};

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (template, what) in cases {
        let error = format!("template parsing error: template: :{what}");
        assert_eq!(render(template, &thing(), &SHAPE), Err(error), "{template}");
    }
}

#[test]
fn what_cannot_be_read() {
    check(&[
        ("{{", "1: unclosed action"),
        ("{{.Id", "1: unclosed action"),
        ("{{.Id}", "1: bad character U+007D '}'"),
        ("{{.", "1: illegal number syntax: \".\""),
        ("{{}}", "1: missing value for command"),
        ("{{| .Id}}", "1: unexpected \"|\" in command"),
        ("{{$x := }}", "1: missing value for command"),
        ("{{()}}", "1: missing value for parenthesized pipeline"),
        ("{{.Id | 1}}", "1: non executable command in pipeline stage 2"),
        ("{{foo}}", "1: function \"foo\" not defined"),
        ("{{. x}}", "1: function \"x\" not defined"),
        ("{{$x}}", "1: undefined variable \"$x\""),
        ("{{if true}}{{$y := 4}}{{end}}{{$y}}", "1: undefined variable \"$y\""),
        ("{{.Id!}}", "1: bad character U+0021 '!'"),
        ("{{!}}", "1: unexpected \"!\" in command"),
        ("{{.Id,}}", "1: unexpected \",\" in operand"),
        ("{{.Id = 1}}", "1: unexpected \"=\" in operand"),
        ("{{.Id == 1}}", "1: unexpected \"=\" in operand"),
        ("{{$x : 1}}", "1: undefined variable \"$x\""),
        ("{{«}}", "1: unrecognized character in action: U+00AB '«'"),
        ("{{.Id..x}}", "1: unexpected <.> in operand"),
        ("{{true.x}}", "1: unexpected . after term \"true\""),
        ("{{\"a\".x}}", "1: unexpected . after term \"\\\"a\\\"\""),
        ("{{print(1)}}", "1: unexpected \"(\" in operand"),
        ("{{print \"a\"somethinglong}}", "1: unexpected \"somethingl\"... in operand"),
        ("a\nb{{\"x\"}}\n{{foo}}", "3: function \"foo\" not defined"),
    ]);
}

#[test]
fn constants_that_cannot_be_read() {
    check(&[
        ("{{\"abc}}", "1: unterminated quoted string"),
        ("{{\"a\nb\"}}", "1: unterminated quoted string"),
        ("{{`abc}}", "1: unterminated raw quoted string"),
        ("{{'a}}", "1: unterminated character constant"),
        ("{{'ab'}}", "1: malformed character constant: 'ab'"),
        ("{{\"\\q\"}}", "1: invalid syntax"),
        ("{{1x}}", "1: bad number syntax: \"1x\""),
        ("{{1+1}}", "1: bad number syntax: \"1+1\""),
        ("a {{-.Id}}", "1: bad number syntax: \"-.I\""),
        ("{{0x}}", "1: illegal number syntax: \"0x\""),
        ("{{99999999999999999999}}", "1: integer overflow: \"99999999999999999999\""),
        ("{{/* c }}", "1: unclosed comment"),
        ("{{/* c */ .Id}}", "1: comment ends before closing delimiter"),
        ("{{(.Id}}", "1: unclosed left paren"),
        ("{{.Id)}}", "1: unexpected right paren"),
    ]);
}

#[test]
fn blocks_that_do_not_end() {
    check(&[
        ("{{if}}{{end}}", "1: missing value for if"),
        ("{{if .Id}}", "1: unexpected EOF"),
        ("{{range}}{{end}}", "1: missing value for range"),
        ("{{with}}{{end}}", "1: missing value for with"),
        ("{{end}}", "1: unexpected {{end}}"),
        ("{{else}}", "1: unexpected {{else}}"),
        ("{{if .Id}}{{else}}{{else}}{{end}}", "1: expected end; found {{else}}"),
        ("{{if .Id}}{{end x}}", "1: unexpected \"x\" in end"),
        ("{{if .Id}}{{else x}}{{end}}", "1: unexpected \"x\" in else"),
        ("{{with .Id}}{{else if 1}}{{end}}", "1: unexpected <if> in input"),
        ("{{break}}", "1: {{break}} outside {{range}}"),
        ("{{range .Args}}{{end}}{{continue}}", "1: {{continue}} outside {{range}}"),
        ("{{range .Args}}{{break 1}}{{end}}", "1: unexpected \"1\" in {{break}}"),
        ("{{$x, $y := .Id}}", "1: too many declarations in command"),
        ("{{range $x, $y, $z := .Id}}{{end}}", "1: too many declarations in range"),
        ("{{range $x, 1 := .Id}}{{end}}", "1: range can only initialize variables"),
        ("{{define \"x\"}}{{end}}", "1: {{define}} is not supported"),
        ("{{template \"x\"}}", "1: {{template}} is not supported"),
    ]);
}

#[test]
fn nesting_has_an_end() {
    let deep = |open: &str, close: &str, depth: usize| {
        format!("{}{}", open.repeat(depth), close.repeat(depth))
    };
    let blocks = |depth| render(&deep("{{if 1}}", "{{end}}", depth), &thing(), &SHAPE);
    assert_eq!(blocks(100), Ok(String::new()));
    let error = "template parsing error: template: :1: blocks and parentheses nest deeper than 100";
    assert_eq!(blocks(101).err().as_deref(), Some(error));
    let parentheses = format!("{{{{{}}}}}", deep("(", ")", 100_000));
    assert_eq!(render(&parentheses, &thing(), &SHAPE).err().as_deref(), Some(error));
    let chain = format!("{{{{if 0}}}}{}{{{{end}}}}", "{{else if 0}}".repeat(100_000));
    assert_eq!(render(&chain, &thing(), &SHAPE).err().as_deref(), Some(error));
}

#[test]
fn texts_have_an_end() {
    let doubling =
        format!("{{{{$x := \"0123456789abcdef\"}}}}{}", "{{$x = print $x $x}}".repeat(60));
    let error = render(&doubling, &thing(), &SHAPE).unwrap_err();
    assert!(error.ends_with("error calling print: the text is too long"), "{error}");
    let wide = render(
        &format!("{{{{printf \"{}\"}}}}", "%999999%%999999d".repeat(1000)),
        &thing(),
        &SHAPE,
    );
    assert!(wide.unwrap().len() < 1 << 25);
}

#[test]
fn fields_that_are_not_there() {
    check(&[
        ("{{.Foo}}", "1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\""),
        ("{{.State.Foo}}", "1:8: executing \"\" at <.State.Foo>: map has no entry for key \"Foo\""),
        (
            "{{.State.Health.Status}}",
            "1:8: executing \"\" at <.State.Health.Status>: map has no entry for key \"Health\"",
        ),
        ("{{.Null.x}}", "1:7: executing \"\" at <.Null.x>: nil pointer evaluating interface {}.x"),
        (
            "{{.Text.x.y}}",
            "1:7: executing \"\" at <.Text.x.y>: can't evaluate field x in type interface {}",
        ),
        ("{{(len \"x\").y}}", "1:7: executing \"\" at <\"x\">: can't evaluate field y in type int"),
        ("a\nb {{.Foo}}", "2:4: executing \"\" at <.Foo>: map has no entry for key \"Foo\""),
    ]);
}

#[test]
fn arguments_that_do_not_fit() {
    check(&[
        ("{{.Text 1}}", "1:2: executing \"\" at <.Text>: Text is not a method but has arguments"),
        ("{{1 2}}", "1:2: executing \"\" at <1>: can't give argument to non-function 1"),
        (
            "{{(.Text) 1}}",
            "1:2: executing \"\" at <(.Text) 1>: can't give argument to non-function .Text",
        ),
        ("{{nil}}", "1:2: executing \"\" at <nil>: nil is not a command"),
        ("{{$x = 1}}", "1:7: executing \"\" at <1>: undefined variable: $x"),
        (
            "{{upper}}",
            "1:2: executing \"\" at <upper>: wrong number of args for upper: want 1 got 0",
        ),
        (
            "{{.Text | pad}}",
            "1:10: executing \"\" at <pad>: wrong number of args for pad: want 3 got 1",
        ),
        (
            "{{eq}}",
            "1:2: executing \"\" at <eq>: wrong number of args for eq: want at least 1 got 0",
        ),
        ("{{upper 1}}", "1:8: executing \"\" at <1>: expected string; found 1"),
        (
            "{{upper .Int}}",
            "1:8: executing \"\" at <.Int>: wrong type for value; expected string; got int",
        ),
        (
            "{{upper .Null}}",
            "1:8: executing \"\" at <.Null>: wrong type for value; expected string; got interface {}",
        ),
        (
            "{{upper .Config.Labels.x}}",
            "1:15: executing \"\" at <.Config.Labels.x>: invalid value; expected string",
        ),
        ("{{upper nil}}", "1:8: executing \"\" at <nil>: cannot assign nil to string"),
        (
            "{{1 | upper}}",
            "1:6: executing \"\" at <upper>: wrong type for value; expected string; got int",
        ),
        (
            "{{truncate .Text \"x\"}}",
            "1:17: executing \"\" at <\"x\">: expected integer; found \"x\"",
        ),
        (
            "{{join .Text \",\"}}",
            "1:7: executing \"\" at <.Text>: wrong type for value; expected []string; got string",
        ),
        (
            "{{join \"a\" \",\"}}",
            "1:7: executing \"\" at <\"a\">: can't handle \"a\" for arg of type []string",
        ),
        (
            "{{join .Args \",\"}}",
            "1:7: executing \"\" at <.Args>: wrong type for value; expected []string; got []interface {}",
        ),
        ("{{range .Int}}{{end}}", "1:8: executing \"\" at <.Int>: range can't iterate over 3"),
    ]);
}

#[test]
fn calls_that_fail() {
    let cases = [
        ("index .Args 7", "index out of range: 7"),
        ("index .Args 3", "reflect: slice index out of range"),
        ("index .Config.Entrypoint 0", "reflect: slice index out of range"),
        ("index .Args -1", "index out of range: -1"),
        ("index .Args \"x\"", "cannot index slice/array with type string"),
        ("index .Args nil", "cannot index slice/array with nil"),
        ("index .State 1", "value has type int; should be string"),
        ("index .Int 1", "can't index item of type int"),
        ("index .Null 1", "index of untyped nil"),
        ("len .Int", "len of type int"),
        ("len .Null", "len of nil pointer"),
        ("slice .Text 9", "index out of range: 9"),
        ("slice .Text 2 1", "invalid slice index: 2 > 1"),
        ("slice .State 1", "can't slice item of type map[string]interface {}"),
        ("eq 1", "missing argument for comparison"),
        ("eq .Int \"3\"", "incompatible types for comparison"),
        ("eq .Int 3.0", "incompatible types for comparison"),
        ("lt .Yes true", "invalid type for comparison"),
        ("lt .Null 1", "invalid type for comparison"),
        (
            "eq .State .State",
            "non-comparable type map[ExitCode:0 Status:running]: map[string]interface {}",
        ),
        ("truncate .Text -1", "runtime error: slice bounds out of range [:-1]"),
        ("pad .Text -1 0", "strings: negative Repeat count"),
        ("pad .Text 9999999999 0", "strings: Repeat output length overflow"),
    ];
    for (call, what) in cases {
        let name = call.split(' ').next().unwrap();
        let error = format!(
            "template parsing error: template: :1:2: executing \"\" at <{call}>: error calling {name}: {what}"
        );
        assert_eq!(render(&format!("{{{{{call}}}}}"), &thing(), &SHAPE), Err(error));
    }
}

#[test]
fn rows_name_their_type() {
    let cases = [
        (
            "{{.Foo}}",
            "1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext",
        ),
        (
            "{{.Foo.Bar}}",
            "1:6: executing \"\" at <.Foo.Bar>: can't evaluate field Foo in type *formatter.ContainerContext",
        ),
        (
            "{{.Names.Foo}}",
            "1:8: executing \"\" at <.Names.Foo>: can't evaluate field Foo in type string",
        ),
        (
            "{{.Names 1}}",
            "1:2: executing \"\" at <.Names>: wrong number of args for Names: want 0 got 1",
        ),
        (
            "{{.Label}}",
            "1:2: executing \"\" at <.Label>: wrong number of args for Label: want 1 got 0",
        ),
        ("{{.Label 1}}", "1:9: executing \"\" at <1>: expected string; found 1"),
    ];
    for (template, what) in cases {
        let error = format!("failed to execute template: template: :{what}");
        assert_eq!(render(template, &row(), &ROW), Err(error), "{template}");
    }
    let without_labels = json!({"ID": "x"});
    assert!(render("{{.Label \"x\"}}", &without_labels, &ROW).is_err());
}
