//! Against the servers that builds use.

use tierce_fetch::{Fetched, Fetcher, HttpSettings, Validators, client};

#[tokio::test]
async fn the_package_index_and_the_archive_answer() {
    let fetcher = Fetcher::new(client(&HttpSettings::default()).unwrap());
    for url in
        ["https://pypi.org/simple/pip/", "https://deb.debian.org/debian/dists/bookworm/InRelease"]
    {
        let url = url.parse().unwrap();
        let first = fetcher.get_if_changed(&url, &Validators::default(), 16 << 20).await;
        let validators = match first {
            Ok(Fetched::Body { bytes, validators }) if !bytes.is_empty() => validators,
            Ok(other) => panic!("{url}: {other:?}"),
            Err(error) if matches!(error, tierce_fetch::FetchError::Transport { .. }) => {
                eprintln!("skipped: {error}: no network");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        if validators != Validators::default() {
            let again = fetcher.get_if_changed(&url, &validators, 16 << 20).await.unwrap();
            assert_eq!(again, Fetched::NotModified, "{url}");
        }
    }
}
