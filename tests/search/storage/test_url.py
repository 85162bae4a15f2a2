"""What a storage is called: files of any name, servers, and passwords that nobody is shown."""

from __future__ import annotations

import os
import traceback
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import optuna
import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.passwords import without, without_passwords
from paretune.search.storage.connect import on_file
from paretune.search.storage.read_only import study_for_reading
from paretune.search.storage.redacted import without_passwords_of
from paretune.search.storage.storage import open_storage
from paretune.search.storage.study_store import StudyStore
from paretune.search.storage.url import StorageUrl

BASE = Path("/studies")


def made(url: StorageUrl) -> StudyStore:
    return StudyStore.create_or_resume(
        url=url,
        name="s",
        problem={},
        objectives={"accuracy": True},
        sampler=optuna.samplers.RandomSampler(seed=0),
    )


NAMES = [
    "what?", "a?timeout=1", "a#b", "a%41b", "50%", "{}", "{SCHEMA_VERSION}", "a b", "q'\"q", "ü€", "\udcff",
    "n\nl", "x" * 250, "here/../there", ":memory:", "file:x", "${HOME}", "a&b=c",
]  # fmt: skip


def test_a_study_lies_where_it_should_whatever_its_directory_is_called(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for name in NAMES:
        directory = tmp_path / name
        directory.mkdir(parents=True)
        file = StorageUrl.written(StorageUrl.of_file(directory / "study.db").kept, BASE).file
        assert file == directory / "study.db"
        with closing(on_file(file, "rwc")[1]["creator"]()) as connection:
            connection.execute("CREATE TABLE made (x)")
        assert (directory / "study.db").stat().st_size > 0, name
    assert len(list(tmp_path.glob("*"))) == len(NAMES) + 1, "nothing lies anywhere else"


def test_a_study_is_kept_and_read_where_a_url_would_mean_something_else(tmp_path: Path) -> None:
    urls = [StorageUrl.of_file(tmp_path / f"what?{n}#%41{{}} '\udcff" / "study.db") for n in range(2)]
    for url in urls:
        assert url.file
        url.file.parent.mkdir()
        with closing(made(url)) as studies:
            studies.study.tell(studies.study.ask(), 0.5)
    with study_for_reading(urls[0], "s") as reading:
        assert len(reading.study.trials) == 1, "two studies are never one"
    assert [path.name for path in tmp_path.glob("*/*")] == ["study.db"] * 2


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("sqlite:///kept.db", "/studies/kept.db"),
        ("sqlite:////kept.db", "/kept.db"),
        ("SQLite+PySQLite:///kept.db?timeout=3", "/studies/kept.db"),
        ("sqlite:///a%3Fb%2541.db", "/studies/a?b%41.db"),
        ("sqlite:///%FF.db", "/studies/\udcff.db"),
        ("sqlite:///${PLACE}/x.db", "/studies/a?b/x.db"),
    ],
)
def test_a_file_is_relative_to_the_study_file(text: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "a?b")
    url = StorageUrl.written(text, BASE)
    assert url.file == Path(file)
    assert StorageUrl.written(url.kept, Path("/elsewhere")).file == Path(file)


@pytest.mark.parametrize(
    "text",
    [
        "", "kept.db", "sqlite://", "sqlite:///", "sqlite://kept.db", "sqlite:///:memory:", "sqlite:///file:x",
        "sqlite:///a?b.db", "sqlite:///a.db?timeout=soon", "sqlite:///a/", "sqlite:///a%00b", "sqlite+aiosqlite:///x",
        "sqlite+pysqlcipher://:hunter2@/x.db", "postgres://me:hunter2@h/x", "postgresql+asyncpg://me:hunter2@h/x",
        "postgresql+psycopg2://me:hun@ter2@h/x", "postgresql+psycopg2://me:hunter2@h:port/x",
        "postgresql://me:hunter2", "redis://:hunter2@h", "me:hunter2@h/x", "host=h password=hunter2",
        "postgresql+psycopg2://me:${DB PASS}@h/x", "postgresql+psycopg2://me:${}@h/x", "journal:///x",
    ],
)  # fmt: skip
def test_what_is_no_storage_is_one_message_without_its_password(text: str) -> None:
    with pytest.raises(UserError) as caught:
        StorageUrl.written(text, BASE, "study.yaml: storage")
    assert caught.value.place == "study.yaml: storage"
    assert "ter2" not in "".join(traceback.format_exception(caught.value))


