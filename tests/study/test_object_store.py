"""A study whose store is an object store: what one machine made, another does not make again."""

import shutil

import pytest
from paretune.search.run.stored import open_run
from s3_server import s3_server

pytestmark = pytest.mark.slow
MADE = ("teacher", "distill", "export", "compile")


@pytest.fixture
def s3(tmp_path, monkeypatch):
    with s3_server(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.make("team")
        yield server


def test_a_study_on_another_machine_trains_and_compiles_nothing_again(bench_in, tmp_path, s3):
    studies = {}
    for machine in "ab":
        (tmp_path / machine).mkdir()
        space = {"student": {"width": [4]}, "precision": ["fp32", "int8"], "backend": ["toy"]}
        bench = bench_in(tmp_path / machine)
        study = bench.study(
            store="s3://team/of/all", space=space, budget={"trials": 2}, ladder="never", finalists=1
        )
        studies[machine] = bench, study
        done = bench.run("run", study, XDG_CACHE_HOME=str(tmp_path / machine / "cache"))
        assert done.returncode == 0, done.stderr
        if machine == "a":
            there = set(s3.names("team"))
    first, second = (open_run(study)[0] for _, study in studies.values())
    assert first.store == second.store == "s3://team/of/all"
    new = {name.split("/")[3] for name in set(s3.names("team")) - there if "/entries/" in name}
    assert new.isdisjoint(MADE), new
    trained = {t.evaluation.candidate.title: t.evaluation.artifact_key for t in first.trials}
    assert trained == {t.evaluation.candidate.title: t.evaluation.artifact_key for t in second.trials}
    assert all(stage.cached for t in second.trials for stage in t.evaluation.stages if stage.name in MADE)
    assert not [name for name in s3.names("team") if "/leases/" in name or "/work/" in name]

    bench, study = studies["b"]
    shutil.rmtree(tmp_path / "b" / "cache")
    number = next(t.number for t in second.trials if t.evaluation.artifact_key)
    done = bench.run("export", study, number, "-o", "bundle", XDG_CACHE_HOME=str(tmp_path / "b" / "cache"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b" / "bundle" / "run.py").is_file()
    shown = bench.run("store", "show", study, XDG_CACHE_HOME=str(tmp_path / "b" / "cache"))
    assert shown.returncode == 0, shown.stderr
    assert "the cache of s3://team/of/all" in shown.stdout
    refused = bench.run("store", "gc", "s3://team/of/all")
    assert refused.returncode == 1
    assert "name the study file" in refused.stderr
