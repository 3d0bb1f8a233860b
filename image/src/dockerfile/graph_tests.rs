use super::super::testing::*;
use super::super::*;

fn error(text: &str) -> String {
    graph(text, &[], None).unwrap_err().to_string()
}

#[test]
fn only_what_the_target_needs_is_built_and_at_once_where_it_can() {
    let text = "FROM a AS base\nFROM base AS one\nFROM base AS two\nFROM b AS unused\nFROM c AS three\n\
                FROM one AS all\nCOPY --from=TWO /x /y\nRUN --mount=from=4,target=/t x\nFROM d";
    let waves = |target: &str| graph(text, &[], Some(target)).unwrap().waves();
    assert_eq!(waves("all"), [vec![0, 4], vec![1, 2], vec![5]]);
    assert_eq!(waves("ALL"), waves("5"));
    assert_eq!(waves("two"), [[0], [2]]);
    assert_eq!(waves("6"), [[6]]);
    assert_eq!(graph(text, &[], None).unwrap().waves(), [[6]]);
    assert!(graph(text, &[], Some("al")).unwrap_err().to_string().contains("did you mean all?"));
    for missing in ["7", "-1", "", "unuse_"] {
        assert!(graph(text, &[], Some(missing)).is_err(), "{missing}");
    }
}

#[test]
fn a_stage_begins_with_an_image_a_stage_or_nothing() {
    let graph = graph(
        "FROM alpine AS A\nFROM a AS b\nFROM scratch AS c\nFROM later\nFROM d AS later\nFROM x AS x",
        &[],
        None,
    )
    .unwrap();
    let image = |name: &str| Base::Image(name.parse().unwrap());
    let bases: Vec<_> = graph.stages().iter().map(|stage| stage.base.clone()).collect();
    assert_eq!(
        bases,
        [image("alpine"), Base::Stage(0), Base::Scratch, image("later"), image("d"), image("x")]
    );
    assert_eq!(graph.stages()[0].name.as_deref(), Some("a"));
    assert_eq!((graph.target(), graph.stages()[3].line), (5, 4));
}

#[test]
fn files_come_from_stages_before_and_from_images() {
    let text = "FROM a AS one\nFROM b\nCOPY --from=one x y\nCOPY --from=nginx:1 x y\n\
                RUN --mount=type=cache,from=scratch,target=/c --mount=from=busybox,target=/b x";
    let graph = graph(text, &[], None).unwrap();
    let stage = &graph.stages()[1];
    assert_eq!(stage.needs.iter().collect::<Vec<_>>(), [&0]);
    let images: Vec<_> = stage.images.iter().map(|image| image.familiar()).collect();
    assert_eq!(images, ["busybox:latest", "nginx:1"]);
    assert_eq!(graph.origin(1, "0"), Ok(Origin::Stage(0)));
    assert_eq!(graph.origin(1, "ONE"), Ok(Origin::Stage(0)));
    assert_eq!(graph.origin(1, "scratch"), Ok(Origin::Scratch));
    assert_eq!(graph.origin(1, "x"), Ok(Origin::Image("x".parse().unwrap())));
    assert!(graph.origin(1, "X!").is_err());
}

