//! Commands.

use crate::bench::{Bench, Checked, fail, same};
use crate::filesystem::NodeKind;
use tierce_spec::{Command, Network, SourceOptions};

fn words(argv: &[&str]) -> Command {
    Command::Exec(argv.iter().map(ToString::to_string).collect())
}

pub(super) async fn shell(bench: &Bench<'_>) -> Checked {
    let image = bench.on_base()?.with_commands(
        [
            "mkdir -p /out && printf '%s' \"it's \\$5 & <more>\" > '/out/a b'",
            "cd /out\nfor n in 1 2 3; do\n  echo \"n=$n\" >> lines\ndone",
            "test \"$(pwd)\" != /out || echo same > /out/same-shell",
            "echo héllo | cat > /out/ünï # a comment",
            "cat <<'END' > /out/here\n$HOME is not expanded\nEND\n",
        ],
        Network::Host,
    );
    let built = bench.build(&image).await?;
    same("/out/a b", built.text("out/a b")?.as_str(), "it's $5 & <more>")?;
    same("/out/lines", built.text("out/lines")?.as_str(), "n=1\nn=2\nn=3\n")?;
    same("/out/ünï", built.text("out/ünï")?.as_str(), "héllo\n")?;
    same("/out/here", built.text("out/here")?.as_str(), "$HOME is not expanded\n")?;
    match built.only()?.files.get("out/same-shell") {
        Some(_) => fail("`cd` in one command moved the next one"),
        None => Ok(()),
    }
}

pub(super) async fn exec(bench: &Bench<'_>) -> Checked {
    let script = "printf '%s|' \"$@\" > /args";
    let arguments = ["it's", "$HOME", "a \"b\"", "", "two\nlines", "back\\slash", "*", "ü"];
    let argv = [&["/bin/sh", "-c", script, "name"], &arguments[..]].concat();
    let image = bench.on_base()?.with_commands([words(&argv)], Network::Host);
    let built = bench.build(&image).await?;
    let expected: String = arguments.iter().map(|argument| format!("{argument}|")).collect();
    same("the arguments", built.text("args")?, expected)
}

pub(super) async fn sees(bench: &Bench<'_>) -> Checked {
    let value = "it's \"$HOME\" \\ and\nmore";
    let image = bench
        .on_base()?
        .with_env_vars([("VALUE", value)])
        .with_workdir("/work")
        .with_commands(["mkdir -p /out && chmod 777 /out /work"], Network::Host)
        .with_commands(["printf '%s' \"$VALUE\" > /out/value; pwd > /out/pwd"], Network::Host)
        .with_user("1234:5678")
        .with_commands(["id -u > /out/user; id -g >> /out/user; echo x > mine"], Network::Host)
        .with_env_vars([("VALUE", "later")]);
    let built = bench.build(&image).await?;
    same("the variable", built.text("out/value")?.as_str(), value)?;
    same("the directory", built.text("out/pwd")?.as_str(), "/work\n")?;
    same("the user", built.text("out/user")?.as_str(), "1234\n5678\n")?;
    let files = &built.only()?.files;
    let owner = files.get("work/mine").map(|node| (node.uid, node.gid));
    same("the owner of /work/mine", owner, Some((1234, 5678)))?;
    same("the owner of /out/value", files.get("out/value").map(|n| n.uid), Some(0))
}

pub(super) async fn workdir(bench: &Bench<'_>) -> Checked {
    let image = bench
        .on_base()?
        .with_commands(["mkdir /kept && chown 1234:5678 /kept && chmod 1770 /kept"], Network::Host)
        .with_workdir("/kept")
        .with_commands(["pwd > /out"], Network::Host)
        .with_workdir("/made/here")
        .with_commands(["pwd >> /out"], Network::Host);
    let built = bench.build(&image).await?;
    same("the directories", built.text("out")?.as_str(), "/kept\n/made/here\n")?;
    let kept = built.only()?.files.get("kept").map(|n| (format!("{:o}", n.mode), n.uid, n.gid));
    same("mode and owner of /kept", kept, Some(("1770".to_owned(), 1234, 5678)))
}

pub(super) async fn removes(bench: &Bench<'_>) -> Checked {
    for path in ["a/gone.txt", "a/kept.txt", "tree/x/y.txt", "again/old.txt"] {
        bench.write(&format!("src/{path}"), path, 0o644)?;
    }
    let image =
        bench.on_base()?.with_source_folder("src", "/data", SourceOptions::new()).with_commands(
            ["cd /data && rm a/gone.txt && rm -r tree && rm -r again && mkdir again \
              && echo new > again/new.txt"],
            Network::Host,
        );
    let built = bench.build(&image).await?;
    same("/data/a/kept.txt", built.text("data/a/kept.txt")?.as_str(), "a/kept.txt")?;
    same("/data/again/new.txt", built.text("data/again/new.txt")?.as_str(), "new\n")?;
    let gone = ["data/a/gone.txt", "data/tree", "data/tree/x/y.txt", "data/again/old.txt"];
    let files = &built.only()?.files;
    match gone.iter().find(|path| files.get(path).is_some()) {
        Some(path) => fail(format!("/{path} is there, and was removed")),
        None => Ok(()),
    }
}

pub(super) async fn order(bench: &Bench<'_>) -> Checked {
    bench.write("before.txt", "before", 0o644)?;
    bench.write("after.txt", "after", 0o644)?;
    let image = bench
        .on_base()?
        .with_source_file("before.txt", "/before.txt")
        .with_commands(["ls -d /*.txt > /seen; chmod 4755 /before.txt"], Network::Host)
        .with_source_file("after.txt", "/after.txt");
    let built = bench.build(&image).await?;
    same("what the command saw", built.text("seen")?.as_str(), "/before.txt\n")?;
    same("/after.txt", built.text("after.txt")?.as_str(), "after")?;
    let mode = built.only()?.files.get("before.txt").map(|node| node.mode);
    same("the mode of /before.txt", mode, Some(0o4755))?;
    // What steps leave lying about is part of the image.
    let files = &built.only()?.files;
    let stray = files.paths().find(|path| {
        let is_file = |n: &crate::Node| matches!(n.kind, NodeKind::File { .. });
        path.starts_with("run/secrets/") && files.get(path).is_some_and(is_file)
    });
    match stray {
        Some(path) => fail(format!("/{path} is there, and nobody made it")),
        None => Ok(()),
    }
}

pub(super) async fn no_network(bench: &Bench<'_>) -> Checked {
    let image = bench.on_base()?.with_commands(
        ["ls /sys/class/net > /nets 2>/dev/null || true; \
                         tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' > /devices"],
        Network::None,
    );
    let built = bench.build(&image).await?;
    let devices = built.text("devices")?;
    match devices.lines().find(|device| *device != "lo" && !device.is_empty()) {
        Some(device) => fail(format!("the command has a network: {device}")),
        None => Ok(()),
    }
}
