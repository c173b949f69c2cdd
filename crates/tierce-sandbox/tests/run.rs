//! What a program sees, and how it ends.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Base, chain, helper, path, run, sandboxes, write_layer};
use tierce_layer::Entry;
use tierce_sandbox::{
    Cancel, Exit, IdMapping, Mount, Network, Process, RunError, Sandbox, SecretFile,
    SecretVariable, probe,
};

/// Runs `test` with every mapping that can be had here.
fn each(test: impl Fn(Base)) {
    for sandbox in sandboxes() {
        let dir = tempfile::tempdir().unwrap();
        let Some(base) = Base::new(sandbox, dir.path()) else { return };
        test(base);
    }
}

#[test]
fn the_machine_is_probed() {
    let dir = tempfile::tempdir().unwrap();
    let report = probe(&helper(), dir.path());
    for check in &report.checks {
        eprintln!("{}: {:?} {:?}", check.name, check.result, check.hint);
    }
    let sandbox = Sandbox::new(helper(), dir.path()).unwrap();
    assert_eq!(report.mapping, Some(sandbox.mapping()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn ends_are_reported() {
    each(|base| {
        let cases = [
            ("exit 0", Exit::Code(0)),
            ("exit 42", Exit::Code(42)),
            ("kill -9 $$", Exit::Signal(9)),
            ("sleep 1000 & exit 3", Exit::Code(3)),
        ];
        for (script, exit) in cases {
            assert_eq!(base.run(script).exit, exit, "{script}");
        }
    });
}

#[test]
fn output_is_captured_apart_and_whole() {
    each(|base| {
        let outcome = base.run("echo out; echo err >&2; seq 1 100000");
        assert_eq!(outcome.stderr, "err\n");
        assert_eq!(outcome.stdout.lines().count(), 100_001);
        assert!(outcome.stdout.ends_with("99999\n100000\n"));
    });
}

#[test]
fn a_program_sees_only_what_it_should() {
    each(|base| {
        let (_, lines) = base.layer_of(
            "test $$ -lt 10
             test \"$(id -u):$(id -g)\" = 0:0
             test \"$(umask)\" = 0022
             test \"$(hostname)\" = tierce
             test \"$HOME\" = /root; test -n \"$PATH\"; test -z \"${SSL_CERT_FILE-}\"
             test \"$(ls /proc | grep -c '^[0-9]')\" -lt 8
             ls -l /proc/self/fd | grep -v 'self/fd\\|/proc/[0-9]*/fd' | grep -c ' [3-9] -> ' && exit 1
             cat /dev/null; head -c 4 /dev/zero >/dev/shm/x; test -c /dev/urandom; test -c /dev/tty
             test -d /dev/pts; test -L /dev/stdin; test ! -e /dev/vda; test ! -e /dev/mem
             cat </dev/tty && exit 1
             cat /etc/hosts | grep -q localhost; test \"$(cat /etc/hostname)\" = tierce
             test -e /etc/resolv.conf
             echo 1 >/proc/sys/vm/drop_caches && exit 1
             echo b >/proc/sysrq-trigger && exit 1
             mkdir /sys/x && exit 1
             test \"$(head -c 1 /proc/kcore | wc -c)\" = 0
             mount -t tmpfs x /tmp && exit 1
             umount /proc && exit 1
             unshare -r true && exit 1
             hostname other && exit 1
             mkdir /x; mknod /x/d c 1 3 && exit 1
             rmdir /x",
        );
        assert_eq!(lines, Vec::<String>::new(), "traces were left");
    });
}

#[test]
fn devices_work() {
    each(|base| {
        let outcome = base.run(
            "echo gone >/dev/null; echo gone >>/dev/null; cat /dev/null
             (echo 1 >/dev/full) 2>/dev/null && echo full has space
             for name in random urandom zero; do head -c 4 /dev/$name | wc -c; done
             head -c 2 /dev/zero | od -An -tx1; echo entropy >/dev/urandom; dd if=/dev/zero \
             of=/dev/null bs=1k count=1 2>/dev/null; echo out >/dev/stdout; echo err >/dev/stderr
             echo out >/dev/fd/1; (echo 1 >/dev/tty) 2>&1 | grep -c 'No such device or address'",
        );
        assert_eq!(outcome.stdout, "4\n4\n4\n 00 00\nout\nout\n1\n", "{}", outcome.stderr);
        assert_eq!((outcome.exit, outcome.stderr.as_str()), (Exit::Code(0), "err\n"));
    });
}

#[test]
fn networks() {
    each(|base| {
        let mut process = base.shell(
            "ip -o link | wc -l; ip -o link | grep -c 'lo.*UP'; \
             wc -c </etc/resolv.conf",
        );
        process.network = Network::None;
        assert_eq!(run(&base.sandbox, &process).stdout, "1\n1\n0\n");
    });
}

#[test]
fn time_limits_and_cancellation_kill_everything() {
    each(|base| {
        let mut process = base.shell("trap '' TERM INT; sleep 1000 & sleep 1000");
        process.time_limit = Some(Duration::from_millis(300));
        assert_eq!(run(&base.sandbox, &process).exit, Exit::TimedOut);
        process.time_limit = None;
        process.argv[2] = "echo started; sleep 1000".to_owned();
        let cancel = Cancel::new();
        let exit = base.sandbox.run(&process, &mut |_, _| cancel.cancel(), &cancel).unwrap();
        assert_eq!(exit, Exit::Cancelled);
        // Once and for all.
        let again = base.sandbox.run(&process, &mut |_, _| {}, &cancel).unwrap();
        assert_eq!(again, Exit::Cancelled);
    });
}

#[test]
fn users_are_looked_up_in_the_image() {
    each(|base| {
        let cases = [
            ("", "0 0 0"),
            ("app", "1000 1001 1001 44"),
            ("1000", "1000 1001 1001 44"),
            ("app:mail", "1000 8 8"),
            ("1234:5678", "1234 5678 5678"),
            ("1234", "1234 0 0"),
        ];
        for (user, ids) in cases {
            let mut process = base.shell("echo $(id -u) $(id -g) $(id -G)");
            process.user = user.to_owned();
            let outcome = run(&base.sandbox, &process);
            let mut found = outcome.stdout.trim().to_owned();
            if user == "app" || user == "1000" {
                // The order of groups says nothing.
                found = found.replace("44 1001", "1001 44");
            }
            assert_eq!(found, ids, "{} {user}: {}", base.sandbox.describe(), outcome.stderr);
        }
        for user in ["nobody", "app:nobody"] {
            let mut process = base.shell("true");
            process.user = user.to_owned();
            let error = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new()).unwrap_err();
            assert!(matches!(error, RunError::NoSuchUser { .. }), "{error}");
        }
    });
}

#[test]
fn programs_that_cannot_be_run_are_errors() {
    each(|base| {
        let try_run = |argv: &[&str]| {
            let mut process = base.shell("");
            process.argv = argv.iter().map(|arg| (*arg).to_owned()).collect();
            base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new()).unwrap_err()
        };
        assert!(matches!(try_run(&["nothing"]), RunError::NotFound { .. }));
        assert!(matches!(try_run(&["/nothing"]), RunError::NotFound { .. }));
        assert!(matches!(try_run(&["/etc/passwd"]), RunError::Execute { .. }));
        assert!(matches!(try_run(&[]), RunError::NoCommand));
    });
}

#[test]
fn mounts_leave_nothing_behind() {
    each(|base| {
        let cache = base.dir.join("cache");
        let file = base.dir.join("file");
        fs::write(&file, "from the host\n").unwrap();
        let bind = |target: &str, read_only| Mount::Bind {
            source: file.clone(),
            target: target.to_owned(),
            read_only,
        };
        let mut process = base.shell(
            "echo kept >/var/cache/apt/x; cat /etc/new/deep/file; cat /run/secrets/s
             echo no 2>/dev/null >/run/secrets/s && exit 1
             echo gone >/scratch/dir/x; echo mine >/var/cache/own; test -s $SSL_CERT_FILE
             rm -rf /var/cache/apt 2>/dev/null || true; test -d /var/cache/apt",
        );
        process.ca_bundle = Some(file.clone());
        process.mounts = vec![
            Mount::Cache { source: cache.clone(), target: "/var/cache/apt".to_owned() },
            bind("/etc/new/deep/file", false),
            bind("/run/secrets/s", true),
            Mount::Tmpfs { target: "/scratch/dir".to_owned() },
        ];
        let started = support::now();
        let outcome = run(&base.sandbox, &process);
        assert_eq!(outcome.exit, Exit::Code(0), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "from the host\nfrom the host\n");
        let options = tierce_sandbox::DiffOptions::new(base.lowers.clone(), started);
        let (_, lines) = base.diff(&options);
        assert_eq!(
            lines,
            [
                "var 755 0:0 @315532800 dir",
                "var/cache 755 0:0 @315532800 dir",
                "var/cache/own 644 0:0 @315532800 file \"mine\\n\"",
            ]
        );
        base.sandbox.remove(&cache).unwrap();
    });
}

#[test]
fn a_scratch_directory_serves_several_runs_and_as_a_layer() {
    each(|base| {
        base.run("echo 1 >/etc/one; rm -rf /usr/share/old; chown 5:6 /etc/one");
        base.run("test -e /etc/one; rm /etc/one; rm -r /home; mkdir /home; echo 3 >/etc/three");
        // What the first run left hides what is put below it, so that this mount point has to be
        // made in it.
        let started = support::now();
        let mut process = base.shell("cat /home/deep/file; test ! -e /usr/share/old");
        let file = base.dir.join("file");
        fs::write(&file, "from the host\n").unwrap();
        let target = "/home/deep/file".to_owned();
        process.mounts = vec![Mount::Bind { source: file, target, read_only: false }];
        assert_eq!(run(&base.sandbox, &process).stdout, "from the host\n");
        let mut second = base.shell("ls /etc; ls /home");
        second.lowers.push(base.dir.join("scratch"));
        second.scratch = base.dir.join("second");
        assert!(run(&base.sandbox, &second).stdout.contains("group\nhostname\nhosts"));
        base.sandbox.remove(&second.scratch).unwrap();
        let options = tierce_sandbox::DiffOptions::new(base.lowers.clone(), started - 100);
        let (_, lines) = base.diff(&options);
        let names: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(
            names,
            [
                "etc",
                "etc/three",
                "home",
                "home/.wh..wh..opq",
                "usr",
                "usr/share",
                "usr/share/.wh.old",
            ]
        );
    });
}

#[test]
fn directories_that_a_layer_only_implies_keep_their_description() {
    each(|base| {
        let blob = base.dir.join("implied.tar.gz");
        let entries = [
            (Entry::file(path("tmp/in"), 0), b"".as_slice()),
            (Entry::file(path("var/mail/box"), 0), b""),
            (Entry::file(path("root/x"), 0), b""),
        ];
        write_layer(&blob, &entries);
        let layer = base.dir.join("implied");
        base.sandbox.unpack(&blob, &layer).unwrap_or_else(|error| panic!("{}", chain(&error)));
        let mut process: Process = base.shell("stat -c '%a %n' / /tmp /root /var/mail /tmp/in");
        process.lowers.push(layer.clone());
        let outcome = run(&base.sandbox, &process);
        assert_eq!(outcome.stdout, "755 /\n1777 /tmp\n700 /root\n2775 /var/mail\n644 /tmp/in\n");
        base.sandbox.remove(&layer).unwrap();
    });
}

/// Unpacks a layer beside the base.
fn unpack(base: &Base, name: &str, entries: &[(Entry, &[u8])]) -> PathBuf {
    let (blob, layer) = (base.dir.join(format!("{name}.tar.gz")), base.dir.join(name));
    write_layer(&blob, entries);
    base.sandbox.unpack(&blob, &layer).unwrap_or_else(|error| panic!("{}", chain(&error)));
    layer
}

#[test]
fn layers_may_be_there_several_times() {
    each(|base| {
        let file = |name: &str| (Entry::file(path(name), 2), b"1\n".as_slice());
        let other = |name: &str| (Entry::file(path(name), 2), b"2\n".as_slice());
        let empty = |name: &str| (Entry::file(path(name), 0), b"".as_slice());
        let directory = |name: &str, mode| {
            (Entry::directory(path(name)).with_mode(mode).with_owner(7, 8), b"".as_slice())
        };
        let repeated = [
            directory("opt", 0o750),
            file("opt/kept"),
            file("opt/removed"),
            file("etc/implied"),
            empty("usr/share/.wh.link"),
            directory("usr/share/old", 0o711),
            empty("usr/share/old/.wh..wh..opq"),
            file("usr/share/old/new"),
            file("srv"),
        ];
        let between = [
            directory("opt", 0o700),
            empty("opt/.wh.removed"),
            other("opt/kept"),
            other("opt/between"),
            other("usr/share/link"),
            other("usr/share/old/between"),
            empty(".wh.srv"),
            other("srv/between"),
        ];
        let repeated = unpack(&base, "repeated", &repeated);
        let between = unpack(&base, "between", &between);
        let nothing = unpack(&base, "nothing", &[]);
        let stack = |layers: &[&PathBuf]| -> Vec<PathBuf> {
            base.lowers.iter().chain(layers.iter().copied()).cloned().collect()
        };
        let script = "cd /; find opt srv usr/share | sort | while read f; do
                          stat -c '%a %u:%g %n' $f; test -d $f || cat $f; done; cat etc/implied";
        let seen = |lowers: Vec<PathBuf>| {
            let mut process = base.shell(script);
            process.lowers = lowers.clone();
            let outcome = run(&base.sandbox, &process);
            assert_eq!(outcome.exit, Exit::Code(0), "{}", outcome.stderr);
            let options = tierce_sandbox::DiffOptions::new(lowers, support::now());
            assert_eq!(base.diff(&options).0, None);
            outcome.stdout
        };
        let expected = "750 7:8 opt\n644 0:0 opt/between\n2\n644 0:0 opt/kept\n1\n\
             644 0:0 opt/removed\n1\n644 0:0 srv\n1\n755 0:0 usr/share\n\
             644 1000:1001 usr/share/hard\nx\n711 7:8 usr/share/old\n644 0:0 usr/share/old/new\n1\n\
             1\n";
        assert_eq!(seen(stack(&[&repeated, &between, &repeated])), expected);
        let stacks: [&[&PathBuf]; 3] = [
            &[&nothing, &repeated, &nothing, &between, &nothing, &repeated],
            &[&repeated, &repeated, &between, &between, &repeated, &repeated],
            &[&between, &repeated],
        ];
        for layers in stacks {
            assert_eq!(seen(stack(layers)), expected);
        }
        // What the overlay shows and what changes are compared with are the same.
        let lowers = stack(&[&nothing, &nothing, &repeated, &between, &repeated, &nothing]);
        let mut process = base.shell(
            "rm -r /opt/between /usr/share/old; cp -p /opt/kept /k; mv /k /opt/kept; rm /srv",
        );
        process.lowers = lowers.clone();
        assert_eq!(run(&base.sandbox, &process).exit, Exit::Code(0));
        let (_, lines) = base.diff(&tierce_sandbox::DiffOptions::new(lowers, support::now()));
        let names: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        let expected =
            ["opt", "opt/.wh.between", ".wh.srv", "usr", "usr/share", "usr/share/.wh.old"];
        assert_eq!(names, expected);
        for layer in [repeated, between, nothing] {
            base.sandbox.remove(&layer).unwrap();
        }
    });
}

#[test]
fn paths_may_be_left_out() {
    each(|base| {
        base.run("mkdir -p /var/log/apt; echo 1 >/var/log/apt/x.log; echo 2 >/var/log/keep");
        let mut options = tierce_sandbox::DiffOptions::new(base.lowers.clone(), support::now());
        options.omit = vec!["var/log/**/*.log".to_owned()];
        options.started -= 100;
        let (_, lines) = base.diff(&options);
        let names: Vec<PathBuf> =
            lines.iter().map(|line| line.split(' ').next().unwrap().into()).collect();
        let expected = ["var", "var/log", "var/log/apt", "var/log/keep"].map(PathBuf::from);
        assert_eq!(names, expected);
    });
}

/// A run with inherited output, of which only the end is told.
#[derive(serde::Serialize, serde::Deserialize)]
struct Inherited {
    base: PathBuf,
    scratch: PathBuf,
    script: String,
    mapping: IdMapping,
}

#[test]
#[ignore = "the other side of a test that kills it"]
fn driver() {
    support::given(|given: Inherited| {
        let sandbox = Sandbox::with_mapping(helper(), given.mapping);
        let mut process = support::shell(&[given.base], given.scratch, &given.script);
        process.stdio = tierce_sandbox::Stdio::Inherit;
        sandbox.run(&process, &mut |_, _| {}, &Cancel::new()).unwrap()
    });
}

#[test]
fn nothing_outlives_whoever_started_it() {
    each(|base| {
        let file = base.dir.join("given");
        let given = Inherited {
            base: base.lowers[0].clone(),
            scratch: base.dir.join("scratch"),
            script: "trap '' HUP INT TERM; sleep 1000 & cat; echo ready; sleep 1000".to_owned(),
            mapping: base.sandbox.mapping(),
        };
        fs::write(&file, serde_json::to_vec(&given).unwrap()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "driver", "--nocapture", "--ignored"])
            .env(support::SCENARIOS, &file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"inherited\n").unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (mut seen, mut line) = (String::new(), String::new());
        while !seen.ends_with("ready\n") {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "{seen}");
            seen += &line;
        }
        assert!(seen.contains("inherited\n"), "{seen}");
        child.kill().unwrap();
        child.wait().unwrap();
        // Ends when the last process that could write to it is gone.
        output.read_to_string(&mut seen).unwrap();
    });
}

