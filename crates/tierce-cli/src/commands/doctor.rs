//! `tierce doctor`

use super::{Done, print_json, print_line};
use crate::args::{DoctorArgs, Format};
use tierce::{Finding, Settings, doctor};

pub fn run(args: DoctorArgs) -> Done {
    let report = doctor(&Settings::load()?)?;
    match args.format {
        Format::Json => print_json(&report)?,
        Format::Text => {
            for Finding { name, ok, detail, hint } in &report.findings {
                let mark = if *ok { "ok  " } else { "miss" };
                print_line(&format!("{mark}  {name:<22} {detail}"))?;
                if let Some(hint) = hint {
                    print_line(&format!("{:28} {hint}", ""))?;
                }
            }
            0
        }
    };
    Ok(if report.can_execute { 0 } else { 3 })
}
