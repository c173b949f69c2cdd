//! Wheels to planned files and layers.

mod common;

use common::{WheelBuilder, ZipEntry, chain};
use std::collections::BTreeMap;
use std::io::Read;
use tierce_layer::{Compression, EPOCH, Entry, EntryKind, LayerReader, LayerWriter};
use tierce_oci::Diagnostic;
use tierce_wheel::{
    CompileJob, Content, InstallPlan, InstallTarget, LockedPackage, TopLayer, Venv, WheelWarning,
    write_wheel_layer,
};

fn target() -> InstallTarget {
    InstallTarget::new("/opt/venv", "3.11.2".parse().unwrap()).unwrap()
}

const SITE: &str = "lib/python3.11/site-packages";

fn plan(builder: &WheelBuilder) -> InstallPlan {
    let dir = tempfile::tempdir().unwrap();
    InstallPlan::new(builder.open(dir.path()).unwrap(), &target()).unwrap()
}

fn layer(write: impl FnOnce(&mut LayerWriter<Vec<u8>>)) -> BTreeMap<String, (Entry, String)> {
    let mut writer = LayerWriter::new(Vec::new(), Compression::Gzip);
    write(&mut writer);
    let (bytes, info) = writer.finish().unwrap();
    let mut reader = LayerReader::new(&bytes[..]).unwrap();
    let mut entries = BTreeMap::new();
    let mut order = Vec::new();
    while let Some((entry, mut content)) = reader.next_entry().unwrap() {
        let mut text = Vec::new();
        content.read_to_end(&mut text).unwrap();
        assert_eq!((entry.uid, entry.gid, entry.mtime), (0, 0, EPOCH));
        let path = entry.path.to_string();
        order.push(path.clone());
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(entries.insert(path, (entry, text)).is_none());
    }
    assert_eq!(reader.finish().unwrap(), info.diff_id);
    // Parents come before what they hold.
    for path in &order {
        if let Some((parent, _)) = path.rsplit_once('/') {
            assert!(order.iter().position(|p| p == parent) < order.iter().position(|p| p == path));
        }
    }
    entries
}

fn full() -> WheelBuilder {
    let mut wheel = WheelBuilder::new("Demo_Pkg", "1.0");
    wheel.add("demo/__init__.py", b"x = 1\n");
    wheel.add_mode("demo/tool.sh", b"#!/bin/sh\n", 0o100_775);
    wheel.add_mode("demo/link", b"target", 0o120_777);
    wheel.add("Demo_Pkg-1.0.data/scripts/run", b"#!python -x\nprint(1)\n");
    wheel.add("Demo_Pkg-1.0.data/scripts/sh", b"#!/bin/sh\n");
    wheel.add("Demo_Pkg-1.0.data/scripts/demo", b"#!python\nlegacy wrapper\n");
    wheel.add("Demo_Pkg-1.0.data/headers/d.h", b"h");
    wheel.add("Demo_Pkg-1.0.data/data/share/d.txt", b"d");
    wheel.add("Demo_Pkg-1.0.data/data/lib64/l.txt", b"l");
    wheel.add("Demo_Pkg-1.0.data/platlib/plat.py", b"p");
    wheel.add("Demo_Pkg-1.0.dist-info/INSTALLER", b"evil\n");
    wheel.add("Demo_Pkg-1.0.dist-info/REQUESTED", b"");
    let points = b"[console_scripts]\ndemo = demo:main.run\n[gui_scripts]\ndemo-gui=demo:gui\n";
    wheel.add("Demo_Pkg-1.0.dist-info/entry_points.txt", points);
    wheel
}

