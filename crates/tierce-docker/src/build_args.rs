//! Values of build arguments, for programs: in their environment, as anybody may read command lines.

use crate::error::DockerError;
use crate::process::Program;
use std::collections::BTreeMap;

/// Variables that docker, podman, or what these run, read for themselves.
const READ: [&str; 35] = [
    "ALL_PROXY",
    "BUILDAH_FORMAT",
    "BUILDAH_ISOLATION",
    "BUILDAH_LAYERS",
    "BUILDAH_RUNTIME",
    "BUILDKIT_COLORS",
    "BUILDKIT_HOST",
    "BUILDKIT_NO_CLIENT_TOKEN",
    "BUILDKIT_PROGRESS",
    "BUILDKIT_TTY_LOG_LINES",
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "LOGNAME",
    "NETAVARK_FW",
    "NOTIFY_SOCKET",
    "NO_PROXY",
    "PATH",
    "PWD",
    "REGISTRIES_CONFIG_PATH",
    "REGISTRY_AUTH_FILE",
    "SHELL",
    "SIGNATURE_POLICY",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "USER",
    "USERNAME",
    "_",
];

/// What the names of others begin with.
const FAMILIES: [&str; 13] = [
    "BASH_",
    "BUILDX_",
    "CONTAINERS_",
    "CONTAINER_",
    "DOCKER_",
    "GLIBC_",
    "GODEBUG",
    "GOMAXPROCS",
    "LD_",
    "LISTEN_",
    "PODMAN_",
    "STORAGE_",
    "XDG_",
];

/// Whether a program that runs builds would take the variable `name` to be for itself. Proxies are
/// read in lower case, too.
fn is_read(name: &str) -> bool {
    let name = match name.ends_with("_proxy") {
        true => name.to_ascii_uppercase(),
        false => name.to_owned(),
    };
    READ.contains(&name.as_str()) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// `--build-arg NAME` for each: the program takes the value from its environment
/// ([`with_values`]).
pub(crate) fn arguments(build_args: &BTreeMap<String, String>) -> Vec<String> {
    build_args.keys().flat_map(|name| ["--build-arg".to_owned(), name.clone()]).collect()
}

/// `program` with the values in its environment.
///
/// # Errors
/// [`DockerError::BuildArgument`]: a value would be taken for something else.
pub(crate) fn with_values(
    mut program: Program,
    build_args: &BTreeMap<String, String>,
) -> Result<Program, DockerError> {
    for (name, value) in build_args {
        let is_own = program.variables.iter().any(|(own, _)| own == name);
        if (is_own || is_read(name)) && !program.has(name, value) {
            let program = program.name();
            return Err(DockerError::BuildArgument { program, name: name.clone() });
        }
    }
    let values = build_args.iter().map(|(name, value)| (name.clone(), value.clone()));
    program.variables.extend(values);
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(variables: &[(&str, &str)]) -> Program {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Program {
            path: "/bin/sh".into(),
            arguments: vec![],
            variables: variables.iter().map(own).collect(),
            hidden: vec![],
        }
    }

    fn args(name: &str, value: &str) -> BTreeMap<String, String> {
        [(name.to_owned(), value.to_owned())].into()
    }

    #[tokio::test]
    async fn values_are_in_the_environment_and_on_no_command_line() {
        let given = args("TOKEN", "a canary\n");
        assert_eq!(arguments(&given), ["--build-arg", "TOKEN"]);
        let program = with_values(program(&[]), &given).unwrap();
        let script = ["-c".to_owned(), "printf '<%s>' \"$TOKEN\"".to_owned()];
        assert_eq!(program.output(&script).await.unwrap().unwrap(), "<a canary\n>\n");
        assert!(!program.display(&arguments(&given)).contains("canary"));
    }

    #[test]
    fn what_a_program_reads_for_itself_is_refused() {
        use tierce_oci::Diagnostic;
        for name in ["PATH", "HOME", "DOCKER_HOST", "http_proxy", "HTTPS_PROXY", "LD_PRELOAD"] {
            let error = with_values(program(&[]), &args(name, "a canary")).unwrap_err();
            assert_eq!(error.code(), "builder/build-argument");
            let said = format!("{error} {:?} {error:?}", error.hint());
            assert!(said.contains(name) && !said.contains("canary"), "{said}");
        }
        assert!(with_values(program(&[("OWN", "x")]), &args("OWN", "y")).is_err());
        for name in ["VERSION", "PATHS", "BUILDKIT_INLINE_CACHE", "TIERCE_LF", "LDFLAGS"] {
            assert!(with_values(program(&[]), &args(name, "1")).is_ok(), "{name}");
        }
        // It has that value anyway.
        let path = std::env::var("PATH").unwrap();
        assert!(with_values(program(&[]), &args("PATH", &path)).is_ok());
    }
}
