import pytest
from s3_server import s3_server


@pytest.fixture(scope="session")
def _s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(_s3, monkeypatch, tmp_path):
    """The S3 server, with the environment that leads to it."""
    for name, value in {**_s3.environment, "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    return _s3


@pytest.fixture
def bucket(s3, request):
    name = f"b{abs(hash(request.node.nodeid)):x}"
    s3.make(name)
    return name
