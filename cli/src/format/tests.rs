use serde_json::{Value, json};

use super::*;

const fn column(field: &'static str, header: &'static str) -> Column<'static> {
    Column { field, header }
}

const CONTAINERS: Listing<'static> = Listing {
    name: "*formatter.ContainerContext",
    columns: &[
        column("ID", "CONTAINER ID"),
        column("Image", "IMAGE"),
        column("Command", "COMMAND"),
        column("RunningFor", "CREATED"),
        column("State", "STATE"),
        column("Status", "STATUS"),
        column("Ports", "PORTS"),
        column("Names", "NAMES"),
        column("Size", "SIZE"),
    ],
    shown: &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
    quiet: "{{.ID}}",
    raw: Some((
        "container_id: {{.ID}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\n",
        "container_id: {{.ID}}",
    )),
};

fn rows() -> Vec<Value> {
    let row = |id: &str, names: &str| {
        json!({
            "ID": id,
            "Image": "ubuntu",
            "Command": "\"\"",
            "RunningFor": "24 hours ago",
            "State": "running",
            "Status": "",
            "Ports": "",
            "Names": names,
            "Size": "0B",
            "Label()": {"com.example.tier": names},
        })
    };
    vec![row("containerID1", "foobar_baz"), row("containerID2", "foobar_bar")]
}

fn show(flag: Option<&str>, quiet: bool, rows: &[Value]) -> Result<String, String> {
    let format = Format::new(flag, quiet, &CONTAINERS);
    format.render(rows, &CONTAINERS).map_err(|error| error.to_string())
}

#[track_caller]
fn check(flag: &str, text: &str) {
    assert_eq!(show(Some(flag), false, &rows()).as_deref(), Ok(text), "{flag}");
}

