"""A run whose whole project was moved or copied is found by where its files lie to each other."""

import shutil

import pytest
from paretune.search.storage.run_file import RunFile, read_run_file, write_run_file
from paretune.search.storage.url import StorageUrl


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    run_dir = root / "runs" / "mine"
    run_dir.mkdir(parents=True)
    (root / "study.yaml").write_text("name: mine")
    run = RunFile(
        name="mine",
        storage=StorageUrl.of_file(run_dir / "study.db"),
        study_file=root / "study.yaml",
        store=root / "store",
        own=True,
    )
    write_run_file(run_dir, run)
    return root


def test_a_moved_project_is_found(project, tmp_path):
    moved = project.rename(tmp_path / "elsewhere")
    found = read_run_file(moved / "runs" / "mine")
    assert found.study_file == moved / "study.yaml"
    assert found.storage.file == moved / "runs" / "mine" / "study.db"


def test_of_a_copy_the_study_file_is_the_one_it_was_run_from(project, tmp_path):
    copy = shutil.copytree(project / "runs" / "mine", tmp_path / "copy")
    assert read_run_file(copy).study_file == project / "study.yaml"
    (project / "study.yaml").unlink()
    assert read_run_file(copy).study_file == project / "study.yaml"