PASSWORD = "hun:ter/2@?#%41{}"
ENCODED = quote(PASSWORD, safe="")
SERVERS = [
    f"postgresql+psycopg2://me:{ENCODED}@127.0.0.1:1/x",
    f"POSTGRESQL+PSYCOPG2://me:{ENCODED}@[::1]:1/x",
    "postgresql+psycopg2://me:hun:ter/2@127.0.0.1:1/x",
    f"postgresql+psycopg2://me@127.0.0.1:1/x?password={ENCODED}&sslmode=disable",
    f"postgresql+psycopg2:///x?host=127.0.0.1&port=1&user=me&password={ENCODED}",
    f"postgresql+psycopg2:///x?host=/nowhere&user=me&sslpassword={ENCODED}",
    f"postgresql+psycopg2://me:{ENCODED}@127.0.0.1:1/x?service=none",
    f"postgresql+psycopg2://me:{ENCODED}@127.0.0.1:1/x?hunter={ENCODED}",
    f"mysql+pymysql://me:{ENCODED}@127.0.0.1:1/x?passwd={ENCODED}",
    f"mssql+pyodbc:///?odbc_connect=PWD%3D{ENCODED}",
    "postgresql+psycopg2://me:${DB_PASSWORD}@127.0.0.1:1/x",
    "postgresql+psycopg2://me:hunter2-${DB_PASSWORD}@127.0.0.1:1/x",
    "${DATABASE_URL}",
]


@pytest.mark.parametrize("text", SERVERS)
def test_no_password_is_shown_or_kept(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    monkeypatch.setenv("DATABASE_URL", SERVERS[0])
    url = StorageUrl.written(text, BASE)
    assert url.file is None
    with pytest.raises(UserError) as caught:
        open_storage(url)
    told = "".join(traceback.format_exception(caught.value))
    for shown in (url.shown, url.kept, repr(url), told, str(caught.value)):
        assert "ter/2" not in shown
        assert "ter2" not in shown
        assert ENCODED not in shown
    assert url.has_password
    assert url.keeps_all == ("${" in text and "hunter2" not in text)
    again = StorageUrl.written(url.kept, BASE)
    for part in ("drivername", "username", "host", "port", "database"):
        assert getattr(again.server, part) == getattr(url.server, part)


def test_a_variable_is_filled_in_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    url = StorageUrl.written("postgresql+psycopg2://me:${DB_PASSWORD}@h/x", BASE)
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    with pytest.raises(UserError, match="DB_PASSWORD"):
        _ = url.server
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    assert url.server.password == PASSWORD
    assert (url.server.host, url.server.database) == ("h", "x")
    assert PASSWORD not in url.without_secrets(f"wrong: {PASSWORD!r} {ENCODED}")


@pytest.mark.parametrize(
    "written",
    [
        "storage: postgresql+psycopg2://me:s3cret@h/x  # ask me@home\n",
        'storage: "postgresql+psycopg2://me:s3\\x63ret@h/x"\n',
        "storage: >-\n  postgresql+psycopg2://me:s3cret@h/x\n",
        "# storage: mysql://me:s3cret@old/x\nstorage: 'postgresql+psycopg2://me:s3cret@h/x'\n",
        "storage: postgresql+psycopg2://me@h/x?password=s3cret\nruns: there\n",
        "{storage: 'postgresql+psycopg2://me:s3cret@h/x', name: a}\n",
    ],
)
def test_a_study_file_is_recorded_without_its_password(written: str) -> None:
    text = f"name: ä\n{written}" if not written.startswith("{") else written
    value = "postgresql+psycopg2://me:s3cret@h/x"
    value = value if "?" not in written else "postgresql+psycopg2://me@h/x?password=s3cret"
    recorded = without_passwords_of(StorageUrl.written(value, BASE), text)
    assert "s3cret" not in recorded
    assert "s3\\x63ret" not in recorded
    assert "h/x" in recorded
    assert recorded.startswith(text[:7])


def test_passwords_in_any_text() -> None:
    harmless = "see http://host/page: it says sqlite:////a/b.db?timeout=3, mail me@home, passive=1"
    assert without_passwords(harmless) == harmless
    for filled_in in ("x://me:${DB}@h/x", "x://h/x?password=${DB}&user=me", "storage: x://me:${DB}@h/${X}"):
        assert without_passwords(filled_in) == filled_in
    assert "hunter2" not in without_passwords("x://me:${DB}hunter2@h/x")
    told = "postgresql://me:a@b:c@h/x?sslpassword=one&user=me dsn 'password=two' PWD=three;"
    hidden = "postgresql://me:***@h/x?sslpassword=***&user=me dsn 'password=***' PWD=***;"
    assert without_passwords(told) == hidden
    told = "AccountName=a;AccountKey=one==;x?sp=r&sig=two%3D&se=1 https://h/x?X-Amz-Signature=three design=b"
    hidden = "AccountName=a;AccountKey=***;x?sp=r&sig=***&se=1 https://h/x?X-Amz-Signature=*** design=b"
    assert without_passwords(told) == hidden
    assert "hunter2" not in str(UserError("wrong", found="[postgresql://me:hunter2@h/x]"))
    assert without(["a"], "a cat, 'a'") == "*** cat, '***'"
    assert without([os.fsdecode(b"p\xff")], "p%FF") == "***"