#[test]
fn files_go_where_the_specification_says() {
    let plan = plan(&full());
    let modes: Vec<_> = plan.files().iter().map(|(p, f)| (p.as_str(), f.mode)).collect();
    let site = |name: &str| format!("{SITE}/{name}");
    let expected: Vec<(String, u32)> = vec![
        ("bin/demo".into(), 0o755),
        ("bin/demo-gui".into(), 0o755),
        ("bin/run".into(), 0o755),
        ("bin/sh".into(), 0o755),
        ("include/site/python3.11/demo-pkg/d.h".into(), 0o644),
        ("lib/l.txt".into(), 0o644),
        (site("Demo_Pkg-1.0.dist-info/INSTALLER"), 0o644),
        (site("Demo_Pkg-1.0.dist-info/METADATA"), 0o644),
        (site("Demo_Pkg-1.0.dist-info/RECORD"), 0o644),
        (site("Demo_Pkg-1.0.dist-info/WHEEL"), 0o644),
        (site("Demo_Pkg-1.0.dist-info/entry_points.txt"), 0o644),
        (site("demo/__init__.py"), 0o644),
        (site("demo/link"), 0o644),
        (site("demo/tool.sh"), 0o755),
        (site("plat.py"), 0o644),
        ("share/d.txt".into(), 0o644),
    ];
    let expected: Vec<_> = expected.iter().map(|(p, m)| (p.as_str(), *m)).collect();
    assert_eq!(modes, expected);
    let generated = |path: &str| match &plan.files()[path].content {
        Content::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        Content::Entry(_) => panic!("{path} is not generated"),
    };
    assert_eq!(generated("bin/run"), "#!/opt/venv/bin/python\nprint(1)\n");
    assert!(generated("bin/demo").contains("from demo import main\n"));
    assert!(generated("bin/demo").contains("sys.exit(main.run())\n"));
    assert_eq!(generated(&site("Demo_Pkg-1.0.dist-info/INSTALLER")), "tierce\n");
    let record = generated(&site("Demo_Pkg-1.0.dist-info/RECORD"));
    assert!(record.starts_with("../../../bin/demo,sha256="), "{record}");
    assert!(record.contains("\nDemo_Pkg-1.0.dist-info/RECORD,,\n"));
    assert_eq!(record.lines().count(), plan.files().len());
    let modules: Vec<_> = plan.modules().collect();
    assert_eq!(
        modules,
        [format!("/opt/venv/{SITE}/demo/__init__.py"), format!("/opt/venv/{SITE}/plat.py")]
    );
}

#[test]
fn layers_hold_the_plan() {
    let plan = plan(&full());
    let entries = layer(|writer| write_wheel_layer(&[&plan], writer).unwrap());
    for directory in ["opt", "opt/venv", "opt/venv/bin", "opt/venv/lib/python3.11"] {
        assert!(entries[directory].0.is_directory(), "{directory}");
        assert_eq!(entries[directory].0.mode, 0o755);
    }
    assert_eq!(entries[&format!("opt/venv/{SITE}/demo/__init__.py")].1, "x = 1\n");
    assert_eq!(entries[&format!("opt/venv/{SITE}/demo/tool.sh")].0.mode, 0o755);
    assert!(entries[&format!("opt/venv/{SITE}/demo/link")].0.is_file());
    let files = entries.values().filter(|(e, _)| e.is_file()).count();
    assert_eq!(files, plan.files().len());
}

