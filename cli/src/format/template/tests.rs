use serde_json::{Value, json};

use super::{GoType, Shape, Template, TemplateError};

mod errors;
mod random;

/// Something like what `docker inspect` shows.
pub(super) fn thing() -> Value {
    json!({
        "Id": "90ad6a8a2a1f",
        "Args": ["x", "y", 3],
        "Text": "str",
        "Null": null,
        "Int": 3,
        "Float": 1.5,
        "Big": 1_000_000.0,
        "Yes": true,
        "State": {"Status": "running", "ExitCode": 0},
        "Config": {
            "Labels": {"k2": "v2", "k1": "v1", "com.example.some-label": "value"},
            "Env": ["PATH=/bin", "A=b"],
            "Entrypoint": null,
        },
        "NetworkSettings": {
            "Networks": {
                "bridge": {"IPAddress": "172.17.0.2", "Aliases": null},
                "my-net": {"IPAddress": "10.0.0.2", "Aliases": ["web"]},
            },
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": null},
        },
        "Mounts": [{"Type": "bind", "Source": "/a"}, {"Type": "volume", "Source": "/b"}],
    })
}

pub(super) const SHAPE: Shape<'static> = Shape {
    root: GoType::Record,
    name: "",
    fields: &[
        ("Labels", GoType::Map),
        ("Networks", GoType::Map),
        ("Ports", GoType::Map),
        ("Entrypoint", GoType::List),
        ("Health", GoType::Pointer),
    ],
};

/// A row of `ps`.
pub(super) fn row() -> Value {
    json!({
        "ID": "90ad6a8a2a1f",
        "Names": "web",
        "Labels": "com.example.a-b=1,x=2",
        "Ports": "0.0.0.0:80->80/tcp",
        "Label()": {"com.example.a-b": "1", "x": "2"},
    })
}

pub(super) const ROW: Shape<'static> =
    Shape { root: GoType::Row, name: "*formatter.ContainerContext", fields: &[] };

pub(super) fn render(template: &str, data: &Value, shape: &Shape<'_>) -> Result<String, String> {
    let rendered = Template::parse(template).and_then(|template| template.render(data, shape));
    rendered.map_err(|error: TemplateError| error.to_string())
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (template, text) in cases {
        assert_eq!(render(template, &thing(), &SHAPE).as_deref(), Ok(*text), "{template}");
    }
}

