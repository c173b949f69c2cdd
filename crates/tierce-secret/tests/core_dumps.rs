//! There is no core dump with values in it. One test only: what is looked at is the process's.

use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
use tierce_secret::{SecretValue, Secrets};
use tierce_spec::SecretId;

#[test]
fn processes_with_values_leave_no_core_dump() {
    let before = (dumpable_behavior().unwrap(), getrlimit(Resource::Core));
    let id = |key: &str| SecretId { group: None, key: key.to_owned() };
    let first = Secrets::new([(id("a"), SecretValue::new("value"))]);
    let second = first.only([&id("a")]);
    drop(first);
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    assert_eq!(getrlimit(Resource::Core).current, Some(1));
    drop(second);
    assert_eq!((dumpable_behavior().unwrap(), getrlimit(Resource::Core)), before);
    let _none = Secrets::default();
    assert_eq!((dumpable_behavior().unwrap(), getrlimit(Resource::Core)), before);
}
