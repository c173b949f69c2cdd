//! Credentials of package indexes: netrc files, uv's own, the URLs in requirements. The first
//! line of the input is a URL that is asked for, the rest the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tierce_wheel::{IndexCredentials, named_index};
use url::Url;

fuzz_target!(|text: &str| {
    let Some((asked, file)) = text.split_once('\n') else { return };
    let variable = |name: &str| (name.len() % 2 == 0).then(|| file.to_owned());
    drop(named_index(asked));
    let Ok(asked) = Url::parse(asked) else { return };
    let none = IndexCredentials::new();
    for known in [
        none.clone().with_netrc(file),
        none.clone().with_uv_file(file),
        none.clone().with_text(file, &variable),
        none.clone().with_name("fuzz", &asked, &variable),
        none.with_netrc(file).with_uv_file(file).with_text(file, &|_| None).with_url(&asked),
    ] {
        let given = known.apply(&asked);
        assert_eq!(without_credentials(&given), without_credentials(&asked));
        assert_eq!(known.apply(&given), given, "there is no second choice");
        if asked.password().is_some() {
            assert_eq!(given, asked);
        }
        if !asked.username().is_empty() {
            assert_eq!(given.username(), asked.username());
        }
        let shown = format!("{known:?}");
        for (id, secret) in known.secrets() {
            assert!(!id.to_string().is_empty() && !secret.expose().is_empty());
            assert!(!shown.contains(&String::from_utf8_lossy(secret.expose()).repeat(3)));
        }
    }
});

fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail for URLs that can't have any.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
