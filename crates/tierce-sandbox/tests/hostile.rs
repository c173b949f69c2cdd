//! Layers, images and steps that try to get out: nothing of the host is touched.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use support::{Base, RawTar, chain, path, run, sandbox, sandboxes, write_layer};
use tierce_layer::{Entry, EntryKind};
use tierce_oci::Diagnostic;
use tierce_sandbox::{Cancel, DiffError, Exit, Mount, RunError, Stdio, UnpackError};

/// A directory of the host with a file that must stay as it is.
struct Canary(tempfile::TempDir, u32);

impl Canary {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "canary").unwrap();
        let mode = fs::metadata(dir.path()).unwrap().mode();
        Canary(dir, mode)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn str(&self) -> &str {
        self.path().to_str().unwrap()
    }

    fn check(&self) {
        let file = self.path().join("file");
        assert_eq!(fs::read(&file).unwrap(), b"canary");
        let names: Vec<_> = fs::read_dir(self.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(names, std::slice::from_ref(&file));
        let stat = fs::metadata(&file).unwrap();
        assert_eq!((stat.mode() & 0o7777, stat.nlink()), (0o644, 1));
        assert_eq!(fs::metadata(self.path()).unwrap().mode(), self.1);
    }
}

/// Unpacks an archive and gives what became of it.
fn unpack(archive: RawTar) -> Result<(), UnpackError> {
    let dir = tempfile::tempdir().unwrap();
    let blob = dir.path().join("layer.tar");
    archive.write(&blob);
    let result = sandbox().unpack(&blob, &dir.path().join("layer"));
    sandbox().remove(&dir.path().join("layer")).unwrap();
    result.map(|_| ())
}

#[test]
fn parents_that_are_links_are_refused() {
    let canary = Canary::new();
    let planted = |to: &str| RawTar::new().add("etc", b'2', to, b"");
    for to in [canary.str(), "..", ".", "usr"] {
        let attempts = [
            planted(to).add("etc/file", b'0', "", b"written"),
            planted(to).add("etc/new/", b'5', "", b""),
            planted(to).add("etc/new/deep/file", b'0', "", b"written"),
            planted(to).add("etc/new", b'2', "x", b""),
            planted(to).add("etc/new", b'6', "", b""),
            planted(to).add("etc/.wh.file", b'0', "", b""),
            planted(to).add("etc/.wh..wh..opq", b'0', "", b""),
        ];
        for attempt in attempts {
            let error = unpack(attempt).unwrap_err();
            assert!(matches!(error, UnpackError::NotBelow { .. }), "{}", chain(&error));
            canary.check();
        }
    }
}

#[test]
fn a_link_is_replaced_not_followed() {
    let canary = Canary::new();
    let target = format!("{}/file", canary.str());
    unpack(RawTar::new().add("f", b'2', &target, b"").add("f", b'0', "", b"new")).unwrap();
    unpack(RawTar::new().add("d", b'2', canary.str(), b"").add("d/", b'5', "", b"")).unwrap();
    canary.check();
}

#[test]
fn hard_links_stay_inside() {
    let canary = Canary::new();
    let target = format!("{}/file", canary.str());
    let attempts = [
        RawTar::new().add("h", b'1', &target, b""),
        RawTar::new().add("h", b'1', "nothing", b""),
        RawTar::new().add("d/", b'5', "", b"").add("h", b'1', "d", b""),
        RawTar::new().add("d", b'2', canary.str(), b"").add("h", b'1', "d/file", b""),
    ];
    for attempt in attempts {
        let error = unpack(attempt).unwrap_err();
        assert!(matches!(error, UnpackError::HardLink { .. }), "{}", chain(&error));
    }
    assert!(unpack(RawTar::new().add("h", b'1', "../../file", b"")).is_err());
    // A link's other name is a link.
    unpack(RawTar::new().add("l", b'2', &target, b"").add("h", b'1', "l", b"")).unwrap();
    canary.check();
}

#[test]
fn paths_and_roots_that_are_none_are_refused() {
    let attempts = [
        RawTar::new().add("../f", b'0', "", b"x"),
        RawTar::new().add("a/../../f", b'0', "", b"x"),
        RawTar::new().add(".", b'2', "/tmp", b""),
        RawTar::new().add(".", b'0', "", b""),
        RawTar::new().add(".wh.", b'0', "", b""),
        RawTar::new().add("a/.wh..", b'0', "", b""),
        RawTar::new().add("a/.wh...", b'0', "", b""),
        RawTar::new().add(".wh.a/b", b'0', "", b""),
    ];
    for (index, attempt) in attempts.into_iter().enumerate() {
        let error = unpack(attempt).expect_err(&format!("attempt {index}"));
        assert!(error.code().starts_with("unpack/"), "{}", chain(&error));
    }
    unpack(RawTar::new().add("/etc/f", b'0', "", b"x").add(".wh..wh..opq", b'0', "", b"")).unwrap();
}