#[test]
fn secrets_are_their_users_alone() {
    each(|base| {
        let mut process = base.shell(
            "test \"$(cat /home/key)\" = s3cret; test \"$(id -u)\" = 1000
             test \"$(tr '\\0' '\\n' </proc/$$/environ | grep TOKEN | od -An -tx1 | tr -d ' \\n')\" = 544f4b454e3dff0a
             test -e /etc/absent/x",
        );
        process.user = "app".into();
        process.secret_files =
            vec![SecretFile::new("/home/key", b"s3cret"), SecretFile::new("/etc/absent/x", b"")];
        process.secret_env = vec![SecretVariable::new("TOKEN", b"\xff")];
        assert_eq!(run(&base.sandbox, &process).exit, Exit::Code(0), "{}", base.sandbox.describe());
        if base.sandbox.mapping() != IdMapping::Single {
            process.argv[2] = "test \"$(stat -c %u:%g:%a /home/key)\" = 1000:1001:400".into();
            assert_eq!(run(&base.sandbox, &process).exit, Exit::Code(0));
            process.secret_files.pop();
            process.user = String::new();
            process.argv[2] =
                "chmod 755 /home; su app -c 'cat /home/key' 2>/dev/null && exit 1; true".into();
            assert_eq!(run(&base.sandbox, &process).exit, Exit::Code(0));
        }
        // No process without them sees anything of them.
        let after = base.run("test ! -e /etc/absent/x; test ! -e /home/key; test -z \"${TOKEN-}\"");
        assert_eq!(after.exit, Exit::Code(0));
    });
}

#[test]
fn secrets_that_cannot_be_given_are_errors() {
    let Some(sandbox) = sandboxes().pop() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(base) = Base::new(sandbox, dir.path()) else { return };
    let mut process = base.shell("true");
    process.secret_env = vec![SecretVariable::new("TOKEN", b"a\0b")];
    let error = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new()).unwrap_err();
    assert!(matches!(&error, RunError::Variable { name, .. } if name == "TOKEN"), "{error:?}");
    process.secret_env.clear();
    process.secret_files = vec![SecretFile::new("/etc", b"s3cret")];
    let error = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new()).unwrap_err();
    assert!(matches!(&error, RunError::Mount { target, .. } if target == "/etc"), "{error:?}");
    assert!(!format!("{process:?} {error:?}").contains("s3cret"));
}
