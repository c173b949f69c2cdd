//! What external builders are told and what becomes of what they say.

mod support;

use std::error::Error;
use std::fs;
use std::time::Duration;
use support::{Programs, Recorder, alive, image, request, until};
use tierce_engine::{BuildRequest, Export, ImageBuilder, Presence, Question, Status, TagKind};
use tierce_oci::{Diagnostic, ErrorKind, Platform};
use tierce_plugin::{ExternalBuilder, Limits};
use tierce_secret::{SecretValue, Secrets};
use tierce_spec::{Command, Secret, Step};

/// The whole error as users read it.
fn told(error: &(dyn Diagnostic + 'static)) -> String {
    let mut text = format!("[{}] {error}", error.code());
    let mut source = Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(" because {cause}"));
        source = cause.source();
    }
    text
}

async fn build_error(builder: &ExternalBuilder, request: &BuildRequest) -> (String, ErrorKind) {
    let error = builder.build(request, &Recorder::default().events()).await.unwrap_err();
    (told(&*error.0), error.0.kind())
}

#[tokio::test]
async fn a_build_says_what_happens_and_what_came_of_it() {
    let programs = Programs::new();
    let builder = programs
        .builder(
            r#"
            say() { printf '%s\n' "$1"; }
            say '{"event":"step-started","step":7,"kind":"fetch","title":"fetch the base"}'
            say '{"event":"step-progress","step":7,"done":1,"total":2}'
            say '{"event":"step-output","step":7,"line":"a line"}'
            say '{"event":"step-finished","step":7,"outcome":"cached","detail":"12 MB"}'
            say '{"event":"a-later-version","step":7}'
            say '{"event":"warning","code":"slow","message":"this is slow","more":[1]}'
            say '{"event":"step-started","step":8,"title":"left open"}'
            echo "for people" >&2
            sleep 0.3
            d=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
            result "{\"uri\":\"$(about uri)\",\"key\":\"$(about key)\",\"digest\":\"$d\",\"more\":1}"
            "#,
        )
        .await;
    let recorder = Recorder::default();
    let request = request(&image());
    let build = builder.build(&request, &recorder.events()).await.unwrap();
    assert_eq!((build.uri, build.status), (request.uri.clone(), Status::Built));
    assert_eq!(build.platforms.len(), 1);
    assert_eq!(Some(build.platforms[0].digest), build.digest);
    let mut lines = recorder.lines();
    // Standard error and standard output are two streams: their order is nobody's.
    let log = r#"{"event":"step-output","step":1,"stream":"stderr","line":"for people"}"#;
    lines.retain(|line| line != log);
    assert_eq!(recorder.lines().len(), lines.len() + 1);
    let title = format!("x builds {}", request.uri);
    assert_eq!(
        lines,
        [
            &format!(r#"{{"event":"step-started","step":1,"kind":"execute","title":"{title}"}}"#),
            r#"{"event":"step-started","step":2,"kind":"fetch","title":"fetch the base"}"#,
            r#"{"event":"step-progress","step":2,"done":1,"total":2}"#,
            r#"{"event":"step-output","step":2,"stream":"stdout","line":"a line"}"#,
            r#"{"event":"step-finished","step":2,"outcome":"cached","detail":"12 MB"}"#,
            r#"{"event":"warning","code":"builder/x/slow","message":"this is slow"}"#,
            r#"{"event":"step-started","step":3,"kind":"execute","title":"left open"}"#,
            r#"{"event":"step-finished","step":3,"outcome":"made","detail":null}"#,
            r#"{"event":"step-finished","step":1,"outcome":"made","detail":null}"#,
        ]
    );
}

#[tokio::test]
async fn the_request_says_everything_and_no_argument_does() {
    let programs = Programs::new();
    let out = programs.directory.path().join("request");
    let body = format!("echo \"$#\" > {0}; printf '%s' \"$request\" >> {0}; built", out.display());
    let config = serde_json::json!({"level": 3});
    let builder = programs.builder(&body).await;
    let builder = builder.with_config(config.as_object().unwrap().clone());
    let request = BuildRequest { refresh: true, ..request(&image()) };
    builder.build(&request, &Recorder::default().events()).await.unwrap();
    let text = fs::read_to_string(out).unwrap();
    let (arguments, line) = text.split_once('\n').unwrap();
    assert_eq!(arguments, "0");
    let said: serde_json::Value = serde_json::from_str(line).unwrap();
    let key = request.gathered.resolved.key();
    assert_eq!(said["tierce"], 1);
    assert_eq!(said["method"], "build");
    assert_eq!(said["uri"], request.uri);
    assert_eq!(said["key"], key.to_string());
    assert_eq!(said["platforms"], serde_json::json!(["linux/amd64"]));
    assert_eq!(said["image"]["name"], "report");
    assert_eq!(said["exports"], serde_json::json!([]));
    assert_eq!(said["force"], true);
    assert_eq!(said["config"], config);
    assert!(said.get("context").is_none() && said.get("secrets").is_none(), "{said}");
}

#[tokio::test]
async fn what_goes_wrong_is_said_with_its_output() {
    let other = r#"result '{"uri":"other:1","key":"k"}'"#;
    let key = r#"result "{\"uri\":\"$(about uri)\",\"key\":\"k\"}""#;
    let cases = [
        // The program does ..., and the error says ...
        ("echo some text >&2; exit 3", vec!["[builder/died]", "exit status: 3", "some text"]),
        ("exit 0", vec!["[builder/died]", "exit status: 0"]),
        ("kill -9 $$", vec!["[builder/died]", "signal: 9"]),
        ("built; echo after >&2; exit 1", vec!["[builder/failed-after-answer]", "after"]),
        ("echo hello", vec!["[builder/garbage]", "hello", "not a message"]),
        ("echo '[1]'", vec!["[builder/garbage]"]),
        ("echo '{}'", vec!["[builder/garbage]", "exactly one of"]),
        (r#"echo '{"result":{},"error":{"message":"x"}}'"#, vec!["[builder/garbage]"]),
        (r#"echo '{"event":"step-progress"}'"#, vec!["[builder/garbage]", "step"]),
        ("built; built", vec!["[builder/garbage]", "after the answer"]),
        (r"printf '\377\376\n'", vec!["[builder/garbage]"]),
        ("head -c 2000000 /dev/zero", vec!["[builder/flood]", "1048576 bytes in one line"]),
        (other, vec!["[builder/other-image]", "its uri is \"other:1\""]),
        (key, vec!["[builder/other-image]", "its key is \"k\""]),
        ("result '{}'", vec!["[builder/invalid-answer]", "missing field `uri`"]),
        (r#"echo '{"error":{}}'"#, vec!["[builder/garbage]", "missing field `message`"]),
    ];
    let programs = Programs::new();
    let request = request(&image());
    for (body, expected) in cases {
        let builder = programs.builder(body).await;
        let (text, kind) = build_error(&builder, &request).await;
        for part in expected {
            assert!(text.contains(part), "{body}: {text}");
        }
        assert_eq!(kind, ErrorKind::Environment, "{body}");
    }
}

#[tokio::test]
async fn a_flood_of_messages_is_stopped() {
    let programs = Programs::new();
    // 300 lines of a megabyte each: none is too long, all together are too much.
    let body = r#"
        line=$(head -c 1000000 /dev/zero | tr '\0' ' ')
        i=0
        while [ $i -lt 300 ]; do
          printf '%s\n' "$line"
          i=$((i + 1))
        done
        built"#;
    let builder = programs.builder(body).await;
    let (text, _) = build_error(&builder, &request(&image())).await;
    assert!(text.contains("[builder/flood]") && text.contains("in all"), "{text:.300}");
}

#[tokio::test]
async fn builders_report_errors_themselves() {
    let cases = [
        (r#"{"message":"it broke"}"#, ErrorKind::Step, "the builder \"x\" failed: it broke", None),
        (
            r#"{"code":"no-base","kind":"user","message":"no such base","hint":"Look."}"#,
            ErrorKind::User,
            "the builder \"x\" failed: no such base [no-base]",
            Some("Look."),
        ),
        (r#"{"kind":"upstream","message":"m"}"#, ErrorKind::Upstream, "m", None),
        (r#"{"kind":"environment","message":"m"}"#, ErrorKind::Environment, "m", None),
        (r#"{"kind":"of tomorrow","message":"m"}"#, ErrorKind::Step, "m", None),
    ];
    let programs = Programs::new();
    for (error, kind, message, hint) in cases {
        let body = format!("echo step output >&2; printf '{{\"error\":%s}}\\n' '{error}'; exit 1");
        let builder = programs.builder(&body).await;
        let events = Recorder::default().events();
        let error = builder.build(&request(&image()), &events).await.unwrap_err().0;
        assert_eq!(error.code(), "builder/failed");
        assert_eq!((error.kind(), error.hint().as_deref()), (kind, hint));
        let text = error.to_string();
        assert!(text.contains(message) && text.contains("\n    step output"), "{text}");
    }
}

#[tokio::test]
async fn silence_and_slowness_have_limits_and_leave_no_process() {
    let programs = Programs::new();
    let pids = programs.directory.path().join("pids");
    // A background process, and one that ignores SIGTERM.
    let nest = format!(
        "sleep 600 & echo $! > {0}; (trap '' TERM; sleep 600) & echo $! >> {0}; echo $$ >> {0}",
        pids.display()
    );
    let second = Duration::from_secs(1);
    let chatty = "while :; do echo still here >&2; sleep 0.1; done";
    let limits = programs.settings().limits;
    let cases = [
        ("sleep 600", Limits { idle: second, ..limits }, "said nothing for 1 s during `build`"),
        (chatty, Limits { build: Some(second), ..limits }, "took longer than 1 s for `build`"),
        ("trap '' TERM; sleep 600", Limits { idle: second, ..limits }, "said nothing"),
        ("exec >&- ; sleep 600", limits, "said nothing"),
    ];
    for (body, limits, expected) in cases {
        let path = programs.program("x", &format!("{nest}; {body}"));
        let settings = programs.settings().with_limits(limits);
        let builder = ExternalBuilder::open("x", path, settings).await.unwrap();
        let (text, _) = build_error(&builder, &request(&image())).await;
        assert!(text.contains("[builder/timed-out]") && text.contains(expected), "{text}");
        for pid in fs::read_to_string(&pids).unwrap().lines() {
            until("the process is gone", || !alive(pid));
        }
    }
}

#[tokio::test]
async fn children_end_with_their_builder_even_if_they_hold_its_outputs() {
    let programs = Programs::new();
    let pid = programs.directory.path().join("pid");
    let body = format!("sleep 600 & echo $! > {}; built", pid.display());
    let builder = programs.builder(&body).await;
    builder.build(&request(&image()), &Recorder::default().events()).await.unwrap();
    let pid = fs::read_to_string(pid).unwrap();
    until("the child is gone", || !alive(&pid));
}

#[tokio::test]
async fn an_answer_stands_even_if_the_builder_lingers() {
    let programs = Programs::new();
    let builder = programs.builder("built; sleep 600").await;
    builder.build(&request(&image()), &Recorder::default().events()).await.unwrap();
}

/// Starts a build, gives it up, and gives what the builder wrote to `file`.
fn give_up(programs: &Programs, body: &str, file: &str) -> String {
    let started = programs.directory.path().join("started");
    let _ = fs::remove_file(&started);
    let body = format!("cd {}; {body}", programs.directory.path().display());
    let path = programs.program("x", &body);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let builder = programs.open(&path).await.unwrap();
        let request = request(&image());
        let events = Recorder::default().events();
        let wait = async {
            while !started.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = builder.build(&request, &events) => panic!("it never ends by itself"),
            () = wait => {}
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(20));
    let pid = fs::read_to_string(started).unwrap();
    // The runtime waited for it.
    assert!(!alive(&pid));
    fs::read_to_string(programs.directory.path().join(file)).unwrap_or_default()
}

#[test]
fn builds_that_are_given_up_are_told_so_then_terminated_then_killed() {
    // Those that end by themselves are given the time that a busy machine takes.
    let programs = Programs { grace: Duration::from_secs(5), ..Programs::new() };
    let reads = "echo $$ > s; mv s started; IFS= read -r line; echo \"$line\" > told; exit 0";
    let told = give_up(&programs, reads, "told");
    assert_eq!(told.trim(), r#"{"tierce":1,"method":"cancel"}"#);
    let traps = "trap 'echo term > told; exit' TERM; echo $$ > s; mv s started; \
                 while :; do sleep 0.05; done";
    assert_eq!(give_up(&programs, traps, "told").trim(), "term");
    let programs = Programs::new();
    let deaf = "trap '' TERM; echo $$ > s; mv s started; while :; do sleep 0.05; done";
    give_up(&programs, deaf, "told");
}

#[tokio::test]
async fn describing_has_its_own_errors() {
    let describe = |json: &str| format!("#!/bin/sh\necho '{{\"result\":{json}}}'");
    let newer = describe(r#"{"protocol":[2,3],"shape":"of tomorrow"}"#);
    let older = describe(r#"{"name":"x","version":"1","protocol":[0]}"#);
    let both = describe(r#"{"name":"x","version":"1","protocol":[1,2]}"#);
    let nameless = describe(r#"{"version":"1","protocol":[1]}"#);
    let schema = describe(
        r#"{"name":"x","version":"1","protocol":[1],"config":{"properties":{"a":{"type":"string","pattern":"x"}}}}"#,
    );
    let needs = describe(r#"{"name":"x","version":"1","protocol":[1],"needs":["a moon"]}"#);
    let platforms = describe(
        r#"{"name":"x","version":"1","protocol":[1],"capabilities":{"platforms":["moon"]}}"#,
    );
    let programs = Programs::new();
    let cases = [
        (newer.as_str(), "[builder/protocol-version]", "Update tierce"),
        (&older, "[builder/protocol-version]", "Update the builder"),
        (&nameless, "[builder/invalid-answer]", "missing field `name`"),
        (&schema, "[builder/invalid-schema]", "keyword \"pattern\" is not supported"),
        (&needs, "[builder/invalid-answer]", "a moon"),
        (&platforms, "[builder/invalid-answer]", "moon"),
        ("#!/nowhere/at/all\n", "[builder/cannot-start]", "#!"),
        ("#!/bin/sh\nexit 1\n", "[builder/died]", "`describe`"),
    ];
    for (text, code, part) in cases {
        let error = programs.open(&programs.raw("x", text)).await.err().expect(text);
        let text = format!("{} {}", told(&error), error.hint().unwrap_or_default());
        assert!(text.contains(code) && text.contains(part), "{text}");
    }
    assert!(programs.open(&programs.raw("x", &both)).await.is_ok());
}

#[tokio::test]
async fn checks_tell_or_cannot_tell() {
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let present = format!(r#"result '{{"presence":"present","digest":"{digest}"}}'"#);
    let unknown = r#"result '{"presence":"unknown","message":"no route to host"}'"#;
    let cases = [
        (present.as_str(), "present"),
        (r#"result '{"presence":"absent"}'"#, "absent"),
        (unknown, "cannot tell whether localhost/report:1 exists: no route to host"),
        (r#"result '{"presence":"present"}'"#, "not its digest"),
        (r#"result '{"presence":"perhaps"}'"#, "perhaps"),
        ("echo '{\"error\":{\"message\":\"m\"}}'", "failed: m"),
        ("exit 1", "ended without an answer to `check`"),
    ];
    let programs = Programs::new();
    for (body, expected) in cases {
        let builder = programs.builder(body).await;
        let checkers = builder.checkers(&[], None);
        assert_eq!(checkers.len(), 1);
        let reference = "localhost/report:1".parse().unwrap();
        let platforms = &[Platform::linux("amd64")];
        let question = Question { reference: &reference, platforms, tag: TagKind::OfKey };
        let found = match checkers[0].check(question).await {
            Presence::Present(root) => {
                assert_eq!(root.digest.to_string(), digest);
                "present".into()
            }
            Presence::Absent => "absent".into(),
            Presence::Vouched(uri) => format!("vouched for: {uri}"),
            Presence::Unknown(error) => told(&*error),
        };
        assert!(found.contains(expected), "{body}: {found}");
    }
}

#[tokio::test]
async fn exports_and_platforms_have_to_be_there() {
    let programs = Programs::new();
    let layout = programs.directory.path().join("layout");
    let pushed = Export::Push("localhost:1/report:1".parse().unwrap());
    let builder = programs.builder("built").await;
    let with = |exports| BuildRequest { exports, ..request(&image()) };
    let (text, _) = build_error(&builder, &with(vec![Export::OciLayout(layout.clone())])).await;
    assert!(text.contains("[builder/no-output]") && text.contains("layout was not written"));
    let (text, _) = build_error(&builder, &with(vec![pushed])).await;
    assert!(text.contains("no digest"), "{text}");
    let several = BuildRequest {
        platforms: vec![Platform::linux("amd64"), Platform::linux("arm64")],
        ..request(&image())
    };
    let (text, _) = build_error(&builder, &several).await;
    assert!(text.contains("it is for no platform, and the image was to be built for"), "{text}");
}

#[tokio::test]
async fn no_secret_comes_back() {
    let programs = Programs::new();
    let body = r#"
        value=$(expr "$request" : '.*"value":"\([^"]*\)"' | base64 -d)
        printf '{"event":"warning","code":"%s","message":"the value is %s"}\n' "$value" "$value"
        printf '{"event":"step-started","step":1,"title":"use %s"}\n' "$value"
        printf '{"event":"step-output","step":1,"line":"got %s"}\n' "$value"
        echo "log $value" >&2
        sleep 0.2
        printf '{"error":{"code":"c","message":"failed with %s","hint":"try %s"}}\n' "$value" "$value"
    "#;
    let builder = programs.builder(body).await;
    let secret = Secret::new("token").with_group("pypi");
    let value = "correct-horse-battery";
    let step = tierce_spec::Commands {
        commands: vec![Command::from("true")],
        secrets: vec![secret.clone()],
        network: Default::default(),
    };
    let request = BuildRequest {
        secrets: Secrets::new([(secret.id(), SecretValue::new(value))]),
        ..request(&image().with_step(Step::Commands(step)))
    };
    let recorder = Recorder::default();
    let error = builder.build(&request, &recorder.events()).await.unwrap_err().0;
    let all = format!("{:?} {} {error:?} {:?}", recorder.lines(), told(&*error), error.hint());
    assert!(all.contains("failed with"), "{all}");
    assert!(!all.contains(value), "{all}");
}

#[tokio::test]
async fn a_builder_does_not_inherit_the_variables_of_secrets() {
    let programs = Programs::new();
    let seen = programs.directory.path().join("seen");
    let builder = programs.builder(&format!("env > '{}'\nbuilt", seen.display())).await;
    // A variable that every process of a test has.
    let secret = Secret::new("cargo_manifest_dir");
    let mut request = request(&image());
    builder.build(&request, &Recorder::default().events()).await.unwrap();
    assert!(fs::read_to_string(&seen).unwrap().contains("\nCARGO_MANIFEST_DIR="));
    request.secrets = Secrets::new([(secret.id(), SecretValue::new("a-canary"))]);
    builder.build(&request, &Recorder::default().events()).await.unwrap();
    assert!(!fs::read_to_string(&seen).unwrap().contains("CARGO_MANIFEST_DIR="));
}
