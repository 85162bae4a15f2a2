"""Keeps what pytest makes of the tests' modules and of its plugins: assertions that tell what they compared.

Else each process that runs tests makes all of it in its first run, which takes as long as to import what is
tested. Here it is made once, on two cores, as the pytest that `constraints.txt` names keeps it; where another
one has other ways, it makes it as ever.
"""

from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path

from _pytest.assertion import rewrite

TESTS = Path(__file__).parent


def keep(path):
    source_hash, code = rewrite._rewrite_test(path, None)
    folder = rewrite.get_cache_dir(path)
    folder.mkdir(exist_ok=True)
    rewrite._write_pyc(None, code, source_hash, folder / (path.stem + rewrite.PYC_TAIL))


def plugins():
    """Modules of the packages that bring plugins."""
    for dist in metadata.distributions():
        if any(entry.group == "pytest11" for entry in dist.entry_points):
            files = (Path(dist.locate_file(file)) for file in dist.files or () if file.suffix == ".py")
            yield from filter(Path.is_file, files)


def main():
    wanted = [*TESTS.rglob("test_*.py"), *TESTS.rglob("conftest.py"), *plugins()]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(keep, wanted, chunksize=16))


if __name__ == "__main__":
    main()
