//! `tierce cache`

use super::{Done, print_json, print_line};
use crate::args::{CacheCommand, Format};
use crate::ui::units;
use std::collections::BTreeMap;
use tierce::{Cache, Effect, Keep, PrunePolicy, Settings, Usage};

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

pub fn run(command: CacheCommand) -> Done {
    let cache = Cache::open(&Settings::load()?)?;
    match command {
        CacheCommand::Info { format } => info(&cache, format),
        CacheCommand::Prune { older_than, all, dry_run } => {
            let keep = match all {
                true => Keep::Nothing,
                false => Keep::Recent { max_age: Some(DAY * older_than), max_size: None },
            };
            let effect = if dry_run { Effect::DryRun } else { Effect::Remove };
            let report = cache.prune(&PrunePolicy { keep, effect })?;
            for failure in &report.failed {
                eprintln!("warning: {failure}");
            }
            let verb = if dry_run { "would free" } else { "freed" };
            print_line(&format!("{verb} {}", units::bytes(report.total().bytes)))
        }
    }
}

fn info(cache: &Cache, format: Format) -> Done {
    let info = cache.info();
    if format == Format::Json {
        return print_json(&info);
    }
    let sum = |usages: &BTreeMap<String, Usage>| usages.values().copied().sum::<Usage>();
    let mut lines = vec![format!("store     {}", info.root.display())];
    for (name, usage) in [
        ("blobs", info.blobs),
        ("records", sum(&info.records)),
        ("unpacked", sum(&info.rootfs)),
        ("caches", sum(&info.caches)),
        ("indexes", info.index),
        ("temporary", info.temporary),
    ] {
        let (bytes, count) = (units::bytes(usage.bytes), usage.count);
        lines.push(format!("{name:<9} {bytes:>8}  {count} items"));
    }
    print_line(&lines.join("\n"))
}
