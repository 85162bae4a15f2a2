"""What ssh said, as OpenSSH 9.2 wrote it, and what it means."""

import pytest
from paretune.backends.runner.launch import SshLaunch
from paretune.backends.runner.no_runner import by_facts, by_status
from paretune.backends.runner.ssh_words import by_ssh
from paretune.backends.runner.trouble import Trouble

FULL, HERE, NO_RUNNER = Trouble.FULL, Trouble.HERE, Trouble.NO_RUNNER
REFUSED, SILENT, STRANGER, TURNED_AWAY = (
    Trouble.REFUSED,
    Trouble.SILENT,
    Trouble.STRANGER,
    Trouble.TURNED_AWAY,
)
BOARD = SshLaunch(host="10.0.0.7", user="pi", port=2222, profile="my-board")
CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Add correct host key in /home/anna/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/anna/.ssh/known_hosts:1
  remove with:
  ssh-keygen -f "/home/anna/.ssh/known_hosts" -R "[10.0.0.7]:2222"
Host key for [10.0.0.7]:2222 has changed and you have requested strict checking.
Host key verification failed."""
JUMP = """ssh: connect to host 10.0.0.1 port 22: Connection refused
kex_exchange_identification: Connection closed by remote host"""
BEHIND_JUMP = """channel 0: open failed: connect failed: Connection refused
stdio forwarding failed
kex_exchange_identification: Connection closed by remote host"""


@pytest.mark.parametrize(
    ("said", "trouble", "shown", "advised"),
    [
        (CHANGED, STRANGER, "known_hosts:1", 'ssh-keygen -f "/home/anna/.ssh/known_hosts" -R'),
        ("Host key verification failed.", STRANGER, "verification", "`ssh -p 2222 pi@10.0.0.7`"),
        ("pi@x: Permission denied (publickey,password).", REFUSED, "denied", "ssh-copy-id -p 2222"),
        ("pi@x: Permission denied (publickey).", REFUSED, "denied", "authorized_keys"),
        ("Received disconnect from x: Too many authentication failures", REFUSED, "Too many", "Ide"),
        ("ssh: connect to host x port 22: Connection refused", SILENT, "refused", "switched on"),
        ("ssh: connect to host x port 22: No route to host", SILENT, "No route", "switched on"),
        ("ssh: Could not resolve hostname x: Name or service not known", SILENT, "resolve", "`host`"),
        ("Connection timed out during banner exchange", SILENT, "banner", "switched on"),
        ("Timeout, server 10.0.0.7 not responding.", SILENT, "not responding", "switched on"),
        (JUMP, SILENT, "10.0.0.1", "switched on"),
        (BEHIND_JUMP, SILENT, "open failed", "switched on"),
        ("kex_exchange_identification: read: Connection reset by peer", TURNED_AWAY, "reset", "Max"),
        ("Connection to 10.0.0.7 closed by remote host.", TURNED_AWAY, "closed", "MaxStartups"),
        ("kex_exchange_identification: banner line contains invalid characters", STRANGER, "banner",
         "`port`"),
        ("/home/anna/.ssh/config: line 1: Bad configuration option: nonsense", HERE, "line 1", "ssh -G"),
        ("Bad owner or permissions on /home/anna/.ssh/config", HERE, "owner", "ssh -G"),
        ("Unable to negotiate with x port 22: no matching key exchange method found.", REFUSED, "nego",
         "allow"),
        ("Load key \"/k\": bad permissions\npi@x: Permission denied (publickey).", REFUSED, "Load key",
         "chmod"),
        ("Warning: Identity file /k not accessible: No such file or directory.", None, "", ""),
    ],
)  # fmt: skip
def test_what_ssh_says_has_a_kind_and_advice(said, trouble, shown, advised):
    banner = "Authorized users only.\n"
    found = by_ssh(BOARD, banner + said)
    assert (found and found.trouble) is trouble
    if found:
        assert shown in found.found
        assert "\n" not in found.found
        assert advised in found.remedy
        assert "my-board" in found.problem


@pytest.mark.parametrize(
    ("status", "log", "trouble"),
    [
        (127, "env: 'python9': No such file or directory", NO_RUNNER),
        (126, "sh: 1: exec: /usr/bin/python3: Permission denied", NO_RUNNER),
        (1, "This account is currently not available.", NO_RUNNER),
        (255, "", SILENT),
        (255, "ssh: connect to host x port 22: Connection refused", SILENT),
        (137, "", SILENT),
    ],
)
def test_how_a_login_ended_has_a_kind(status, log, trouble):
    assert by_status(BOARD, status, log, "Welcome").trouble is trouble


@pytest.mark.parametrize(
    ("facts", "trouble", "named"),
    [
        ({"what": "python", "python": "3.8.10", "executable": "/usr/bin/python3"}, NO_RUNNER, "3.8.10"),
        ({"what": "workdir", "number": 13, "folder": "/x", "said": "Permission denied"}, NO_RUNNER, "/x"),
        ({"what": "workdir", "number": 28, "folder": "/x", "said": "No space left"}, FULL, "/x"),
        ({"what": "import", "missing": "numpy", "said": "No module named 'numpy'"}, NO_RUNNER, "numpy"),
        ({"what": "import", "missing": "paretune"}, NO_RUNNER, "no paretune"),
        ({"what": "import", "missing": "paretune.backends.later"}, NO_RUNNER, "another version"),
        ({"what": "import", "kind": "MemoryError", "said": ""}, SILENT, "libraries"),
        ({"what": [1], "missing": 7, "python": None}, NO_RUNNER, "my-board"),
    ],
)  # fmt: skip
def test_what_python_tells_there_has_a_kind(facts, trouble, named):
    found = by_facts(BOARD, facts)
    assert found.trouble is trouble
    assert named in str(found)
