//! What the language has besides: heredocs, variables, triggers, escapes.

use crate::render::{Asked, check, graph, render};

#[test]
fn heredocs_of_run() {
    check(
        "FROM a\nRUN <<EOF\napt-get update\n\n# a comment of the shell\napt-get install -y x \\\n  y\nEOF\n\
         RUN <<-\"END\"\n\techo $X\n\tEND\nRUN python3 <<EOF\nprint(\"<<x\")\nEOF\n\
         RUN cat <<A >/a && cat <<B >/b\n1\nA\n2\nB\nRUN <<SCRIPT\n#!/usr/bin/env python3\nprint(1)\nSCRIPT\n\
         RUN echo $((1<<2)) <<<x\nRUN [\"echo\", \"<<EOF\"]\nCMD cat <<EOF",
        &Asked::default(),
        r##"0: - = a:latest linux/arm64 {}
         RUN sh apt-get update⏎⏎# a comment of the shell⏎apt-get install -y x \⏎  y⏎
         RUN sh echo $X⏎
         RUN sh python3 <<EOF⏎print("<<x")⏎EOF
         RUN sh cat <<A >/a && cat <<B >/b⏎1⏎A⏎2⏎B
         RUN script SCRIPT "#!/usr/bin/env python3\nprint(1)\n"
         RUN sh echo $((1<<2)) <<<x
         RUN ["echo", "<<EOF"]
         CMD sh cat <<EOF"##,
    );
}

#[test]
fn heredocs_of_copy_and_add() {
    check(
        "FROM nginx\nARG PORT=80\nCOPY <<-EOT /etc/nginx/conf.d/default.conf\n\tserver { listen ${PORT}; \
         root '/srv'; set \\$x 1; }\n\tEOT\nCOPY --chmod=755 <<'run.sh' <<conf b /x/\n#!/bin/sh\necho \
         $PORT\nrun.sh\nport=$PORT\nconf\nADD <<f /f\nf\n",
        &Asked::default(),
        r##"0: - = nginx:latest linux/arm64 {}
         ARG PORT=80
         COPY EOT:"server { listen 80; root '/srv'; set $x 1; }\n" -> /etc/nginx/conf.d/default.conf
         COPY chmod=755 run.sh:"#!/bin/sh\necho $PORT\n" conf:"port=80\n" b -> /x/
         ADD f:"" -> /f"##,
    );
}

