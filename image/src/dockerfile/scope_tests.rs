use super::super::testing::*;
use super::super::*;

fn scope(text: &str, arguments: &[(&str, &str)]) -> Scope {
    expanded(&graph(text, arguments, None).unwrap()).unwrap().1
}

fn error(text: &str) -> String {
    expanded(&graph(text, &[], None).unwrap()).unwrap_err().to_string()
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_variable_of_the_environment_wins_over_an_argument() {
    let text = "FROM a\nARG V=arg\nENV V=env-$V\nARG V=again\nLABEL v=$V";
    assert!(
        instructions(text, &[]).contains(&Instruction::Label(vec![("v".into(), "env-arg".into())]))
    );
    assert!(
        instructions(text, &[("V", "given")])
            .contains(&Instruction::Label(vec![("v".into(), "env-given".into())]))
    );
    let scope = scope(text, &[]);
    assert_eq!(value(&scope.run_environment(), "V"), Some("env-arg"));
    assert_eq!(scope.arguments().count(), 0);
}

#[test]
fn values_of_one_instruction_do_not_see_each_other() {
    let scope = scope("FROM a\nENV A=1\nENV A=2 B=$A\nENV A=3 PATH=/x:$PATH", &[]);
    let pairs: Vec<_> = scope.environment().iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(pairs, ["PATH=/x:/bin", "A=3", "B=1"]);
}

#[test]
fn an_argument_is_known_only_where_it_is_declared() {
    let text = "ARG G=global\nARG N\nFROM a AS one\nENV A=[$G]\nARG G N\nENV B=[$G$N]\nARG L=local\n\
                FROM a AS two\nENV C=[$G$L]\nFROM one\nENV D=[$G$L]";
    let environment = |target: &str, name: &str| {
        let graph = graph(text, &[], Some(target)).unwrap();
        let scope = expanded(&graph).unwrap().1;
        value(scope.environment(), name).map(str::to_owned)
    };
    assert_eq!(environment("one", "A").as_deref(), Some("[]"));
    assert_eq!(environment("one", "B").as_deref(), Some("[global]"));
    assert_eq!(environment("two", "C").as_deref(), Some("[]"));
    assert_eq!(environment("2", "D").as_deref(), Some("[globallocal]"), "a child inherits");
}

#[test]
fn platforms_are_arguments_without_defaults() {
    let text = "FROM a\nARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDARCH\n\
                ENV A=$TARGETPLATFORM:$TARGETOS:$TARGETARCH:$TARGETVARIANT:$BUILDPLATFORM:$BUILDARCH";
    assert_eq!(
        value(scope(text, &[]).environment(), "A"),
        Some("linux/arm64:linux:arm64::linux/amd64:amd64")
    );
    let undeclared = scope("FROM a\nENV A=[$TARGETARCH]", &[]);
    assert_eq!(value(undeclared.environment(), "A"), Some("[]"));
}

#[test]
fn proxies_need_no_declaration_and_leave_no_trace() {
    let text = "FROM a\nARG X=1 Y\nENV A=[$HTTP_PROXY]";
    let given = [("HTTP_PROXY", "http://p"), ("no_proxy", "x")];
    let undeclared = scope(text, &given);
    assert_eq!(value(undeclared.environment(), "A"), Some("[]"));
    assert_eq!(undeclared.arguments().collect::<Vec<_>>(), [("X", "1")]);
    let seen = undeclared.run_environment();
    assert_eq!(value(&seen, "HTTP_PROXY"), Some("http://p"));
    assert_eq!(value(&seen, "no_proxy"), Some("x"));
    assert_eq!((value(&seen, "X"), value(&seen, "Y")), (Some("1"), None));
    let declared = scope("FROM a\nARG HTTP_PROXY", &given);
    assert_eq!(declared.arguments().collect::<Vec<_>>(), [("HTTP_PROXY", "http://p")]);
    assert_eq!(declared.run_environment().iter().filter(|(n, _)| n == "HTTP_PROXY").count(), 1);
}

#[test]
fn programs_are_left_to_their_shell() {
    let text = "FROM a\nARG X=1\nRUN echo $X\nCMD [\"$X\"]\nENTRYPOINT $X\nHEALTHCHECK CMD $X\n\
                SHELL [\"$X\"]\nONBUILD ENV A=$X\nMAINTAINER $X";
    for instruction in instructions(text, &[]) {
        assert!(format!("{instruction:?}").contains("$X"), "{instruction:?}");
    }
}

#[test]
fn everything_else_gets_its_values() {
    let text = "FROM a\nENV D=/data P='80 90-91/udp' U=me S=SIGINT\nWORKDIR $D/x\nUSER ${U}:$U\n\
                VOLUME $D [a]\nEXPOSE $P 443\nSTOPSIGNAL $S\nLABEL \"k.$U\"=\"$D $U\"\n\
                COPY --chown=$U --exclude=$U* \"$D\" ./\nADD [\"$D\", \"x y\", \"$D/\"]\n\
                RUN --mount=type=cache,target=$D/c x";
    let all = instructions(text, &[]);
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        all[1..7],
        [
            Instruction::Workdir("/data/x".into()),
            Instruction::User("me:me".into()),
            Instruction::Volume(owned(&["/data", "[a]"])),
            Instruction::Expose(owned(&["80/tcp", "90/udp", "91/udp", "443/tcp"])),
            Instruction::Stopsignal("SIGINT".into()),
            Instruction::Label(vec![("k.me".into(), "/data me".into())]),
        ]
    );
    let Instruction::Copy(copy) = &all[7] else { panic!() };
    assert_eq!(copy.files.sources, [FileSource::Path("/data".into())]);
    assert_eq!(
        (copy.files.chown.as_deref(), copy.files.exclude.as_slice()),
        (Some("me"), &owned(&["me*"])[..])
    );
    let Instruction::Add(add) = &all[8] else { panic!() };
    assert_eq!((add.files.sources.len(), add.files.destination.as_str()), (2, "/data/"));
    let Instruction::Run(run) = &all[9] else { panic!() };
    assert!(matches!(&run.mounts[..], [Mount::Cache { id, .. }] if id == "/data/c"));
}

