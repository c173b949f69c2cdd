//! The same script gives the same layer, whoever runs it.

mod support;

use support::{Layer, Scenario, as_user, given, helper, ordinary_mapping, ordinary_user, play};
use tierce_sandbox::{IdMapping, Sandbox};

/// What scripts do to owners, links, removed and replaced files, and what must be in the layer.
const SCRIPTS: &[(&str, &[&str])] = &[
    ("true", &[]),
    ("echo hi >/tmp/f; rm /tmp/f", &[]),
    ("echo hi >/etc/f; chown 1000:1001 /etc/f", &["etc/f 644 1000:1001 @315532800 file \"hi\\n\""]),
    ("touch /etc/f; chown 7:8 /etc/f; chmod 4755 /etc/f", &["etc/f 4755 7:8"]),
    (
        "touch /etc/f; chown 7 /etc/f; chown :8 /etc/f; cp -a /etc/f /etc/g",
        &["etc/f 644 7:8", "etc/g 644 7:8"],
    ),
    (
        "ln -s x /etc/l; chown -h 7:8 /etc/l; cp -a /etc/l /etc/m; stat -c %u:%g /etc/l >/etc/s",
        &["etc/m 777 7:8", "etc/s 644 0:0 @315532800 file \"7:8\\n\""],
    ),
    (
        "cp -a /usr/share/old /usr/share/new; ls -ln /usr/share/new | grep -c 1000 >/etc/s",
        &["usr/share/new/a 644 1000:1001", "file \"3\\n\""],
    ),
    (
        "tar -c -f /tmp/t /usr/share/old; rm -r /usr/share/old; tar -x -f /tmp/t -C /; rm /tmp/t",
        &["usr/share/old/a 644 1000:1001"],
    ),
    // The kernel takes set-id bits away from whatever changes owner.
    ("touch /etc/f; chmod 6755 /etc/f; chown 7:8 /etc/f", &["etc/f 755 7:8"]),
    ("touch /etc/f; chmod 6755 /etc/f; chown 0:0 /etc/f", &["etc/f 755 0:0"]),
    ("touch /etc/f; chown 7:8 /etc/f; mv /etc/f /usr/g; chown 0:8 /usr/g", &["usr/g 644 0:8"]),
    ("ln -s x /etc/l; chown -h 7:8 /etc/l; mv /etc/l /usr/l", &["usr/l 777 7:8 @315532800 link x"]),
    ("mkfifo -m 620 /etc/p; chown 3:4 /etc/p", &["etc/p 620 3:4 @315532800 Fifo"]),
    (
        "mkdir /etc/d; chown 5:6 /etc/d; chmod 2750 /etc/d; echo 1 >/etc/d/f; mkdir /etc/d/e",
        &["etc/d 2750 5:6", "etc/d/e 2755 0:6", "etc/d/f 644 0:6"],
    ),
    (
        "mkdir /etc/d; chown 5:6 /etc/d; chmod g+s /etc/d; touch /etc/d/f; chown 0:0 /etc/d/f",
        &["etc/d/f 644 0:0"],
    ),
    ("touch /var/mail/root", &["var/mail 2775 0:8", "var/mail/root 644 0:8"]),
    ("echo 1 >/etc/a; ln /etc/a /etc/b; chown 9:9 /etc/b", &["etc/a 644 9:9", "hard etc/a"]),
    ("rm -r /usr/share/old", &["usr/share/.wh.old"]),
    ("rm /usr/share/old/a", &["usr/share/old/.wh.a"]),
    (
        "rm -r /usr/share/old; mkdir /usr/share/old; echo n >/usr/share/old/n",
        &["usr/share/old/.wh..wh..opq", "usr/share/old/n"],
    ),
    ("chmod 600 /usr/share/old/a", &["usr/share/old/a 600 1000:1001 @315532800"]),
    ("chown 1000:1001 /usr/share/old/a", &[]),
    ("chown 1:1001 /usr/share/old/b", &["usr/share/old/b 644 1:1001"]),
    (
        "mv /usr/share/old/a /usr/share/f2; chown -h 3:4 /usr/share/link",
        &["usr/share/f2 644 1000:1001", "usr/share/link 777 3:4", "usr/share/old/.wh.a"],
    ),
    ("chmod 711 /usr/share/old", &["usr/share/old 711 0:0"]),
    (
        "cp /bin/busybox /etc/x; rm /etc/x; mkdir -p /opt/a/b; touch -d @978307200 /opt/a/b/f",
        &["opt/a/b/f 644 0:0 @978307200"],
    ),
    (
        "su app -c 'id -u; id -g' >/etc/ids; chown app:video /etc/ids",
        &["etc/ids 644 1000:44 @315532800 file \"1000\\n1001\\n\""],
    ),
    (
        "chown app:root /etc/passwd; su app -c 'chown 0 /etc/passwd 2>/dev/null' || echo no >/etc/no",
        &["etc/no", "etc/passwd 644 1000:0"],
    ),
    (
        "touch /etc/f; chown 7:8 /etc/f; cd /etc; chown 9:8 f; chown 3:8 ../usr/share/../../etc/f",
        &["etc/f 644 3:8"],
    ),
    (
        "mknod /etc/dev c 1 3 2>/dev/null && exit 1; chown 5 /dev/stdout; chown 5 /proc/self/fd/1",
        &[],
    ),
    (
        "cd /dev; echo 1 >null; echo 1 >urandom; cat null; (echo 1 >full) 2>/dev/null && exit 1; \
         for d in random urandom zero; do head -c 4 $d | wc -c; done >/etc/n; \
         for d in full null random tty urandom zero; do \
             chmod 600 $d 2>/dev/null && exit 1; chgrp 0 $d 2>/dev/null && exit 1; done; true",
        &["etc/n 644 0:0 @315532800 file \"4\\n4\\n4\\n\""],
    ),
    ("ln -s /etc/target /usr/l; echo 1 >/etc/target; chown 8:9 /usr/l", &["etc/target 644 8:9"]),
    (
        "mkdir -p /r/etc; ln -s /etc/t /r/l; echo 1 >/r/etc/t; cp /bin/busybox /r/busybox; \
      chroot /r /busybox chown 8:9 /l; chroot /r /busybox sh -c 'cd etc; /busybox chown 7:9 t'; \
      rm /r/busybox",
        &["r/etc/t 644 7:9"],
    ),
];