#[test]
fn variables_in_all_their_forms() {
    check(
        r#"ARG VERSION=v1.2.3-rc.1
ARG FLAVOUR
FROM alpine:${VERSION#v} AS a
FROM debian:${FLAVOUR:-bookworm}${FLAVOUR:+-slim}
ARG VERSION
ENV V=${VERSION#v} MAJOR=${VERSION%%.*} NAME="${VERSION//./_}" REST='$VERSION' Q=\"$VERSION\"
ENV OLD style $V  with spaces
ENV E= F="" G=${E:-e} H=${E-none} I="a  b"
LABEL "com.example.version"="$V" multi="one \
two" x=${U:-"a b"}
WORKDIR /opt/${MAJOR}/${UNSET:-default}
COPY ${MAJOR}/*.txt "/x$V/"
EXPOSE $PORT ${PORT2:-443}
"#,
        &Asked { target: None, arguments: &[("FLAVOUR", "trixie")] },
        r#"0: - = debian:trixie-slim linux/arm64 {}
         ARG VERSION=v1.2.3-rc.1
         ENV V=1.2.3-rc.1 MAJOR=v1 NAME=v1_2_3-rc_1 REST=$VERSION Q="v1.2.3-rc.1"
         ENV OLD=style 1.2.3-rc.1  with spaces
         ENV E= F= G=e H=none I=a  b
         LABEL com.example.version=1.2.3-rc.1 multi=one two x=a b
         WORKDIR /opt/v1/default
         COPY v1/*.txt -> /x1.2.3-rc.1/
         EXPOSE 443/tcp"#,
    );
}

#[test]
fn triggers_are_kept_for_images_and_used_for_stages() {
    let text = "FROM python AS base\nONBUILD COPY requirements.txt /\nONBUILD RUN pip install -r \
                /requirements.txt\nENV X=1\nFROM base AS app\nCMD x\n";
    check(
        text,
        &Asked { target: Some("base"), ..Asked::default() },
        "0: base = python:latest linux/arm64 {}
         ONBUILD COPY requirements.txt /
         ONBUILD RUN pip install -r /requirements.txt
         ENV X=1",
    );
    check(
        text,
        &Asked::default(),
        "0: base = python:latest linux/arm64 {}
         ONBUILD COPY requirements.txt /
         ONBUILD RUN pip install -r /requirements.txt
         ENV X=1
         1: app = stage 0 linux/arm64 {0}
         COPY requirements.txt -> /
         RUN sh pip install -r /requirements.txt
         CMD sh x",
    );
}

#[test]
fn the_escape_character_of_windows() {
    check(
        "# escape=`\r\n\r\nFROM mcr.microsoft.com/windows/nanoserver\r\nCOPY testfile.txt c:\\\r\nRUN dir \
         c:\\ `\r\n  # no\r\n  /w\r\nENV P=c:\\x Q=a` b\r\nSHELL [\"powershell\", \"-command\"]\r\n",
        &Asked::default(),
        r#"0: - = mcr.microsoft.com/windows/nanoserver:latest linux/arm64 {}
         COPY testfile.txt -> c:\
         RUN sh dir c:\   /w
         ENV P=c:\x Q=a b
         SHELL ["powershell", "-command"]"#,
    );
}

#[test]
fn old_and_odd_forms() {
    check(
        "from busybox\nmaintainer Me <me@x>\nenv a b\nrun echo 'it''s' # not a comment\nRUN [ \"a\" ] && \
         b\nVOLUME /a /b\ncmd [\"a\", 'b']\nHEALTHCHECK NONE\nADD a b c /d/\nCOPY [\"with space\", \"/e/\"]\n\
         ONBUILD RUN --mount=type=bind,target=/x y\nRUN --network=none --security=sandbox x",
        &Asked::default(),
        r#"0: - = busybox:latest linux/arm64 {}
         MAINTAINER Me <me@x>
         ENV a=b
         RUN sh echo 'it''s' # not a comment
         RUN sh [ "a" ] && b
         VOLUME ["/a", "/b"]
         CMD sh ["a", 'b']
         HEALTHCHECK NONE
         ADD a b c -> /d/
         COPY with space -> /e/
         ONBUILD RUN --mount=type=bind,target=/x y
         RUN sh x"#,
    );
}

#[test]
fn stages_chosen_by_an_argument() {
    let text = "ARG VARIANT=dev\nFROM a AS base\nFROM base AS branch-dev\nENV MODE=dev\nFROM base AS \
                branch-prod\nENV MODE=prod\nFROM branch-${VARIANT} AS final\nLABEL mode=$MODE\n";
    check(
        text,
        &Asked { target: None, arguments: &[("VARIANT", "PROD")] },
        "0: base = a:latest linux/arm64 {}
         1: branch-prod = stage 0 linux/arm64 {0}
         ENV MODE=prod
         2: final = stage 2 linux/arm64 {2}
         LABEL mode=prod",
    );
}

#[test]
fn mounts_of_every_type() {
    check(
        "FROM a AS tools\nFROM b\nARG UID=1000\nRUN --mount=from=tools,source=/bin,target=/tools,ro \
         --mount=type=tmpfs,target=/tmp,size=64m --mount=type=secret,id=token,env=TOKEN,required \
         --mount=type=cache,id=x-$UID,target=/c,uid=$UID,sharing=private \
         --mount=\"type=bind,target=/y,from=docker.io/library/busybox\" make",
        &Asked::default(),
        r#"0: tools = a:latest linux/arm64 {}
         1: - = b:latest linux/arm64 {0}
         ARG UID=1000
         RUN bind(tools /bin /tools) tmpfs(/tmp Some(67108864)) secret(token None Some("TOKEN")) cache(x-1000 /c Private) bind(docker.io/library/busybox / /y) sh make"#,
    );
}

#[test]
fn errors_show_the_place_and_what_was_meant() {
    for (text, expected) in [
        (
            "FROM a\n\n# x\nRUN a \\\n  b\nCOPPY a b\n",
            "Dockerfile:6: unknown instruction COPPY; did you mean COPY?\n  6 | COPPY a b",
        ),
        (
            "FROM a\nCOPY --chwon=1 \\\n  a b",
            "Dockerfile:2: COPY knows no flag --chwon; did you mean chown?\n  2 | COPY --chwon=1   a b",
        ),
        (
            "FROM a AS x\nFROM b\nCOPY --from=y /a /b\nFROM c AS y",
            "Dockerfile:3: the stage y is not yet defined: it must stand before this one\n  3 | COPY \
             --from=y /a /b",
        ),
        ("", "Dockerfile: there is no instruction in the file"),
    ] {
        let error = graph(text.as_bytes(), &Asked::default()).unwrap_err().to_string();
        assert_eq!(error, expected);
    }
    let ssh = render(b"FROM a\nRUN --mount=type=ssh x\nFROM b", &Asked::default());
    assert!(ssh.is_ok(), "what is not needed may ask for what there is not");
}