#[test]
fn bad_wheels_are_refused() {
    type Change = fn(&mut WheelBuilder);
    let cases: Vec<(&str, Change, &str)> = vec![
        (
            "hash",
            |w| w.record[0] = w.record[0].replacen("sha256=", "sha256=A", 1).replacen("A", "", 0),
            "RECORD",
        ),
        (
            "weak hash",
            |w| w.record[0] = "demo/a,md5=1B2M2Y8AsgTpgAmY7PhCfg,0".into(),
            "not a sha256",
        ),
        ("record leads out", |w| w.record.push("../x,,".into()), "'..'"),
        (
            "record differs twice",
            |w| {
                w.record.push("a,,1".into());
                w.record.push("a,,2".into())
            },
            "listed twice",
        ),
        (
            "no WHEEL",
            |w| {
                w.entries.remove(1);
            },
            "WHEEL is missing",
        ),
        (
            "no METADATA",
            |w| {
                w.entries.remove(0);
            },
            "METADATA is missing",
        ),
        ("other name", |w| w.filename = w.filename.replace("demo", "other"), "other 1.0"),
        ("other version", |w| w.filename = w.filename.replace("1.0", "1.1"), "demo 1.1"),
        (
            "two dist-infos",
            |w| {
                w.add("x-1.dist-info/METADATA", b"");
            },
            "metadata directories",
        ),
        (
            "format 2",
            |w| {
                w.entries[1] = ZipEntry::stored(
                    "demo-1.0.dist-info/WHEEL",
                    b"Wheel-Version: 2.0\nRoot-Is-Purelib: true\n",
                )
            },
            "format 2.0",
        ),
        (
            "scheme",
            |w| {
                w.add("demo-1.0.data/elsewhere/x", b"");
            },
            "belongs to none",
        ),
        (
            "bare scheme",
            |w| {
                w.add("demo-1.0.data/x", b"");
            },
            "belongs to none",
        ),
        (
            "protected",
            |w| {
                w.add("demo-1.0.data/scripts/python", b"");
            },
            "belongs to the environment",
        ),
        (
            "configuration",
            |w| {
                w.add("demo-1.0.data/data/pyvenv.cfg", b"");
            },
            "belongs to the environment",
        ),
        (
            "doubled",
            |w| {
                w.add("a.py", b"");
                w.add("demo-1.0.data/purelib/a.py", b"");
            },
            "would be installed as",
        ),
        (
            "entry point",
            |w| {
                w.add("demo-1.0.dist-info/entry_points.txt", b"[console_scripts]\n../x = a:b\n");
            },
            "plain file name",
        ),
        (
            "code in entry point",
            |w| {
                w.add("demo-1.0.dist-info/entry_points.txt", b"[console_scripts]\nx = a:b;c\n");
            },
            "module:function",
        ),
    ];
    for (what, change, expected) in cases {
        let mut builder = WheelBuilder::new("demo", "1.0");
        change(&mut builder);
        let dir = tempfile::tempdir().unwrap();
        let error = builder
            .open(dir.path())
            .and_then(|wheel| InstallPlan::new(wheel, &target()))
            .expect_err(what);
        assert_eq!(error.code(), "python/bad-wheel");
        let text = chain(&error);
        assert!(text.contains(expected), "{what}: {text}");
    }
}

#[test]
fn content_is_compared_with_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = WheelBuilder::new("demo", "1.0");
    builder.add("a.py", b"honest");
    builder.open(dir.path()).unwrap().verify_record().unwrap();
    let last = builder.entries.len() - 1;
    builder.entries[last] = ZipEntry::deflated("a.py", b"forged");
    let error = builder.open(dir.path()).unwrap().verify_record().unwrap_err();
    assert!(chain(&error).contains("a.py is not what its RECORD says: expected sha256="));
    builder.entries[last] = ZipEntry::deflated("a.py", b"longer than that");
    let error = builder.open(dir.path()).unwrap().verify_record().unwrap_err();
    assert!(chain(&error).contains("expected 6 bytes, found 16 bytes"));
}

#[test]
fn flaws_that_installers_tolerate_are_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = WheelBuilder::new("demo", "1.0");
    builder.add("unlisted.py", b"x");
    builder.record.pop();
    builder.add("unhashed.py", b"x");
    builder.record.pop();
    builder.record.push("unhashed.py,,".into());
    builder.record.push("absent.py,,".into());
    let wheel = builder.open(dir.path()).unwrap();
    assert_eq!(
        wheel.warnings(),
        [
            WheelWarning::Unlisted("unlisted.py".into()),
            WheelWarning::Unhashed("unhashed.py".into()),
            WheelWarning::Absent("absent.py".into()),
        ]
    );
    let plan = InstallPlan::new(wheel, &target()).unwrap();
    assert!(plan.files()[&format!("{SITE}/unlisted.py")].hash.is_some());
}

