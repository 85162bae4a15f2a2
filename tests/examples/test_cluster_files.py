"""The files by which a cluster is set up: what they start exists, and nothing of them is open or secret."""

import ast
import os
import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from dask.utils import parse_timedelta
from distributed.cli import dask_scheduler, dask_worker
from paretune.search.job.study_file import load_study_file

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
OBJECTS = {one["kind"]: one for one in yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())}
CLUSTER = OBJECTS["DaskCluster"]["spec"]


def of_slurm() -> list[str]:
    tree = ast.parse((FOLDER / "slurm.py").read_text())
    named = {node.arg: node.value for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    return ["dask", "worker", "tcp://head:8786", *ast.literal_eval(named["worker_extra_args"])]


@pytest.mark.parametrize(
    "command",
    [
        SERVICES["worker"]["command"],
        CLUSTER["worker"]["spec"]["containers"][0]["args"],
        of_slurm(),
    ],
    ids=["compose", "kubernetes", "slurm"],
)
def test_workers_are_started_alike_by_options_that_the_engine_has(command):
    assert command[:2] == ["dask", "worker"]
    found = dask_worker.main.make_context("worker", command[2:]).params
    assert found["nthreads"] == 1
    assert found["memory_limit"] == "0"
    assert found["dashboard"] is False
    assert found["dashboard_address"] == "127.0.0.1:0"
    (preload,) = found["preload"]
    assert callable(import_module(preload).dask_setup)


def test_a_worker_of_slurms_ends_before_its_job_is_killed():
    found = dask_worker.main.make_context("worker", of_slurm()[2:]).params
    latest = parse_timedelta(found["lifetime"]) + parse_timedelta(found["lifetime_stagger"])
    (hours,) = re.findall(r'"walltime": "(\d+):00:00"', (FOLDER / "slurm.py").read_text())
    assert latest < 3600 * int(hours)


def test_schedulers_are_started_by_options_that_the_engine_has():
    for command in (SERVICES["scheduler"]["command"], CLUSTER["scheduler"]["spec"]["containers"][0]["args"]):
        assert command[:2] == ["dask", "scheduler"]
        found = dask_scheduler.main.make_context("scheduler", command[2:]).params
        assert found["port"] == "8786"
        assert found["dashboard"] is False


def test_compose_publishes_to_this_machine_alone_and_takes_secrets_from_outside():
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)
    settings = [(n, k, str(v)) for n, one in SERVICES.items() for k, v in one.get("environment", {}).items()]
    secret = [(n, k, v) for n, k, v in settings if re.search("PASSWORD|SECRET|_USER$|KEY_ID", k)]
    assert len(secret) > 8
    given = "study"  # the database's user, which is no secret
    assert all(re.fullmatch(r"\$\{\w+:\?[\w .]+\}", v) or v == given for _, _, v in secret)
    # The database's password is told to the database and to the driver.
    assert {n for n, _, v in settings if "DATABASE_PASSWORD" in v} == {"database", "driver"}
    names = {name for _, _, v in settings for name in re.findall(r"\$\{(\w+):\?", v)}
    example = (FOLDER / "environment.example").read_text()
    assert names == set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_a_worker_of_compose_is_named_by_its_container():
    entry = [part.replace("$$", "$") for part in SERVICES["worker"]["entrypoint"]]
    shell = {"HOSTNAME": "c1", "PATH": os.defpath}
    assert subprocess.check_output([*entry, "echo", "a b"], env=shell) == b"a b --name=c1\n"


def test_the_study_of_compose_has_its_services():
    file = load_study_file(FOLDER / "digits.yaml")
    assert SERVICES["worker"]["command"][2] == "tcp://scheduler:8786"
    assert SERVICES["driver"]["network_mode"] == "service:scheduler"
    assert file.workers.cluster == "tcp://127.0.0.1:8786"
    assert "database" in SERVICES
    assert "@database/" in (FOLDER / "digits.yaml").read_text()


def test_kubernetes_gives_the_password_of_the_database_to_the_driver_alone():
    worker = CLUSTER["worker"]["spec"]["containers"][0]
    driver = OBJECTS["Pod"]["spec"]["containers"][0]
    assert worker["envFrom"] == [{"secretRef": {"name": "objects"}}]
    assert {"secretRef": {"name": "studies"}} in driver["envFrom"]
    assert CLUSTER["scheduler"]["service"]["type"] == "ClusterIP"
    policy = OBJECTS["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == {"dask.org/cluster-name": "paretune"}
    assert {"matchLabels": OBJECTS["Pod"]["metadata"]["labels"]} in [
        one.get("podSelector") for one in policy["ingress"][0]["from"]
    ]


def test_kubernetes_lets_worker_and_driver_log_in_to_the_device():
    for pod in (CLUSTER["worker"]["spec"], OBJECTS["Pod"]["spec"]):
        (volume,) = [one for one in pod["volumes"] if one["name"] == "ssh"]
        assert volume["secret"]["defaultMode"] == 0o400
        (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "ssh"]
        assert mount["mountPath"] == "/home/paretune/.ssh"
        assert "useradd --uid 1000 --create-home paretune" in (FOLDER / "Dockerfile").read_text()
        # Both volumes are the group's, which the processes are of.
        assert pod["securityContext"]["fsGroup"] == 1000