#[test]
fn fields_and_what_scripts_ask_for() {
    check(&[
        ("", ""),
        ("plain }} text { {", "plain }} text { {"),
        ("{{.Id}}", "90ad6a8a2a1f"),
        ("{{ .State.Status }} {{.State.ExitCode}}", "running 0"),
        ("{{$.State.Status}}{{(.State).Status}}", "runningrunning"),
        ("{{json .State}}", r#"{"ExitCode":0,"Status":"running"}"#),
        ("{{json .Args}} {{json .Text}} {{json .Null}}", r#"["x","y",3] "str" null"#),
        (r#"{{index .NetworkSettings.Networks "bridge" "IPAddress"}}"#, "172.17.0.2"),
        (r#"{{(index .NetworkSettings.Networks "my-net").IPAddress}}"#, "10.0.0.2"),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", "172.17.0.2 10.0.0.2 "),
        (r#"{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}"#, "8080"),
        (
            "{{range $p, $conf := .NetworkSettings.Ports}} {{$p}} -> \
             {{if $conf}}{{(index $conf 0).HostPort}}{{else}}-{{end}}{{end}}",
            " 443/tcp -> - 80/tcp -> 8080",
        ),
        (r#"{{index .Config.Labels "com.example.some-label"}}"#, "value"),
        (r#"{{index .Config.Labels "nope"}}|{{.Config.Labels.nope}}"#, "|<no value>"),
        (r#"{{if index .Config.Labels "nope"}}y{{else}}n{{end}}"#, "n"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "PATH=/bin\nA=b\n"),
        (r#"{{join .Config.Env ","}}"#, "PATH=/bin,A=b"),
        (r#"{{range .Mounts}}{{if eq .Type "volume"}}{{.Source}}{{end}}{{end}}"#, "/b"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{.State.Health}} {{.Config.Entrypoint}} {{len .Config.Entrypoint}}", "<nil> [] 0"),
        (r#"{{join .Config.Entrypoint " "}}{{json .Config.Entrypoint}}"#, "null"),
    ]);
}

#[test]
fn values_are_printed_as_go_prints_them() {
    check(&[
        ("{{.Int}} {{.Float}} {{.Big}} {{.Yes}}", "3 1.5 1e+06 true"),
        ("{{.Args}} {{.Config.Labels}}", "[x y 3] map[com.example.some-label:value k1:v1 k2:v2]"),
        ("{{.Null}}|{{print .Null}}|{{print nil}}", "<no value>|<nil>|<nil>"),
        ("{{true}}{{false}}{{'a'}}{{0x1F}}{{-5}}{{1e3}}{{.5}}", "truefalse9731-510000.5"),
        (r#"{{"q\"\t\u00e9"}}{{`raw\n`}}"#, "q\"\téraw\\n"),
        (r#"{{print "a" 1 2 "b" 3}}|{{print 1 2 .Yes}}"#, "a1 2b3|1 2 true"),
        (r#"{{println "a" 1}}|{{print}}"#, "a 1\n|"),
    ]);
}

#[test]
fn spaces_are_trimmed_where_it_is_asked_for() {
    check(&[
        ("a {{- .Text -}} \n b", "astrb"),
        ("a {{ .Text }} b", "a str b"),
        ("{{- 3 -}}|{{-3}}", "3|-3"),
        ("{{/* c */}}x {{- /* }} */ -}} y", "xy"),
        ("a{{\"}}\"}}b{{ `}}` }}", "a}}b}}"),
        ("{{.Text\n}}{{ .Text\t|\tprint}}", "strstr"),
    ]);
}

#[test]
fn conditions() {
    check(&[
        ("{{if .Null}}y{{else if .Yes}}t{{else}}n{{end}}", "t"),
        ("{{if not .Yes}}x{{end}}{{if .Args}}y{{end}}", "y"),
        ("{{if 0}}x{{end}}{{if \"\"}}x{{end}}{{if 0.0}}x{{end}}{{if print nil}}y{{end}}", "y"),
        ("{{with .State}}{{.Status}}{{$.Int}}{{else}}n{{end}}", "running3"),
        ("{{with .Null}}x{{else with .Float}}{{.}}{{else}}y{{end}}", "1.5"),
        ("{{with $x := .Int}}{{$x}}{{.}}{{end}}", "33"),
        ("{{and 1 0 2}}{{or 0 \"\" \"x\"}}{{and 1 2}}{{or .Null 0}}", "0x20"),
        ("{{or 1 (index .Args 99)}}{{and 0 (index .Args 99)}}", "10"),
        ("{{if and (eq .Int 3) (or .Null .Yes) (not .Null)}}Y{{end}}", "Y"),
    ]);
}

#[test]
fn comparisons() {
    check(&[
        ("{{eq .Int 3}}{{eq .Float 1.5}}{{eq .Yes true}}", "truetruetrue"),
        (r#"{{eq .Text "x" "str"}}{{ne .Text "str"}}"#, "truefalse"),
        ("{{eq .Null nil}}{{eq 1 nil}}{{ne nil nil}}", "truefalsefalse"),
        (
            r#"{{lt .Int 5}}{{lt "a" "b"}}{{le 1 1}}{{gt 2.5 1.5}}{{ge 1 2}}"#,
            "truetruetruetruefalse",
        ),
        ("{{.Int | eq 3}}{{3 | eq .Int 4}}", "truetrue"),
    ]);
}

#[test]
fn ranges() {
    check(&[
        ("{{range .Args}}{{.}},{{end}}", "x,y,3,"),
        ("{{range $i, $e := .Args}}{{if $i}}, {{end}}{{$i}}={{$e}}{{end}}", "0=x, 1=y, 2=3"),
        ("{{range $e := .Args}}{{$e}}{{end}}", "xy3"),
        (
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
            "com.example.some-label=value;k1=v1;k2=v2;",
        ),
        (
            "{{range .Null}}x{{else}}none{{end}}{{range .Config.Entrypoint}}{{else}}!{{end}}",
            "none!",
        ),
        ("{{range .Args}}{{if eq (print .) \"y\"}}{{break}}{{end}}{{.}}{{end}}", "x"),
        ("{{range .Args}}{{if eq (print .) \"x\"}}{{continue}}{{end}}{{.}}{{end}}", "y3"),
        (
            "{{range $i, $a := .Args}}{{range $j, $b := $.Args}}{{if eq $i $j}}{{continue}}{{end}}{{$i}}{{$j}} {{end}}{{end}}",
            "01 02 10 12 20 21 ",
        ),
        (r#"{{range split "a:b" ":"}}{{.}}-{{end}}"#, "a-b-"),
    ]);
}

#[test]
fn variables() {
    check(&[
        ("{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}{{if true}}{{$x = 3}}{{end}}{{$x}}", "123"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}", "1"),
        ("{{$x := .State}}{{$x.Status}}", "running"),
        ("{{$i := 7}}{{range $i = .Args}}{{end}}{{$i}}", "3"),
        ("{{$s := \"\"}}{{range .Args}}{{$s = printf \"%s%v\" $s .}}{{end}}{{$s}}", "xy3"),
        ("{{$x := \"a\" | upper}}{{$x}}", "A"),
    ]);
}

#[test]
fn pipelines() {
    check(&[
        (r#"{{.Text | printf "%s-%s" "x"}}"#, "x-str"),
        (r#"{{"a" | len | printf "%03d"}}"#, "001"),
        (r#"{{"k1" | index .Config.Labels}}"#, "v1"),
        ("{{.Text|print|upper |lower|  title}}", "Str"),
        ("{{((print 1 2))}} {{ (.Text) }}", "1 2 str"),
        ("{{.Text |}}", "str"),
    ]);
}

#[test]
fn functions() {
    check(&[
        ("{{len .Args}}{{len .Text}}{{len .Config.Labels}}{{len \"é\"}}", "3332"),
        ("{{index .Args 1}}{{index .Text 1}}{{index .Args}}", "y116[x y 3]"),
        (
            "{{slice .Id 0 4}} {{slice .Id 4}} {{slice .Args 1}} {{slice \"é\" 0 1}}",
            "90ad 6a8a2a1f [y 3] ",
        ),
        (r#"{{split "a:b" ":"}}{{split "abc" ""}}{{len (split "" ":")}}"#, "[a b][a b c]1"),
        (r#"{{join (slice (split "a:b:c" ":") 1) "+"}}{{join nil ","}}"#, "b+c"),
        (r#"{{json (split "a:b" ":")}}{{json 1.0}}{{json "<a>"}}"#, r#"["a","b"]1"<a>""#),
        (r#"{{upper "aé"}}{{lower "AÉ"}}"#, "AÉaé"),
        (r#"{{title "foo bar-baz q_x o'neil ünder 1a"}}"#, "Foo Bar-Baz Q_x O'Neil Ünder 1a"),
        (r#"{{truncate "tupx5xzf6" 5}} {{truncate "ab" 5}} {{truncate "é" 1}}"#, "tupx5 ab "),
        (r#"{{pad "x" 3 2}}|{{pad "" 3 2}}|{{pad "a" 1.0 0}}"#, "   x  || a"),
    ]);
}

#[test]
fn formatted_texts() {
    check(&[
        (
            r#"{{printf "%d|%5d|%-5d|%05d|%+d|% d|%x|%X|%o|%b" 42 42 42 42 42 42 42 42 42 5}}"#,
            "42|   42|42   |00042|+42| 42|2a|2A|52|101",
        ),
        (
            r#"{{printf "%c|%q|%U|%3c|%t|%6t|" 65 65 65 'a' true false}}"#,
            "A|'A'|U+0041|  a|true| false|",
        ),
        (
            r#"{{printf "%s|%5s|%-5s|%.1s|%q|%x|% x|%v|%05s|" "ab" "ab" "ab" "ab" "ab" "ab" "ab" "ab" "ab"}}"#,
            "ab|   ab|ab   |a|\"ab\"|6162|61 62|ab|000ab|",
        ),
        (
            r#"{{printf "%f|%.2f|%8.3f|%-8.1f|%e|%g|%.3g|%08.3f" 1.5 1.5 1.5 1.5 1234.5 1234.5 1234.5 -1.5}}"#,
            "1.500000|1.50|   1.500|1.5     |1.234500e+03|1234.5|1.23e+03|-001.500",
        ),
        (
            r#"{{printf "%.3d|%8.3d|%08.3d|%x|%#x|%#o" 5 5 5 -255 255 8}}"#,
            "005|     005|     005|-ff|0xff|010",
        ),
        (
            r#"{{printf "%v|%d|%q" .Args .Args .Args}}"#,
            "[x y 3]|[%!d(string=x) %!d(string=y) 3]|[\"x\" \"y\" '\\x03']",
        ),
        (
            r#"{{printf "%v %T %T" .State .State .Config.Env}}"#,
            "map[ExitCode:0 Status:running] map[string]interface {} []interface {}",
        ),
        (r#"{{printf "%*d|%-*d|%.*f|%[2]d %[1]d" 5 1 5 1 2 1.5}}"#, "    1|1    |1.50|1 5"),
        (r#"{{printf "%d%%" 5}} {{printf "é%vé" nil}}"#, "5% é<nil>é"),
    ]);
}

#[test]
fn what_does_not_fit_is_said_in_the_text() {
    check(&[
        (
            r#"{{printf "%d" "x"}} {{printf "%s" 3}} {{printf "%t" 1}}"#,
            "%!d(string=x) %!s(int=3) %!t(int=1)",
        ),
        (r#"{{printf "%d"}} {{printf "%d %d" 1}}"#, "%!d(MISSING) 1 %!d(MISSING)"),
        (r#"{{printf "x" 1 "a"}}"#, "x%!(EXTRA int=1, string=a)"),
        (
            r#"{{printf "%z" 1}} {{printf "%"}} {{printf "%s" nil}}"#,
            "%!z(int=1) %!(NOVERB) %!s(<nil>)",
        ),
        (r#"{{printf "%[3]d" 1}} {{printf "%[x]d" 1}}"#, "%!d(BADINDEX) %!d(BADINDEX)"),
        (
            r#"{{printf "%*d" "x" 1}} {{printf "%.*f" "x" 1.5}}"#,
            "%!(BADWIDTH)1 %!(BADPREC)1.500000",
        ),
    ]);
}

#[test]
fn rows_have_methods() {
    let cases = [
        ("{{.ID}} {{.Names}}", "90ad6a8a2a1f web"),
        (r#"{{.Label "x"}}|{{.Label "com.example.a-b"}}|{{.Label "y"}}"#, "2|1|"),
        (r#"{{"x" | .Label}}{{$.Label "x" | printf "%s!"}}{{if .Label "y"}}n{{end}}"#, "22!"),
        (
            "{{.}}",
            "map[ID:90ad6a8a2a1f Labels:com.example.a-b=1,x=2 Names:web Ports:0.0.0.0:80->80/tcp]",
        ),
        (
            "{{json .}}",
            r#"{"ID":"90ad6a8a2a1f","Labels":"com.example.a-b=1,x=2","Names":"web","Ports":"0.0.0.0:80-\u003e80/tcp"}"#,
        ),
        ("{{json .Ports}}", r#""0.0.0.0:80->80/tcp""#),
    ];
    for (template, text) in cases {
        assert_eq!(render(template, &row(), &ROW).as_deref(), Ok(text), "{template}");
    }
}

#[test]
fn headers_pass_through_functions() {
    let headers = json!({"ID": "CONTAINER ID", "Names": "NAMES"});
    let header =
        |template: &str| Template::parse(template).map(|template| template.render_header(&headers));
    for (template, text) in [
        ("{{.ID}}\t{{.Names}}", "CONTAINER ID\tNAMES"),
        (
            "{{truncate .ID 5}}\t{{json .Names}} {{title .Names}}/{{pad .Names 2 2}}.{{lower .Names}}",
            "CONTAINER ID\tNAMES NAMES/  NAMES  .NAMES",
        ),
        (
            r#"{{split .ID ":"}}{{join .ID ","}}{{printf "%-6s|" .Names}}"#,
            "CONTAINER IDCONTAINER IDNAMES |",
        ),
        (r#"{{.Label "com.docker.swarm.node-name_x"}}"#, "node name x"),
        ("{{.Names}}{{if .Current}} *{{end}}{{.Nope}}", "NAMES<no value>"),
        ("{{.Names}} {{upper .Nope}} {{.ID}}", "NAMES "),
    ] {
        assert_eq!(header(template).as_deref(), Ok(text), "{template}");
    }
}
