"""What ssh says where a line cannot be had: it has one exit status for everything, so that its words are all
there is to go by. They are read here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ...profiles.words import one_line
from .launch import Launch, SshLaunch
from .trouble import Trouble, UnreachableError


@dataclass(frozen=True)
class _Said:
    """What ssh says (the first group, where there is one, is what is shown), and what that means."""

    words: str
    trouble: Trouble
    problem: str
    remedy: str


SEE = "see that `{by_hand}` works without a password"
_ON = "see that it is switched on and in the network: `{by_hand}`"
# The first that fits: a word that tells more stands before one that always follows it.
_SAID = (
    _Said(
        r"(.*(?:[Bb]ad configuration option|Bad owner or permissions on|[Mm]issing argument|"
        r"[Bb]ad number|no argument after keyword|Can't open user config file).*)",
        Trouble.HERE,
        "the settings of ssh on this machine cannot be used",
        "mend the file that is named; `ssh -G {address}` reads it without connecting",
    ),
    _Said(
        r"(?:REMOTE HOST IDENTIFICATION HAS CHANGED[\s\S]*?(Offending .*)|(Host key for .* has changed.*))",
        Trouble.STRANGER,
        "it shows another host key than the one that is known here",
        "if it was installed anew, forget the old key, `{forget}`, and log in once by hand, `{by_hand}`; if "
        "not, another machine answers in its place",
    ),
    _Said(
        r"(.*(?:REVOKED HOST KEY|is marked as revoked).*)",
        Trouble.STRANGER,
        "its host key is revoked here",
        "ask whoever revoked it, or give the device another host key",
    ),
    _Said(
        r"(Host key verification failed.*)",
        Trouble.STRANGER,
        "its host key is not known here",
        "log in once by hand, `{by_hand}`, and compare the fingerprint that is shown with the device's",
    ),
    _Said(
        r"(?:UNPROTECTED PRIVATE KEY FILE[\s\S]*?(Permissions .* for .* are too open)|"
        r"(Load key .*: (?:bad permissions|error in libcrypto|incorrect passphrase).*))",
        Trouble.REFUSED,
        "ssh does not use its private key",
        "mend the key: `chmod 600`, or load one with a passphrase into the agent, `ssh-add`",
    ),
    _Said(
        r"(.*Permission denied \(.*(?:password|keyboard-interactive).*)",
        Trouble.REFUSED,
        "it wants a password",
        "give it a key, `{copy_key}`; a key with a passphrase belongs into the agent, `ssh-add`",
    ),
    _Said(
        r"(.*Permission denied.*)",
        Trouble.REFUSED,
        "it accepts no key of ours",
        "have the public key added to `~/.ssh/authorized_keys` of that user; `{by_hand} -v` shows which keys "
        "are offered",
    ),
    _Said(
        r"(.*Too many authentication failures.*)",
        Trouble.REFUSED,
        "it was offered too many keys",
        "name the right one in `~/.ssh/config`: `IdentityFile` and `IdentitiesOnly yes` for this host",
    ),
    _Said(
        r"(Unable to negotiate .*|.*no matching (?:host key type|cipher|key exchange|MAC).*)",
        Trouble.REFUSED,
        "it and the ssh here have no method in common",
        "update one of both, or allow the method in `~/.ssh/config` for this host",
    ),
    _Said(
        r"(.*(?:invalid format|invalid characters|No SSH version received|Bad packet length|"
        r"Protocol major versions differ|Bad remote protocol).*)",
        Trouble.STRANGER,
        "what answers there is no ssh server",
        "check `host` and `port` under `reach` in the profile",
    ),
    _Said(
        r"(.*(?:stdio forwarding failed|open failed: (?!.*prohibited)).*)",
        Trouble.SILENT,
        "the host that the connection goes through does not reach it",
        _ON,
    ),
    _Said(
        r"(.*(?:administratively prohibited|session open refused).*)",
        Trouble.REFUSED,
        "it, or the host that the connection goes through, does not allow this",
        SEE,
    ),
    _Said(
        r"(.*Could not resolve hostname.*)",
        Trouble.SILENT,
        "nobody knows its host name",
        "check `host` under `reach` in the profile, and that the network's names are known here",
    ),
    _Said(
        r"(.*(?:connect to (?:host|address) .*|timed out during banner exchange.*|[Cc]onnection timed out.*|"
        r"Timeout, server .*|Connection to .* timed out.*))",
        Trouble.SILENT,
        "",
        _ON,
    ),
    _Said(
        r"(.*(?:UNKNOWN port|kex_exchange_identification|Connection (?:closed|reset) by|Connection reset|"
        r"closed by remote host|[Bb]roken pipe|Not allowed at this time|Received disconnect|"
        r"Disconnected from|dispatch_run_fatal).*)",
        Trouble.TURNED_AWAY,
        "it closed the connection at once",
        "it may be starting, or at its limit on logins (`MaxStartups` of sshd), or no ssh server listens on "
        "this port: `{by_hand}`",
    ),
)  # fmt: skip
_FORGET = re.compile(r"^\s*(ssh-keygen -f .* -R .*)$", re.MULTILINE)


def by_ssh(launch: Launch, log: str) -> UnreachableError | None:
    """What ssh itself says; None where nothing of it is known."""
    for rule in _SAID:
        found = re.search(rule.words, log)
        if found is not None:
            shown = next((group for group in found.groups() if group), found[0])
            return UnreachableError(
                launch,
                rule.trouble,
                problem=rule.problem,
                found=one_line(shown, 300),
                remedy=rule.remedy.format(**_names(launch, log)),
            )
    return None


def _names(launch: Launch, log: str) -> Mapping[str, str]:
    if not isinstance(launch, SshLaunch):
        return dict.fromkeys(("by_hand", "address", "forget", "copy_key"), launch.by_hand)
    forget = _FORGET.search(log)
    return {
        "by_hand": launch.by_hand,
        "address": launch.address,
        "forget": one_line(forget[1], 300) if forget else launch.key_forgotten,
        "copy_key": launch.by_hand.replace("ssh", "ssh-copy-id", 1),
    }
