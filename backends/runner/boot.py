"""The first lines of Python that a runner executes, before it can import anything of ours: here, and there.

What keeps it from starting on a device comes back as facts (a version, a module's name, a number of an error)
in one line on standard output, and not as words of a shell that somebody would have to recognise.
"""

from __future__ import annotations

import json

LEAST_PYTHON = (3, 10)
DIGEST = "PARETUNE_RUNNER"
"""The variable in which a runner finds the digest of itself that a setup left."""
STARTS, TROUBLE = b"paretune-runner-starts ", b"paretune-runner-trouble "
"""What such a line begins with: Python runs there; it has to give up. JSON follows."""

# Registers the package from its own directory, whatever that is called, and takes the working directory off
# the search path: a user's `random.py` beside the study must not replace the standard library's.
HERE = """
import importlib.util, json, sys
package, path = json.loads(sys.argv[1])
sys.argv[:2] = ["paretune-runner"]
sys.path[:1] = []
sys.path += [entry for entry in path if entry not in sys.path]
spec = importlib.util.spec_from_file_location(
    "paretune", package + "/__init__.py", submodule_search_locations=[package]
)
module = importlib.util.module_from_spec(spec)
sys.modules["paretune"] = module
spec.loader.exec_module(module)
from paretune.backends.runner.serve import main
main(sys.argv[1:])
"""

# The set that a setup left is held by a lock as long as the runner lives, so that no other setup removes what
# it may still load. Any Python reads this, also one that is too old. No single quotes, exclamation marks,
# backslashes or line ends within texts: it travels through a login shell that may be any, csh and fish among
# them.
_THERE = """
import sys
sys.path[:1] = []
import json, os
asked = json.loads(sys.argv[1])
def told(mark, **facts):
    facts.update(python=".".join(map(str, sys.version_info[:3])), executable=sys.executable)
    os.write(1, (chr(10) + mark + json.dumps(facts) + chr(10)).encode())
def ended(what, said, **facts):
    told(asked["trouble"], what=what, said=str(said)[-2000:], **facts)
    sys.exit(1)
if sys.version_info < tuple(asked["least"]):
    ended("python", "")
told(asked["starts"])
folder = os.path.expanduser(asked["workdir"])
try:
    if folder:
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        os.listdir(".")
except OSError as error:
    ended("workdir", error.strerror, number=error.errno, folder=os.path.abspath(folder))
place, held = os.path.join(os.getcwd(), "prepared"), None
try:
    name = asked["prepared"] or open(os.path.join(place, "current")).read().strip()
    held = open(os.path.join(place, "sets", name + ".json"))
except OSError:
    pass
if held:
    try:
        import fcntl
        fcntl.flock(held, fcntl.LOCK_SH)
    except OSError:
        pass
    try:
        found = json.load(held)
        path = [os.path.join(place, "parts", part["name"]) for part in found["parts"]]
        os.environ["PARETUNE_RUNNER"] = found["runner"]
        tag = found["tag"]
    except (ValueError, KeyError, TypeError) as error:
        ended("prepared", error, tag="")
    if not tag == sys.implementation.cache_tag:
        ended("prepared", "", tag=str(tag))
    sys.path[:0] = path
    sys.dont_write_bytecode = False
sys.argv[:2] = ["paretune-runner"]
try:
    from paretune.backends.runner.supervise import supervised
    supervised()
    from paretune.backends.runner.serve import main
except BaseException as error:
    missing = error.name if isinstance(error, ImportError) else None
    ended("import", error, kind=type(error).__name__, missing=missing)
main(sys.argv[1:])
"""


def there(workdir: str, prepared: str) -> list[str]:
    """What the Python of a device gets after its name: it works in `workdir` (empty: where the login starts),
    and starts from the set of that name that was prepared there, or from the last one."""
    asked = {
        "workdir": workdir,
        "prepared": prepared,
        "least": LEAST_PYTHON,
        "starts": STARTS.decode(),
        "trouble": TROUBLE.decode(),
    }
    return ["-c", f"exec({json.dumps(_THERE)})", json.dumps(asked)]