#[test]
fn attributes_of_the_sandbox_are_refused_in_layers() {
    for name in ["user.overlay.opaque", "user.overlay.redirect", "user.tierce.owner"] {
        for kind in [EntryKind::File { size: 0 }, EntryKind::Directory, EntryKind::Fifo] {
            let dir = tempfile::tempdir().unwrap();
            let mut entry = Entry::new(path("f"), kind, 0o755);
            entry.xattrs.insert(name.to_owned(), b"y".to_vec());
            write_layer(&dir.path().join("layer"), &[(entry, b"")]);
            let dest = dir.path().join("dest");
            let error = sandbox().unpack(&dir.path().join("layer"), &dest).unwrap_err();
            assert!(matches!(error, UnpackError::Attribute { .. }), "{}", chain(&error));
            sandbox().remove(&dest).unwrap();
        }
    }
}

#[test]
fn devices_are_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let device = EntryKind::CharDevice { major: 1, minor: 3 };
    let entries = [(Entry::new(path("dev/null"), device, 0o666), b"".as_slice())];
    write_layer(&dir.path().join("layer"), &entries);
    let dest = dir.path().join("dest");
    let unpacked = sandbox().unpack(&dir.path().join("layer"), &dest).unwrap();
    assert_eq!(unpacked.skipped_devices, 1);
    assert!(!tierce_sandbox::tree(&dest).join("dev/null").exists());
    sandbox().remove(&dest).unwrap();
}

#[test]
fn a_layer_is_unpacked_into_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let canary = Canary::new();
    let blob = dir.path().join("layer");
    RawTar::new().add("f", b'0', "", b"x").write(&blob);
    symlink(canary.path(), dir.path().join("link")).unwrap();
    for dest in [canary.path(), &dir.path().join("link")] {
        let error = sandbox().unpack(&blob, dest).unwrap_err();
        assert!(matches!(error, UnpackError::Destination { .. }), "{}", chain(&error));
    }
    canary.check();
}

#[test]
fn truncated_layers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let blob = dir.path().join("layer");
    write_layer(&blob, &[(Entry::file(path("f"), 3), b"abc".as_slice())]);
    let bytes = fs::read(&blob).unwrap();
    for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&blob, &bytes[..length]).unwrap();
        let dest = dir.path().join("dest");
        let error = sandbox().unpack(&blob, &dest).unwrap_err();
        assert!(matches!(error, UnpackError::Read(_)), "{length}: {}", chain(&error));
        sandbox().remove(&dest).unwrap();
    }
}

/// Runs `test` with every mapping that can be had here.
fn each(test: impl Fn(Base)) {
    for sandbox in sandboxes() {
        let dir = tempfile::tempdir().unwrap();
        let Some(base) = Base::new(sandbox, dir.path()) else { return };
        test(base);
    }
}

#[test]
fn mount_points_that_are_links_stay_inside() {
    each(|base| {
        let canary = Canary::new();
        let blob = base.dir.join("links.tar");
        let outside = format!("/../../../..{}", canary.str());
        RawTar::new()
            .add("dev", b'2', &outside, b"")
            .add("proc", b'2', canary.str(), b"")
            .add("etc/resolv.conf", b'2', &format!("{outside}/file"), b"")
            .add("etc/hosts", b'2', "../../../run/nowhere/hosts", b"")
            .add("cache", b'2', canary.str(), b"")
            .write(&blob);
        let layer = base.dir.join("links");
        base.sandbox.unpack(&blob, &layer).unwrap();
        let cache = base.dir.join("cache");
        let mut process = base.shell(
            "echo 1 >/cache/new; echo 1 >/dev/x; grep -q localhost /run/nowhere/hosts; ls /proc/self",
        );
        process.lowers.push(layer.clone());
        process.mounts = vec![Mount::Cache { source: cache, target: "/cache".to_owned() }];
        // Whether it works depends on what lies over what; it must not get out.
        let _ = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new());
        canary.check();
        for name in ["links", "cache"] {
            base.sandbox.remove(&base.dir.join(name)).unwrap();
        }
    });
}

/// A shell function that reports whatever it can change of files.
const CHANGE: &str = "\
change() {
    for f; do
        test -e $f || continue
        for by in 'chmod 604' 'chmod u+s' 'chown 7:8' 'chgrp 9' 'touch -d @978307200'; do
            $by $f 2>/dev/null && echo $by $f
        done
    done
    true
}
";

