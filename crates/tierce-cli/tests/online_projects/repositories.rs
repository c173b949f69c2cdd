//! Packages of repositories, in images that have no git.

use super::*;
use tierce_testing::GitRepository;

const USER: (&str, &str) = ("alice", "of-the-repository");

fn pylock(project: &Project, url: &str, commit: &str) {
    project.write(
        "pylock.toml",
        format!(
            "lock-version = '1.0'\ncreated-by = 'hand'\n[[packages]]\nname = 'hosted'\n\
             vcs = {{ type = 'git', url = '{url}', requested-revision = 'main', \
             commit-id = '{commit}' }}\n"
        ),
    );
}

#[test]
fn repositories_need_no_git_in_the_image() {
    let Some(part) = GitRepository::with_project(&ProjectSpec::new("part", "1"), None) else {
        return;
    };
    let Some(git) = GitRepository::with_project(&ProjectSpec::new("hosted", "4.0"), None) else {
        return;
    };
    let (parts, server) = (part.serve(None), git.serve(Some(USER)));
    let commit = git.add_submodule("hosted/inner", &parts.url(), &part.head());
    let text = format!("name = 'g'\n{BASE}project = {{ pylock = 'pylock.toml' }}\n");
    let project = Project::new(&text);
    pylock(&project, &server.url(), &commit);
    let said = errors::fails(&project, "python/git-failed");
    assert!(said.contains("hosted"), "{said}");

    let netrc = project.beside("netrc");
    fs::write(&netrc, format!("machine 127.0.0.1 login {} password {}\n", USER.0, USER.1)).unwrap();
    let with = |output: &str| {
        let output = format!("oci:{output}");
        let build = tierce(&project, ["build", "--format", "json", "--output", &output]);
        build.env("NETRC", &netrc)
    };
    let outcome = with("out").ok();
    assert!(!outcome.stderr.contains(USER.1), "{outcome}");
    let built = outcome.json();
    let code = "import hosted.inner.part, importlib.metadata as m, shutil; \
                print(m.distribution('hosted').read_text('direct_url.json'), shutil.which('git'))";
    if let Some(said) = python(&project, "out", &built, code) {
        let (direct, which) = said.trim().rsplit_once(' ').unwrap();
        let direct: Value = serde_json::from_str(direct).unwrap();
        assert_eq!(direct["url"], server.url());
        assert_eq!(direct["vcs_info"]["vcs"], "git");
        assert_eq!(direct["vcs_info"]["commit_id"], commit);
        assert_eq!(which, "None");
    }
    // What was fetched once is there.
    let (served, of_parts) = (server.served(), parts.served());
    with("again").ok();
    assert_eq!((server.served(), parts.served()), (served, of_parts));

    let lost = "0123456789".repeat(4);
    pylock(&project, &server.url(), &lost);
    let outcome = with("lost").fails(4, "python/no-commit");
    assert!(outcome.stderr.contains(&lost), "{outcome}");
    pylock(&project, &server.url(), "main");
    with("branch").fails(2, "python/bad-lock");
    // A submodule of this machine is nobody's to read.
    let local = git.add_submodule("hosted/local", &part.url(), &part.head());
    pylock(&project, &server.url(), &local);
    let outcome = with("local").fails(2, "python/bad-submodule");
    assert!(outcome.stderr.contains("hosted/local"), "{outcome}");
    // Neither here nor in the image.
    pylock(&project, &server.url(), &git.commit(&[("hosted/more.py", "X = 1\n")]));
    let nowhere = project.beside("nowhere");
    fs::create_dir(&nowhere).unwrap();
    let outcome = with("none").env("PATH", &nowhere).fails(3, "python/no-git");
    assert!(outcome.stderr.contains("apt = ['git']"), "{outcome}");
}