/// What scripts see of their secrets: the file `/run/secrets/token`, which the image lacks,
/// `/etc/group` in place of the image's, and the variable `TOKEN`.
const SECRET_SCRIPTS: &[(&str, &[&str])] = &[
    (
        "test \"$(cat /run/secrets/token)\" = s3cret; test \"$(cat /etc/group)\" = s3cret
         test \"$TOKEN\" = s3cret; test \"$(stat -c %u:%g:%a /run/secrets/token)\" = 0:0:400
         echo x 2>/dev/null >/run/secrets/token && exit 1
         rm /run/secrets/token 2>/dev/null && exit 1; chmod 644 /etc/group 2>/dev/null && exit 1
         grep -E ' /run/secrets/token (ramfs|tmpfs) ro' /proc/mounts | grep -q noexec
         test -e /dev/.tierce/secrets && exit 1
         test \"$(ulimit -c)\" != unlimited; test \"$(ulimit -H -c)\" != unlimited
         grep -q s3cret /proc/1/cmdline && exit 1
         ls -a /run/secrets >/etc/seen",
        &["etc/seen 644 0:0 @315532800 file \".\\n..\\ntoken\\n\""],
    ),
    ("cp /run/secrets/token /tmp/t; rm /tmp/t; cd etc; sh -c 'kill -ABRT $$' || true", &[]),
    ("su app -c 'cat /run/secrets/token 2>/dev/null; true' | wc -c >/dev/null", &[]),
];

fn scenarios(single: bool) -> Vec<Scenario> {
    let scenario = |script: &str, secrets| Scenario { script: script.to_owned(), single, secrets };
    let plain = SCRIPTS.iter().map(|(script, _)| scenario(script, false));
    plain.chain(SECRET_SCRIPTS.iter().map(|(script, _)| scenario(script, true))).collect()
}

fn check(layers: &[Layer], who: &str) {
    for ((script, expected), layer) in SCRIPTS.iter().chain(SECRET_SCRIPTS).zip(layers) {
        for wanted in *expected {
            let found = layer.lines.iter().any(|line| line.contains(wanted));
            assert!(found, "{who}: {script}: no {wanted:?} in {:#?}", layer.lines);
        }
        if expected.is_empty() {
            assert_eq!(layer.digest, None, "{who}: {script}: {:#?}", layer.lines);
        }
    }
}

#[test]
#[ignore = "the other side of a test that runs as another user"]
fn driver() {
    given(|scenarios: Vec<Scenario>| {
        let mapping = ordinary_mapping(scenarios[0].single);
        play(&scenarios, Sandbox::with_mapping(helper(), mapping))
    });
}

#[test]
fn one_layer_for_all_mappings() {
    if support::busybox().is_none() {
        return;
    }
    let own = |mapping| Sandbox::with_mapping(helper(), mapping);
    let mut results = Vec::new();
    if support::is_root() {
        let layers = play(&scenarios(false), own(IdMapping::Root));
        results.push(("root", layers));
    } else {
        eprintln!("skipped: the mapping of root needs root");
    }
    let layers = play(&scenarios(true), own(IdMapping::Single));
    results.push(("one id", layers));
    if let Some(uid) = ordinary_user("tierce-test-one", false) {
        let layers = as_user("tierce-test-one", uid, &scenarios(true));
        results.push(("one id of an ordinary user", layers));
    }
    if let Some(uid) = ordinary_user("tierce-test-many", true) {
        let layers = as_user("tierce-test-many", uid, &scenarios(false));
        results.push(("subordinate ids", layers));
    }
    for (who, layers) in &results {
        check(layers, who);
    }
    let (first, others) = results.split_first().unwrap();
    for (who, layers) in others {
        let scripts = SCRIPTS.iter().chain(SECRET_SCRIPTS);
        for ((script, _), (one, other)) in scripts.zip(first.1.iter().zip(layers)) {
            assert_eq!(one, other, "{} and {who}: {script}", first.0);
        }
        eprintln!("{} and {who}: {} layers are the same", first.0, layers.len());
    }
}