/// All that a change to a file leaves in its inode: mode, owner, times of change.
fn inode(path: &Path) -> (u32, u32, u32, (i64, i64), (i64, i64)) {
    let stat = fs::metadata(path).unwrap();
    let times = ((stat.mtime(), stat.mtime_nsec()), (stat.ctime(), stat.ctime_nsec()));
    (stat.mode(), stat.uid(), stat.gid(), times.0, times.1)
}

#[test]
fn files_of_the_host_keep_their_attributes() {
    const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];
    each(|base| {
        let canary = Canary::new();
        let resolver = base.dir.join("resolv.conf");
        fs::write(&resolver, "nameserver 127.0.0.1\n").unwrap();
        let mut shown: Vec<_> = DEVICES.map(|name| Path::new("/dev").join(name)).to_vec();
        shown.extend(["/sys", "/sys/kernel", "/proc/version"].map(Into::into));
        shown.extend([canary.path().to_owned(), canary.path().join("file"), resolver.clone()]);
        let before: Vec<_> = shown.iter().map(|path| inode(path)).collect();
        let mut process = base.shell(
            &[
                CHANGE,
                // Open files are tried, too.
                "exec 7<>/dev/null 8>/dev/full 9</dev/urandom
             cd /dev
             change full null random tty urandom zero
             change /proc/self/fd/0 /proc/self/fd/7 /proc/self/fd/8 /proc/self/fd/9 /proc/1/fd/0
             change /sys /sys/kernel /sys/kernel/uevent_helper /sys/fs/cgroup /mnt /mnt/file /one
             change /proc /proc/acpi /proc/bus /proc/cmdline /proc/kcore /proc/keys /proc/meminfo
             change /proc/net/dev /proc/self/net/tcp /proc/sys /proc/sys/kernel /proc/timer_list
             change /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/version
             chmod 600 /etc/resolv.conf /etc/hosts $SSL_CERT_FILE",
            ]
            .concat(),
        );
        process.ca_bundle = Some(canary.path().join("file"));
        process.resolv_conf = Some(resolver.clone());
        let bind = |source: &Path, target: &str| Mount::Bind {
            source: source.to_owned(),
            target: target.to_owned(),
            read_only: true,
        };
        process.mounts =
            vec![bind(canary.path(), "/mnt"), bind(&canary.path().join("file"), "/one")];
        let outcome = run(&base.sandbox, &process);
        assert_eq!(outcome.stdout, "", "{:?}", base.sandbox.mapping());
        let after: Vec<_> = shown.iter().map(|path| inode(path)).collect();
        assert_eq!(after, before, "{:?}", base.sandbox.mapping());
        canary.check();
    });
}

#[test]
#[ignore = "the other side of a test that runs in a terminal"]
fn driver() {
    let Some(report) = std::env::var_os(REPORT) else { return };
    each(|base| {
        let script = "test ! -t 0 && test -t 1 && echo works; cat
             exec 4<&0 5>&1 6>&2
             change /proc/self/fd/4 /proc/self/fd/5 /proc/self/fd/6 >/report";
        let mut process = base.shell(&[CHANGE, script].concat());
        process.stdio = Stdio::Inherit;
        let source = report.clone().into();
        process.mounts =
            vec![Mount::Bind { source, target: "/report".to_owned(), read_only: false }];
        let exit = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new());
        assert_eq!(exit.unwrap(), Exit::Code(0));
        assert_eq!(fs::read_to_string(&report).unwrap(), "", "{:?}", base.sandbox.mapping());
    });
}

const REPORT: &str = "TIERCE_TEST_REPORT";

#[test]
fn inherited_devices_keep_their_attributes() {
    let null = Path::new("/dev/null");
    let before = inode(null);
    let report = tempfile::NamedTempFile::new().unwrap();
    // util-linux's script(1) runs a command in a terminal of its own.
    let program = std::env::current_exe().unwrap();
    let command = format!("{} --exact driver --nocapture --ignored </dev/null", program.display());
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env(REPORT, report.path())
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: no script(1) on this machine");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let runs = if support::busybox().is_some() { sandboxes().len() } else { 0 };
    assert_eq!(text.matches("works").count(), runs, "{text}");
    assert_eq!(inode(null), before);
}

#[test]
fn mount_sources_that_are_links_are_refused() {
    each(|base| {
        let canary = Canary::new();
        let link = base.dir.join("link");
        symlink(canary.path(), &link).unwrap();
        let target = "/mnt".to_owned();
        let mounts = [
            Mount::Cache { source: link.clone(), target: target.clone() },
            Mount::Bind { source: link.clone(), target, read_only: false },
        ];
        for mount in mounts {
            let mut process = base.shell("echo 1 >/mnt/new");
            process.mounts = vec![mount];
            let error = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new()).unwrap_err();
            assert!(matches!(error, RunError::MountSource { .. }), "{}", chain(&error));
        }
        canary.check();
    });
}

