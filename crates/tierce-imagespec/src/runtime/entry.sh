#!/bin/sh
# Installs the packages of _F_RUNTIME_PACKAGES, and then runs the command of the container.
set -f

say() {
    printf 'tierce: %s\n' "$*" >&2
}

run() {
    if [ $# -eq 0 ]; then
        say "no command was given"
        exit 127
    fi
    exec "$@"
}

# With what the image has; what it prints is not the command's output. Blanks are between packages,
# as in flytekit.
install() {
    IFS=' '
    if "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m pip install --no-input --disable-pip-version-check $_F_RUNTIME_PACKAGES >&2
        return
    fi
    if command -v uv >/dev/null 2>&1; then
        uv pip install --python "$python" $_F_RUNTIME_PACKAGES >&2
        return
    fi
    for pip in pip3 pip; do
        if command -v "$pip" >/dev/null 2>&1; then
            "$pip" --python "$python" install --no-input --disable-pip-version-check $_F_RUNTIME_PACKAGES >&2
            return
        fi
    done
    say "neither pip nor uv is in the image: add \"pip\" to packages"
    return 127
}

case "${_F_RUNTIME_PACKAGES-}" in
*[!\ ]*) ;;
*) run "$@" ;;
esac

python=$(command -v python3 || command -v python) || {
    say "the packages $_F_RUNTIME_PACKAGES can't be installed: there is no python in the image"
    exit 127
}

command=${1-}
case "${command##*/}" in
pyflyte-execute | pyflyte-fast-execute | pyflyte-map-execute)
    if "$python" -m pip --version >/dev/null 2>&1; then
        say "flytekit installs the packages $_F_RUNTIME_PACKAGES"
        run "$@"
    fi
    ;;
esac

say "installing the packages $_F_RUNTIME_PACKAGES"
install || {
    status=$?
    say "the packages $_F_RUNTIME_PACKAGES could not be installed"
    exit "$status"
}
# Once is enough.
unset _F_RUNTIME_PACKAGES
run "$@"