#[test]
fn what_cannot_be_built_is_refused_with_its_line() {
    for (text, line, expected) in [
        ("FROM a\nCOPY --from=b x y\nFROM c AS b", 2, "not yet defined"),
        ("FROM a\nCOPY --from=1 x y\nFROM c", 2, "not yet defined"),
        ("FROM a\nCOPY --from=9 x y", 2, "there is no stage 9"),
        ("FROM a\nCOPY --from=99999999999999999999999 x y", 2, "there is no stage"),
        ("FROM a AS b\nCOPY --from=b x y", 2, "takes from itself"),
        ("FROM a AS b\nRUN --mount=from=0,target=/x y", 2, "takes from itself"),
        ("FROM a\nCOPY --from=scratch x y", 2, "nothing to copy"),
        ("FROM a\nCOPY --from=A:: x y", 2, "invalid reference"),
        ("FROM a AS b\nFROM c AS B", 2, "another stage"),
        ("FROM $N", 1, "is empty"),
        ("FROM ${N:?choose-one}", 1, "N: choose-one"),
        ("FROM A", 1, "lowercase"),
        ("FROM --platform=a/b/c/d x", 1, "invalid platform"),
        ("FROM --platform=$N x", 1, "invalid platform"),
        ("ARG A=${B\nFROM a", 1, "missing"),
        ("ARG A=1", 1, "no FROM"),
        ("RUN x\nFROM a", 1, "only ARG"),
    ] {
        let error = error(text);
        assert!(error.starts_with(&format!("Dockerfile:{line}: ")), "{text}: {error}");
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn arguments_before_the_first_stage_are_for_from() {
    let text = "ARG V=3.20\nARG IMAGE=alpine:${V}\nFROM ${IMAGE} AS a\nFROM --platform=$BUILDPLATFORM \
                x:$TARGETARCH AS b\nFROM b";
    let bases = |arguments: &[(&str, &str)]| {
        let graph = graph(text, arguments, None).unwrap();
        let name = |stage: &Stage| match &stage.base {
            Base::Image(image) => image.familiar(),
            other => format!("{other:?}"),
        };
        graph
            .stages()
            .iter()
            .map(|stage| format!("{} {}", name(stage), stage.platform))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        bases(&[]),
        ["alpine:3.20 linux/arm64", "x:arm64 linux/amd64", "Stage(1) linux/amd64"]
    );
    assert_eq!(bases(&[("V", "3")])[0], "alpine:3 linux/arm64");
    assert_eq!(bases(&[("IMAGE", "b:1"), ("TARGETARCH", "x")])[0], "b:1 linux/arm64");
    assert_eq!(bases(&[("TARGETARCH", "x")])[1], "x:x linux/amd64");
    let stages = "ARG S\nFROM a AS dev\nFROM b AS prod\nFROM ${S:-dev}";
    let base = |arguments: &[(&str, &str)]| graph(stages, arguments, None).unwrap().waves();
    assert_eq!(
        (base(&[]), base(&[("S", "prod")])),
        (vec![vec![0], vec![2]], vec![vec![1], vec![2]])
    );
}

#[test]
fn triggers_of_a_stage_come_first_in_the_one_that_begins_with_it() {
    let text = "FROM a AS tools\nFROM b AS base\nONBUILD COPY --from=tools /t /t\nONBUILD RUN <<E\nx\nE\n\
                FROM base AS child\nRUN own\nFROM child";
    let graph = graph(text, &[], None).unwrap();
    let texts: Vec<_> = graph.stages()[2].steps.iter().map(|s| (s.line, s.text.as_str())).collect();
    assert_eq!(texts, [(3, "COPY --from=tools /t /t"), (4, "RUN <<E"), (8, "RUN own")]);
    assert_eq!(graph.stages()[2].needs.iter().copied().collect::<Vec<_>>(), [0, 1]);
    assert!(graph.stages()[3].steps.is_empty(), "a trigger is triggered once");
    let Instruction::Run(run) = &graph.stages()[2].steps[1].instruction else { panic!() };
    assert_eq!(run.command, RunCommand::Shell("x\n".to_owned()));
}

#[test]
fn triggers_of_an_image_are_read_with_suspicion() {
    let graph =
        graph("FROM a AS one\nFROM b AS two\nFROM c\nCOPY --from=one x y", &[], None).unwrap();
    let step = graph.trigger(2, "RUN make\\\n  all").unwrap();
    assert_eq!((step.line, step.text.as_str()), (3, "RUN make  all"));
    assert!(graph.trigger(2, "COPY --from=one x y").is_ok());
    assert!(graph.trigger(2, "COPY --from=busybox x y").is_ok());
    for bad in [
        "",
        "FROM x",
        "ONBUILD RUN x",
        "MAINTAINER x",
        "RUN a\nRUN b",
        "NOTHING",
        "RUN <<E\nx",
        "RUN \0",
        "COPY --from=two x y",
        "COPY --from=2 x y",
    ] {
        assert!(graph.trigger(2, bad).is_err(), "{bad}");
    }
}

#[test]
fn triggers_cannot_multiply_without_bound() {
    let many = format!("FROM a AS b\n{}{}", "ONBUILD RUN x\n".repeat(200), "FROM b\n".repeat(200));
    let large =
        format!("FROM a AS b\nONBUILD RUN {}\n{}", "x".repeat(9000), "FROM b\n".repeat(200));
    for text in [many, large] {
        assert!(error(&text).contains("too many or too large"));
    }
    assert!(error(&"FROM a\n".repeat(501)).contains("more than 500 stages"));
}

#[test]
fn what_has_no_effect_is_noted() {
    let graph = graph(
        "# syntax=x\nARG A\nFROM a\nARG B",
        &[("A", ""), ("B", ""), ("C", ""), ("HTTP_PROXY", "")],
        None,
    );
    assert_eq!(
        graph.unwrap().notes(),
        [
            "the directive syntax=x has no effect",
            "the build argument C is not used: no ARG declares it"
        ]
    );
}
