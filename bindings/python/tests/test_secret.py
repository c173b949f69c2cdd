"""`tierce.Secret`."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from tierce import Secret
from tierce.errors import SpecificationError

# The arguments, and what the secret then says of itself.
SECRETS: list[tuple[Secret, tuple[str, str | None, Path | None, str | None], str]] = [
    (Secret("token"), ("token", None, None, "TOKEN"), "Secret('token')"),
    (Secret("pypi-token"), ("pypi-token", None, None, "PYPI_TOKEN"), "Secret('pypi-token')"),
    (
        Secret("token", "pypi"),
        ("token", "pypi", None, "PYPI_TOKEN"),
        "Secret('token', group='pypi')",
    ),
    (
        Secret("token", mount=Path("/run/secrets/token")),
        ("token", None, Path("/run/secrets/token"), None),
        "Secret('token', mount='/run/secrets/token')",
    ),
    (
        Secret("token", mount="/etc/flyte/secrets", as_env_var="T"),
        ("token", None, Path("/etc/flyte/secrets"), "T"),
        "Secret('token', mount='/etc/flyte/secrets', as_env_var='T')",
    ),
    (
        Secret(key="token", as_env_var="lower"),
        ("token", None, None, "lower"),
        "Secret('token', as_env_var='lower')",
    ),
]


@pytest.mark.parametrize("case", range(len(SECRETS)))
def test_what_a_secret_says(case: int) -> None:
    secret, said, shown = SECRETS[case]
    assert (secret.key, secret.group, secret.mount, secret.as_env_var) == said
    assert repr(secret) == shown
    assert eval(shown, {"Secret": Secret}) == secret
    again = pickle.loads(pickle.dumps(secret))
    assert again == secret and hash(again) == hash(secret)
    assert again.stable_hash() == secret.stable_hash()


def test_secrets_differ_by_everything_they_say() -> None:
    secrets = [secret for secret, _, _ in SECRETS]
    assert len(set(secrets)) == len(secrets)
    assert len({secret.stable_hash() for secret in secrets}) == len(secrets)
    # Names do not run into each other.
    assert Secret("b_c", group="a").stable_hash() != Secret("c", group="a_b").stable_hash()
    assert Secret("token") == Secret("token", as_env_var="TOKEN")
    assert Secret("token") != "token"


def test_the_hash_is_the_same_in_every_process() -> None:
    assert Secret("token").stable_hash() == (
        "8649284e4ddf0b418b446971ef3bb83488fa96e5893173a765ee58f2e401356d"
    )


def test_nothing_about_a_secret_can_change() -> None:
    secret = Secret("token")
    for attribute in ("key", "mount", "as_env_var", "value"):
        with pytest.raises(AttributeError):
            setattr(secret, attribute, "other")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": ""}, "not a secret's name"),
        ({"key": "a b"}, "a b"),
        ({"key": "../x"}, "../x"),
        ({"key": "a", "group": "b/c"}, "b/c"),
        ({"key": "a", "mount": "relative"}, "relative"),
        ({"key": "a", "mount": "/proc/x"}, "/proc"),
        ({"key": "a", "as_env_var": "A=B"}, "A=B"),
        ({"key": "1a"}, "digit"),
    ],
)
def test_secrets_that_no_step_could_see_are_refused(
    arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(SpecificationError) as raised:
        Secret(**arguments)
    assert message in str(raised.value)
    assert raised.value.code.startswith("spec/")


def test_the_value_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    secret = Secret("token")
    said = (repr(secret), str(secret), str(pickle.dumps(secret)), secret.stable_hash())
    assert not [text for text in said if "hunter2" in text]
