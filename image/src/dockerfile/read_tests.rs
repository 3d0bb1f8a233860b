use super::*;

fn read(text: &str) -> Result<Instruction, String> {
    let heredocs = Heredoc::all(text).into_iter().map(|mut heredoc| {
        heredoc.content = "\tone\n".to_owned();
        heredoc
    });
    match instruction(text, &heredocs.collect::<Vec<_>>(), '\\')? {
        Parsed::Instruction(instruction) => Ok(instruction),
        Parsed::From(from) => panic!("{from:?}"),
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn owned_pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn programs_have_two_forms() {
    let exec = |words: &[&str]| Command::Exec(owned(words));
    let shell = |text: &str| Command::Shell(text.to_owned());
    for (text, expected) in [
        ("CMD [\"a\", \"b c\"]", Instruction::Cmd(exec(&["a", "b c"]))),
        ("cmd a  b", Instruction::Cmd(shell("a  b"))),
        ("CMD []", Instruction::Cmd(exec(&[]))),
        ("CMD [ 'a' ]", Instruction::Cmd(shell("[ 'a' ]"))),
        ("EntryPoint [\"a\"]", Instruction::Entrypoint(exec(&["a"]))),
        ("SHELL [\"/bin/bash\", \"-c\"]", Instruction::Shell(owned(&["/bin/bash", "-c"]))),
        ("VOLUME /a /b", Instruction::Volume(owned(&["/a", "/b"]))),
        ("VOLUME [\"/a b\"]", Instruction::Volume(owned(&["/a b"]))),
        ("EXPOSE 80 443/tcp", Instruction::Expose(owned(&["80", "443/tcp"]))),
        ("WORKDIR /a b", Instruction::Workdir("/a b".to_owned())),
        ("USER $U:$G", Instruction::User("$U:$G".to_owned())),
        ("STOPSIGNAL SIGTERM", Instruction::Stopsignal("SIGTERM".to_owned())),
        ("MAINTAINER Some One <a@b>", Instruction::Maintainer("Some One <a@b>".to_owned())),
    ] {
        assert_eq!(read(text), Ok(expected), "{text}");
    }
}

#[test]
fn variables_have_an_old_form_too() {
    for (text, expected) in [
        ("ENV A=1 B=\"x y\" C='z'", &[("A", "1"), ("B", "\"x y\""), ("C", "'z'")][..]),
        ("ENV A b  c=d", &[("A", "b  c=d")]),
        ("ENV A=b\\ c D=", &[("A", "b\\ c"), ("D", "")]),
        ("ENV A it's", &[("A", "it's")]),
    ] {
        assert_eq!(read(text), Ok(Instruction::Env(owned_pairs(expected))), "{text}");
    }
    assert_eq!(
        read("LABEL \"a.b\"=\"c d\""),
        Ok(Instruction::Label(owned_pairs(&[("\"a.b\"", "\"c d\"")])))
    );
    assert_eq!(
        read("ARG A B=1 C=\"x y\""),
        Ok(Instruction::Arg(vec![
            ("A".to_owned(), None),
            ("B".to_owned(), Some("1".to_owned())),
            ("C".to_owned(), Some("\"x y\"".to_owned())),
        ]))
    );
}

#[test]
fn a_heredoc_alone_is_the_script() {
    let command = |text: &str, content: &str| {
        let mut heredocs = Heredoc::all(text);
        heredocs.iter_mut().for_each(|heredoc| heredoc.content = content.to_owned());
        match instruction(text, &heredocs, '\\') {
            Ok(Parsed::Instruction(Instruction::Run(run))) => run.command,
            other => panic!("{other:?}"),
        }
    };
    let shell = |text: &str| RunCommand::Shell(text.to_owned());
    assert_eq!(command("RUN <<EOF", "a\n\tb\n"), shell("a\n\tb\n"));
    assert_eq!(command("RUN <<-'EOF'", "\ta\n"), shell("a\n"));
    assert_eq!(command("RUN --network=none <<EOF", "a\n"), shell("a\n"));
    assert_eq!(command("RUN <<-EOF cat >x", "\ta\n"), shell("<<-EOF cat >x\n\ta\nEOF"));
    assert_eq!(command("RUN cat <<A 3<<B", "x\n"), shell("cat <<A 3<<B\nx\nA\nx\nB"));
    assert_eq!(
        command("RUN <<EOF", "#!/bin/sh\na\n"),
        RunCommand::Script { name: "EOF".to_owned(), text: "#!/bin/sh\na\n".to_owned() }
    );
    assert_eq!(command("RUN [\"a\"]", ""), RunCommand::Exec(owned(&["a"])));
    assert_eq!(command("RUN [ -f x ] && y", ""), shell("[ -f x ] && y"));
}

#[test]
fn run_has_mounts_a_network_and_rights() {
    let text = "RUN --mount=type=cache,target=/c --network=host --mount=type=secret,id=a \
                --security=insecure make";
    let Ok(Instruction::Run(run)) = read(text) else { panic!() };
    assert_eq!((run.network, run.insecure, run.specs.len()), (RunNetwork::Host, true, 2));
    assert_eq!(run.command, RunCommand::Shell("make".to_owned()));
}

#[test]
fn files_have_sources_and_a_destination() {
    let text = "COPY --from=build --chown=1:2 --chmod=0755 --link --parents --exclude=*.a \
                --exclude=b a b/ /c/";
    let Ok(Instruction::Copy(copy)) = read(text) else { panic!() };
    assert_eq!(copy.from.as_deref(), Some("build"));
    assert_eq!((copy.parents, copy.files.link), (true, true));
    assert_eq!(
        (copy.files.chown.as_deref(), copy.files.chmod.as_deref()),
        (Some("1:2"), Some("0755"))
    );
    assert_eq!(copy.files.exclude, ["*.a", "b"]);
    assert_eq!(copy.files.destination, "/c/");
    assert_eq!(copy.files.sources.len(), 2);

    let Ok(Instruction::Copy(copy)) = read("COPY [\"a b\", \"/c d\"]") else { panic!() };
    assert_eq!(copy.files.sources, [FileSource::Path("a b".to_owned())]);
    assert_eq!(copy.files.destination, "/c d");

    let Ok(Instruction::Copy(copy)) = read("COPY <<-a.txt b <<\"c\" /d/") else { panic!() };
    let [FileSource::Text(first), FileSource::Path(_), FileSource::Text(last)] =
        copy.files.sources.as_slice()
    else {
        panic!("{copy:?}")
    };
    assert_eq!(
        (first.name.as_str(), first.expand, first.text()),
        ("a.txt", true, "one\n".to_owned())
    );
    assert_eq!((last.name.as_str(), last.expand, last.text()), ("c", false, "\tone\n".to_owned()));

    let text = "ADD --keep-git-dir=true --checksum=sha256:1 --unpack=false a /b";
    let Ok(Instruction::Add(add)) = read(text) else { panic!() };
    assert_eq!((add.keep_git_dir, add.unpack), (true, Some(false)));
    assert_eq!(add.checksum.as_deref(), Some("sha256:1"));
}

#[test]
fn a_stage_begins_with_an_image() {
    let from = |text: &str| match instruction(text, &[], '\\') {
        Ok(Parsed::From(from)) => (from.image, from.name, from.platform),
        other => panic!("{other:?}"),
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(from("FROM a"), ("a".to_owned(), None, None));
    assert_eq!(
        from("from --platform=$BUILDPLATFORM a:$V as Build-1.x"),
        ("a:$V".to_owned(), some("build-1.x"), some("$BUILDPLATFORM"))
    );
}

#[test]
fn a_trigger_is_checked_and_kept() {
    let onbuild = |text: &str| Ok(Instruction::Onbuild(text.to_owned()));
    assert_eq!(read("ONBUILD COPY . /x"), onbuild("COPY . /x"));
    assert_eq!(read("ONBUILD RUN <<E"), onbuild("RUN <<E\n\tone\nE"));
}

#[test]
fn what_is_wrong_is_said() {
    for (text, expected) in [
        ("FRM a", "unknown instruction FRM; did you mean FROM?"),
        ("WORKDIRR /a", "did you mean WORKDIR?"),
        ("echo hello", "unknown instruction echo"),
        ("COPY --form=a b c", "COPY knows no flag --form; did you mean from?"),
        ("COPY --from b c", "needs a value"),
        ("COPY --from= b c", "needs a value"),
        ("COPY --from=$A b c", "takes no variables"),
        ("COPY --from=a --from=b c d", "twice"),
        ("COPY --link=maybe b c", "true or false"),
        ("COPY a", "needs a source and a destination"),
        ("COPY", "needs a source and a destination"),
        ("COPY [\"a\"]", "needs a source and a destination"),
        ("COPY [\"a\", \"\"]", "empty"),
        ("COPY [1, 2]", "strings only"),
        ("COPY a <<b", "destination"),
        ("COPY <<../x /y", "cannot be called"),
        ("COPY --from=s <<x /y", "excludes"),
        ("RUN", "needs a command"),
        ("RUN []", "needs a command"),
        ("RUN --mount=type=x,target=/y z", "no type"),
        ("RUN --network=bridge x", "--network is"),
        ("RUN --security=none x", "--security is"),
        ("CMD", "needs an argument"),
        ("CMD --x y", "CMD knows no flag --x"),
        ("ENV", "needs an argument"),
        ("ENV A", "needs a name and a value"),
        ("ENV A=1 B", "there is no = in \"B\""),
        ("ENV =1", "no name"),
        ("ENV A=\"b", "quote"),
        ("ARG =1", "no name"),
        ("SHELL /bin/sh", "JSON"),
        ("SHELL []", "needs a program"),
        ("VOLUME [\"\"]", "empty"),
        ("ONBUILD", "needs an instruction"),
        ("ONBUILD ONBUILD RUN a", "ONBUILD ONBUILD"),
        ("ONBUILD from a", "ONBUILD FROM is not"),
        ("ONBUILD MAINTAINER a", "ONBUILD MAINTAINER is not"),
        ("ONBUILD RUNN a", "did you mean RUN?"),
        ("FROM", "needs an image"),
        ("FROM a b", "IMAGE AS NAME"),
        ("FROM a AS", "IMAGE AS NAME"),
        ("FROM a AS 1", "invalid name"),
        ("FROM a AS ä", "invalid name"),
        ("FROM a AS Scratch", "reserved"),
        ("FROM a AS context", "reserved"),
        ("FROM --platfrm=x a", "did you mean platform?"),
    ] {
        let error = instruction(text, &Heredoc::all(text), '\\').unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