#[test]
fn conflicts_are_resolved_on_top() {
    let mut a = WheelBuilder::new("aaa", "1");
    a.add("ns/__init__.py", b"same").add("shared.py", b"of a").add("mode.py", b"m");
    let mut b = WheelBuilder::new("bbb", "1");
    b.add("ns/__init__.py", b"same").add("shared.py", b"of b").add("b.py", b"");
    let (a, b) = (plan(&a), plan(&b));
    let top = TopLayer::new(&target(), &[&b, &a], &[]).unwrap();
    let messages: Vec<_> = top.conflicts().iter().map(ToString::to_string).collect();
    assert_eq!(messages, [format!("{SITE}/shared.py of aaa is replaced by that of bbb")]);
    let entries = layer(|writer| top.write(writer).unwrap());
    assert_eq!(entries[&format!("opt/venv/{SITE}/shared.py")].1, "of b");
    assert_eq!(entries.values().filter(|(e, _)| e.is_file()).count(), 1);
    // In one layer the same one wins, whatever the order.
    for order in [[&a, &b], [&b, &a]] {
        let entries = layer(|writer| write_wheel_layer(&order, writer).unwrap());
        assert_eq!(entries[&format!("opt/venv/{SITE}/shared.py")].1, "of b");
    }
    let mut c = WheelBuilder::new("ccc", "1");
    c.add("b.py/x", b"");
    let c = plan(&c);
    let error = TopLayer::new(&target(), &[&b, &c], &[]).unwrap_err();
    assert_eq!(error.to_string(), format!("bbb has a file {SITE}/b.py, where ccc has a directory"));
}

#[test]
fn notes_of_the_lock_are_on_top() {
    let lock = r#"
        lock-version = "1.0"
        created-by = "x"
        [[packages]]
        name = "demo"
        version = "1.0"
        archive = { url = "https://user:secret@x.example/demo-1.0-py3-none-any.whl", hashes = { sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" } }
        [packages.tool.tierce]
        requested = true
    "#;
    let platform = tierce_oci::Platform::linux("amd64");
    let wheels =
        tierce_wheel::Target::new("3.11".parse().unwrap(), &platform, tierce_wheel::Libc::DEFAULT)
            .unwrap();
    let lock = tierce_wheel::Lock::parse(lock.as_bytes(), &wheels).unwrap();
    assert!(!String::from_utf8_lossy(lock.bytes()).contains("secret"));
    let packages: Vec<LockedPackage> = lock.packages().to_vec();
    let plan = plan(&WheelBuilder::new("demo", "1.0"));
    let top = TopLayer::new(&target(), &[&plan], &packages).unwrap();
    assert!(!top.is_empty());
    let entries = layer(|writer| top.write(writer).unwrap());
    let dist = format!("opt/venv/{SITE}/demo-1.0.dist-info");
    assert_eq!(entries[&format!("{dist}/REQUESTED")].1, "");
    let direct: serde_json::Value =
        serde_json::from_str(&entries[&format!("{dist}/direct_url.json")].1).unwrap();
    assert_eq!(direct["url"], "https://x.example/demo-1.0-py3-none-any.whl");
    assert!(direct["archive_info"]["hash"].as_str().unwrap().starts_with("sha256=e3b0"));
}

#[test]
fn the_environment_is_a_venv() {
    let venv = Venv::new(&target(), "/usr/bin/python3.11").unwrap();
    let entries = layer(|writer| venv.write_layer(writer).unwrap());
    let link = |path: &str| match &entries[path].0.kind {
        EntryKind::Symlink { target } => String::from_utf8(target.clone()).unwrap(),
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(link("opt/venv/bin/python"), "/usr/bin/python3.11");
    assert_eq!(link("opt/venv/bin/python3.11"), "python");
    assert_eq!(link("opt/venv/lib64"), "lib");
    assert!(entries["opt/venv/pyvenv.cfg"].1.contains("home = /usr/bin\n"));
    for bad in ["python3", "/", "", "/usr/bin/../python", "/usr/bin/"] {
        assert!(Venv::new(&target(), bad).is_err(), "{bad:?}");
    }
    for bad in ["opt/venv", "/", "", "/opt/../x", "/a\nb"] {
        assert!(InstallTarget::new(bad, "3.11".parse().unwrap()).is_err(), "{bad:?}");
    }
}

#[test]
fn compile_jobs_name_exactly_the_modules() {
    let plan = plan(&full());
    let job = CompileJob::new(&[&plan, &plan], "/usr/bin/python3.11", "/out");
    let stdin = String::from_utf8(job.stdin).unwrap();
    assert_eq!(stdin.lines().count(), 2);
    assert_eq!(job.argv.last().unwrap(), "/out");
}