#[test]
fn working_directories_do_not_lead_out() {
    each(|base| {
        for cwd in ["/proc/self/fd/3", "/proc/self/cwd", "/proc/1/root", "/dev/fd/0"] {
            let mut process = base.shell("true");
            process.cwd = cwd.to_owned();
            let error = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new()).unwrap_err();
            assert!(matches!(error, RunError::WorkingDirectory { .. }), "{}", chain(&error));
        }
        let mut process = base.shell("pwd");
        process.cwd = "/../../srv/./new".to_owned();
        assert_eq!(run(&base.sandbox, &process).stdout, "/srv/new\n");
    });
}

#[test]
fn hostile_user_databases_are_bounded() {
    each(|base| {
        let canary = Canary::new();
        let huge = vec![b'x'; 2 << 20];
        let link = format!("{}/file", canary.str());
        let attempts = [
            RawTar::new().add("etc/passwd", b'0', "", &huge),
            RawTar::new().add("etc/passwd", b'2', "/dev/zero", b""),
            RawTar::new().add("etc/passwd", b'6', "", b""),
            RawTar::new().add("etc/passwd", b'5', "", b""),
            RawTar::new().add("etc/passwd", b'2', "passwd", b""),
        ];
        for (index, attempt) in attempts.into_iter().enumerate() {
            let (blob, layer) = (base.dir.join("users.tar"), base.dir.join("users"));
            attempt.write(&blob);
            base.sandbox.unpack(&blob, &layer).unwrap();
            let mut process = base.shell("true");
            process.user = "app".to_owned();
            process.lowers.push(layer.clone());
            let error = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new()).unwrap_err();
            let expected = matches!(error, RunError::UserDatabase { .. });
            assert!(expected, "attempt {index}: {}", chain(&error));
            base.sandbox.remove(&layer).unwrap();
        }
        // Outside of the image there is nothing to look up.
        let (blob, layer) = (base.dir.join("users.tar"), base.dir.join("users"));
        RawTar::new().add("etc/passwd", b'2', &link, b"").write(&blob);
        base.sandbox.unpack(&blob, &layer).unwrap();
        let mut process = base.shell("true");
        process.user = "app".to_owned();
        process.lowers.push(layer.clone());
        let error = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new()).unwrap_err();
        assert!(matches!(error, RunError::NoSuchUser { .. }), "{}", chain(&error));
        base.sandbox.remove(&layer).unwrap();
    });
}

#[test]
fn the_helper_cannot_be_overwritten() {
    each(|base| {
        let program = Path::new(env!("CARGO_BIN_EXE_tierce-sandbox-helper"));
        let before = fs::read(program).unwrap();
        let mut process = base.shell("");
        process.argv = vec!["/proc/self/exe".to_owned()];
        // The helper as a program of the image: it finds no socket, and ends.
        let _ = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new());
        let outcome = base.run(
            "for exe in /proc/1/exe /proc/self/exe /proc/*/exe; do
                 (echo overwritten >$exe) 2>/dev/null && echo opened $exe
             done; cat /proc/1/environ /proc/1/maps 2>/dev/null | head -c 1 | wc -c; true",
        );
        assert!(!outcome.stdout.contains("opened /proc/1/"), "{}", outcome.stdout);
        assert_eq!(fs::read(program).unwrap(), before);
    });
}

#[test]
fn swapped_mount_points_do_not_lead_clean_up_astray() {
    each(|base| {
        let canary = Canary::new();
        let cache = base.dir.join("cache");
        let script = format!(
            "rmdir /opt/c 2>/dev/null || true; mv /opt /old || true; ln -s {} /opt; \
             ln -s {} /old/c2; ln -s {}/file /tmp/l",
            canary.str(),
            canary.str(),
            canary.str()
        );
        let mut process = base.shell(&script);
        process.mounts = vec![Mount::Cache { source: cache.clone(), target: "/opt/c".to_owned() }];
        let _ = base.sandbox.run(&process, &mut |_, _| {}, &Cancel::new());
        base.diff(&tierce_sandbox::DiffOptions::new(base.lowers.clone(), 0));
        base.sandbox.remove(&cache).unwrap();
        canary.check();
    });
}

#[test]
fn a_scratch_directory_that_is_none_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let out = fs::File::create(dir.path().join("out")).unwrap();
    let options = tierce_sandbox::DiffOptions::new(Vec::new(), 0);
    let error = sandbox().diff(&dir.path().join("nothing"), &options, out).unwrap_err();
    assert!(matches!(error, DiffError::Scratch { .. }), "{}", chain(&error));
    sandbox().remove(&dir.path().join("nothing")).unwrap();
}
