"""A study that is to be run from several machines: where it may lie, and how it comes there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import closing
from unittest.mock import patch

import pytest
import yaml
from paretune.profiles.errors import UserError
from paretune.search.cluster.run import run_study_with_workers
from paretune.search.cluster.start import on_this_machine
from paretune.search.job.workers_section import WorkersSection
from paretune.search.storage.shared import check_shared
from paretune.search.storage.url import StorageUrl
from postgresql import server
from study.conftest import STUDY
from study_on_server import kept, kept_at, open_study, searched, url_at


def refused(url):
    with pytest.raises(UserError) as caught:
        check_shared(url, "a study's")
    return caught.value


def test_a_file_is_refused_with_what_to_write_instead(tmp_path):
    error = refused(StorageUrl.of_file(tmp_path / "study.db"))
    assert str(tmp_path / "study.db") in error.found
    assert StorageUrl.written(error.accepted.removeprefix("storage: "), tmp_path)
    assert "pip install 'paretune[postgres]'" in error.remedy
    assert "copy_study" not in error.remedy, "there is nothing to be moved"


def test_a_cluster_on_other_machines_is_joined_only_with_a_study_on_a_server(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump({**STUDY, "name": "mine"}))
    with pytest.raises(UserError, match="has to lie on a database server"):
        run_study_with_workers(study, WorkersSection(cluster="tcp://10.0.0.7:8786"))
    here = ["tcp://127.0.0.1:8786", "localhost:1", "tls://[::1]:8786"]
    assert [on_this_machine(one) for one in (*here, "tcp://head:8786")] == [True, True, True, False]


def test_a_server_is_taken_and_its_driver_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE", "postgresql+psycopg2://me:hunter2@db/x")
    check_shared(StorageUrl.written("${WHERE}", tmp_path), "s")
    with patch.dict(sys.modules, {"psycopg2": None}):
        assert refused(StorageUrl.written("${WHERE}", tmp_path)).remedy == "pip install 'paretune[postgres]'"
    assert "psycopg[binary]" in refused(StorageUrl.written("postgresql+psycopg://me@db/x", tmp_path)).remedy


def test_another_server_than_postgresql_is_refused_for_several_machines(tmp_path):
    error = refused(StorageUrl.written("mysql+pymysql://me:hunter2@db/x", tmp_path))
    assert "second run" in error.problem
    assert "PostgreSQL" in error.remedy
    assert "hunter2" not in str(error)


def test_the_command_that_moves_a_study_moves_all_of_it(tmp_path):
    """Whatever its name; and a run goes on with it there."""
    file = StorageUrl.of_file(tmp_path / "it's \\ {50%} %41 #1?.db")
    with closing(open_study(file, "a study's")) as store:
        searched(store, 4)
        before = kept(store)
    command = re.search(r"`(python -c .*)` *\.", refused(file).remedy, re.DOTALL)[1]
    with server() as there:
        url = url_at(there.port)
        environment = {**os.environ, "STUDIES": url.text}
        subprocess.run([sys.executable, *shlex.split(command)[1:]], env=environment, check=True)
        assert kept_at(url, "a study's") == before
        with closing(open_study(url, "a study's")) as store:
            searched(store, 1)
            assert kept(store)[1][: len(before[1])] == before[1]
