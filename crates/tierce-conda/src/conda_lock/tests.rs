use super::*;

const LOCK: &str = "
version: 1
metadata:
  content_hash: {linux-64: aa}
  channels:
  - {url: https://me:pw@h/conda-forge, used_env_vars: []}
  platforms: [linux-64, osx-arm64]
package:
- name: python
  version: 3.11.9
  manager: conda
  platform: linux-64
  dependencies: {libfoo: '>=1,<2'}
  url: https://h/conda-forge/linux-64/python-3.11.9-h1_0_cpython.conda
  hash: {md5: d7c89558ba9fa0495403155b64376d81, sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
  category: main
  optional: false
- name: pytest
  version: '8.0'
  manager: conda
  platform: linux-64
  dependencies: {}
  url: https://h/conda-forge/noarch/pytest-8.0-py_0.conda
  hash: {sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
  category: dev
  optional: true
- name: httpx
  version: '0.27'
  manager: pip
  platform: linux-64
  dependencies: {}
  url: https://f/httpx-0.27-py3-none-any.whl
  hash: {sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
  category: main
  optional: false
";

#[test]
fn locks_are_read() {
    let lock = ForeignLock::parse_conda_lock(LOCK.as_bytes(), "linux-64").unwrap();
    assert_eq!(lock.packages.len(), 1);
    let python = &lock.packages[0];
    assert_eq!((python.version.as_str(), python.build.as_str()), ("3.11.9", "h1_0_cpython"));
    assert_eq!(python.depends.as_deref().unwrap(), ["libfoo >=1,<2"]);
    assert_eq!(lock.channels, ["https://h/conda-forge"]);
    assert_eq!(lock.pypi[0].name, "httpx");
    let error = ForeignLock::parse_conda_lock(LOCK.as_bytes(), "linux-aarch64").unwrap_err();
    assert!(error.to_string().ends_with("it is for linux-64, osx-arm64"), "{error}");
}

#[test]
fn lists_are_read() {
    let list = "# platform: linux-64\n@EXPLICIT\n\
        https://me:pw@h/c/linux-64/a-1.0-0.tar.bz2#d7c89558ba9fa0495403155b64376d81\n\
        https://h/t/tk-1/c/noarch/b-2-py_0.conda#sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\
        # pip x @ https://f/x-1-py3-none-any.whl --hash=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
    let lock = ForeignLock::parse_conda_lock(list.as_bytes(), "linux-64").unwrap();
    assert!(lock.packages[0].md5.is_some() && lock.packages[0].sha256.is_none());
    assert_eq!(lock.packages[0].url.as_str(), "https://h/c/linux-64/a-1.0-0.tar.bz2");
    assert_eq!(lock.packages[1].url.as_str(), "https://h/c/noarch/b-2-py_0.conda");
    assert_eq!(lock.packages[1].channel, "https://h/c/");
    assert_eq!(lock.pypi.len(), 1);
    for (text, expected) in [
        ("@EXPLICIT\nhttps://h/c/linux-64/a-1.0-0.conda\n", "no hash"),
        ("@EXPLICIT\nhttps://h/c/linux-64/a-1.0-0.conda#abc\n", "neither MD5"),
        (
            "@EXPLICIT\nhttps://h/c/linux-64/a.zip#d7c89558ba9fa0495403155b64376d81\n",
            "no package's",
        ),
        (
            "@EXPLICIT\nhttps://h/c/osx-64/a-1.0-0.conda#d7c89558ba9fa0495403155b64376d81\n",
            "osx-64",
        ),
        ("x: 1\n", "neither a conda-lock.yml"),
        ("version: 3\nmetadata: {}\npackage: []\n", "version 3"),
    ] {
        let error = ForeignLock::parse_conda_lock(text.as_bytes(), "linux-64").unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}