#[test]
fn the_table_of_a_command() {
    let table = "\
CONTAINER ID   IMAGE     COMMAND   CREATED        STATUS    PORTS     NAMES
containerID1   ubuntu    \"\"        24 hours ago                       foobar_baz
containerID2   ubuntu    \"\"        24 hours ago                       foobar_bar
";
    check("table", table);
    check("", table);
    assert_eq!(show(None, false, &rows()).as_deref(), Ok(table));
    let shown = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"];
    let with_size = Listing { shown: &shown, ..CONTAINERS };
    assert_eq!(
        Format::Table.render(&rows(), &with_size).as_deref(),
        Ok("\
CONTAINER ID   IMAGE     COMMAND   CREATED        STATUS    PORTS     NAMES        SIZE
containerID1   ubuntu    \"\"        24 hours ago                       foobar_baz   0B
containerID2   ubuntu    \"\"        24 hours ago                       foobar_bar   0B
")
    );
}

#[test]
fn a_table_without_rows_has_its_headers() {
    let header = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n";
    assert_eq!(show(None, false, &[]).as_deref(), Ok(header));
    assert_eq!(
        show(Some(r"table {{.Image}}\t{{.Size}}"), false, &[]).as_deref(),
        Ok("IMAGE     SIZE\n")
    );
    assert_eq!(show(Some("{{.Image}}"), false, &[]).as_deref(), Ok(""));
    assert_eq!(show(Some("json"), false, &[]).as_deref(), Ok(""));
}

#[test]
fn tables_of_templates() {
    check("table {{.Image}}", "IMAGE\nubuntu\nubuntu\n");
    check(
        r"table {{.ID}}\t{{.Names}}",
        "CONTAINER ID   NAMES\ncontainerID1   foobar_baz\ncontainerID2   foobar_bar\n",
    );
    check(
        "table {{.ID}}\t{{.State}}",
        "CONTAINER ID   STATE\ncontainerID1   running\ncontainerID2   running\n",
    );
    check(
        r#"table {{.Label "com.example.tier"}}\t{{split .Image ":"}}"#,
        "tier         IMAGE\nfoobar_baz   [ubuntu]\nfoobar_bar   [ubuntu]\n",
    );
    check(
        r"table {{truncate .ID 5}}\t{{json .Image}} {{.RunningFor}}/{{title .Status}}/{{pad .Ports 2 2}}.{{upper .Names}} {{lower .Status}}",
        "CONTAINER ID   IMAGE CREATED/STATUS/  PORTS  .NAMES STATUS\n\
         conta          \"ubuntu\" 24 hours ago//.FOOBAR_BAZ \n\
         conta          \"ubuntu\" 24 hours ago//.FOOBAR_BAR \n",
    );
    check("table ", "\n\n\n");
}

#[test]
fn templates_are_a_line_for_each_row() {
    check("{{.Image}}", "ubuntu\nubuntu\n");
    check(r" {{.ID}}\t{{.Names}}\n ", "containerID1\tfoobar_baz\n\ncontainerID2\tfoobar_bar\n\n");
    check(r"{{.ID}}{{`\t`}}x", "containerID1\tx\ncontainerID2\tx\n");
    check("pretty", "pretty\npretty\n");
}

#[test]
fn json_is_a_line_for_each_row() {
    let line = r#"{"Command":"\"\"","ID":"containerID1","Image":"ubuntu","Names":"foobar_baz","Ports":"","RunningFor":"24 hours ago","Size":"0B","State":"running","Status":""}"#;
    assert_eq!(show(Some("json"), false, &rows()[..1]).as_deref(), Ok(&*format!("{line}\n")));
    assert_eq!(show(Some("{{json .}}"), false, &rows()[..1]).as_deref(), Ok(&*format!("{line}\n")));
}

#[test]
fn raw_and_quiet() {
    check(
        "raw",
        "container_id: containerID1\nstatus:\nnames: foobar_baz\n\n\
         container_id: containerID2\nstatus:\nnames: foobar_bar\n\n",
    );
    let ids = "containerID1\ncontainerID2\n";
    assert_eq!(show(None, true, &rows()).as_deref(), Ok(ids));
    assert_eq!(show(Some("table"), true, &rows()).as_deref(), Ok(ids));
    let raw = "container_id: containerID1\ncontainer_id: containerID2\n";
    assert_eq!(show(Some("raw"), true, &rows()).as_deref(), Ok(raw));
    assert_eq!(show(Some("{{.Image}}"), true, &rows()).as_deref(), Ok("ubuntu\nubuntu\n"));
    let listing = Listing { raw: None, ..CONTAINERS };
    assert_eq!(Format::new(Some("raw"), false, &listing), Format::Rows("raw".to_owned()));
}

#[test]
fn errors_are_dockers() {
    let parsing = |what: &str| Err(format!("template parsing error: template: :1: {what}"));
    assert_eq!(
        show(Some("{{InvalidFunction}}"), false, &rows()),
        parsing("function \"InvalidFunction\" not defined")
    );
    assert_eq!(show(Some("{{.ID"), false, &[]), parsing("unclosed action"));
    assert_eq!(show(Some("table {{.ID"), false, &[]), parsing("unclosed action"));
    let foo = "failed to execute template: template: :1:2: executing \"\" at <.Foo>: \
               can't evaluate field Foo in type *formatter.ContainerContext";
    assert_eq!(show(Some("{{.Foo}}"), false, &rows()), Err(foo.to_owned()));
    assert_eq!(show(Some("table {{.Foo}}"), false, &rows()), Err(foo.to_owned()));
}

#[test]
fn which_fields_are_shown() {
    let shows = |flag| Format::new(flag, false, &CONTAINERS).shows("Size", &CONTAINERS);
    for flag in ["json", "{{json .}}", "{{json . }}", "{{.ID}} {{.Size}}", "table {{upper .Size}}"]
    {
        assert!(shows(Some(flag)), "{flag}");
    }
    for flag in [None, Some("table"), Some("{{.ID}}"), Some("{{json .ID}}"), Some("raw")] {
        assert!(!shows(flag), "{flag:?}");
    }
}