#[test]
fn heredocs_of_files_get_values_unless_quoted() {
    let text = "FROM a\nENV X=1\nCOPY <<-A <<'B' /x/\n\t'$X' \\$X\n\tA\n$X\nB\n";
    let Instruction::Copy(copy) = &instructions(text, &[])[1] else { panic!() };
    let texts: Vec<_> = copy
        .files
        .sources
        .iter()
        .map(|source| match source {
            FileSource::Text(heredoc) => (heredoc.name.as_str(), heredoc.text()),
            FileSource::Path(path) => panic!("{path}"),
        })
        .collect();
    assert_eq!(texts, [("A", "'1' $X\n".to_owned()), ("B", "$X\n".to_owned())]);
}

#[test]
fn values_are_checked_when_they_are_known() {
    for (text, expected) in [
        ("FROM a\nUSER $N", "argument of USER is empty"),
        ("FROM a\nWORKDIR ''", "argument of WORKDIR is empty"),
        ("FROM a\nVOLUME $N", "argument of VOLUME is empty"),
        ("FROM a\nEXPOSE http", "EXPOSE takes ports"),
        ("FROM a\nSTOPSIGNAL SIGFOO", "STOPSIGNAL takes a signal"),
        ("FROM a\nENV $N=1", "cannot have"),
        ("FROM a\nENV ''=1", "cannot have"),
        ("FROM a\nCOPY $N /x", "source $N is empty"),
        ("FROM a\nCOPY a $N", "destination $N is empty"),
        ("FROM a\nCOPY a b /c", "ends with /: /c/"),
        ("FROM a\nCOPY \"a b\" /c", "quote"),
        ("FROM a\nADD --checksum=md5:1 a b", "--checksum"),
        ("FROM a\nRUN --mount=type=ssh x", "no agent"),
        ("FROM a\nRUN --mount=type=cache,target=$N x", "needs a target"),
        ("FROM a\nENV A=\"${N:?set it}\"", "N: set it"),
    ] {
        let error = error(text);
        assert!(error.starts_with("Dockerfile:2: ") && error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn values_that_double_themselves_end() {
    let doubling = "ENV A=$A$A\n".repeat(100);
    assert!(error(&format!("FROM a\nENV A=x\n{doubling}")).contains("larger than"));
    let many = "LABEL a=$A$A$A$A\n".repeat(9000);
    let text = format!("FROM a\nENV A={}\n{many}", "x".repeat(200_000));
    assert!(error(&text).contains("too large together"));
    let apart: String = (0..5).map(|at| format!("ARG A{at}=$A\n")).collect();
    let text = format!("FROM a\nENV A={}\n{apart}", "x".repeat(250_000));
    assert!(error(&text).contains("bytes together"));
    let again = "ENV A=$A\n".repeat(20);
    let text = format!("FROM a\nENV A={}\n{again}", "x".repeat(250_000));
    assert_eq!(scope(&text, &[]).environment().len(), 2, "what is replaced does not count");
    let ports = "EXPOSE 1-65535\n".repeat(9000);
    assert!(error(&format!("FROM a\n{ports}")).contains("too large together"));
}
