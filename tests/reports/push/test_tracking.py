"""A candidate in a real MLflow server."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import paretune
import pytest
from paretune.search.bundles.bundle import damages, read_bundle

pytestmark = pytest.mark.slow  # the server takes three seconds of processor to start
SERVER = Path(__file__).with_name("mlflow_serving.py")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Addresses of the open and of the guarded one."""
    folder = tmp_path_factory.mktemp("mlflow")
    ports = free_ports(2)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, SERVER, folder, *map(str, ports)], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/version", timeout=60).read()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield [f"127.0.0.1:{port}" for port in ports]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@pytest.fixture(scope="module")
def pushed(run, server):
    return paretune.push(run, to="mlflow", uri=f"http://{server[0]}", name="digits")


@pytest.fixture(scope="module")
def client(server):
    from mlflow import MlflowClient  # a second of every collection of tests

    return MlflowClient(f"http://{server[0]}")


def runs_of(client, run):
    experiment = client.get_experiment_by_name(run.name)
    return client.search_runs([experiment.experiment_id])


def test_parameters_numbers_with_intervals_and_tags_are_there(run, pushed, client):
    (kept,) = runs_of(client, run)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_id in pushed.where
    candidate = run.record.trials[run.recommended].evaluation.candidate
    assert kept.data.params["precision"] == str(candidate.precision)
    assert {kept.data.params[f"student.{axis}"] for axis, _ in candidate.student} == {
        str(value) for _, value in candidate.student
    }
    accuracy = run.reading.recommended.metrics["accuracy"]
    ends = [kept.data.metrics[f"test_accuracy{end}"] for end in ("", "_low", "_high")]
    assert ends == [accuracy.value, accuracy.low, accuracy.high]
    assert kept.data.tags["paretune.digest"] == candidate.digest
    assert kept.data.tags["paretune.profile"] == run.record.profile
    assert len(kept.data.tags["paretune.artifact_sha256"]) == 64


def test_the_bundle_comes_back_whole_with_the_card(run, pushed, client, tmp_path):
    (kept,) = runs_of(client, run)
    there = client.download_artifacts(kept.info.run_id, "bundle", str(tmp_path))
    bundle = read_bundle(Path(there))
    assert damages(bundle) == {}
    assert bundle.files[bundle.artifact.name].sha256 == kept.data.tags["paretune.artifact_sha256"]
    assert "model_card.md" in [one.path for one in client.list_artifacts(kept.info.run_id)]


def test_pushed_twice_it_is_there_once(run, pushed, client, server):
    again = paretune.push(run, to="mlflow", uri=f"http://{server[0]}", name="digits")
    assert (again.already, again.where) == (True, pushed.where)
    assert len(runs_of(client, run)) == 1
    assert [one.version for one in client.search_model_versions("name = 'digits'")] == ["1"]


def test_what_a_killed_push_left_half_done_is_completed(run, pushed, client, server):
    (kept,) = runs_of(client, run)
    client.update_run(kept.info.run_id, status="RUNNING")
    history = len(client.get_metric_history(kept.info.run_id, "latency_ms"))
    again = paretune.push(run, to="mlflow", uri=f"http://{server[0]}")
    assert (again.already, again.where) == (False, pushed.where)
    assert client.get_run(kept.info.run_id).info.status == "FINISHED"
    assert len(client.get_metric_history(kept.info.run_id, "latency_ms")) == history


def test_an_account_in_the_address_is_used_and_never_shown(run, pushed, server):
    again = paretune.push(run, to="mlflow", uri=f"http://ann:geheim42@{server[1]}")
    assert again.already
    assert "geheim42" not in str(again)
    for account in ("", "ann:falsch77@", "token99@"):
        with pytest.raises(paretune.UserError, match="refuses this account") as refused:
            paretune.push(run, to="mlflow", uri=f"http://{account}{server[1]}")
        assert "MLFLOW_TRACKING_PASSWORD" in refused.value.remedy
        assert not any(secret in str(refused.value) for secret in ("falsch77", "token99"))


class Strange(BaseHTTPRequestHandler):
    """Answers every request with what its server has."""

    def do_GET(self):
        self.send_response(self.server.code)
        self.end_headers()
        self.wfile.write(self.server.said)

    def log_message(self, *_):
        """Nothing is told of each request."""


@pytest.mark.parametrize(
    ("code", "said", "problem"),
    [
        (200, b"1.30.0", "too old"),
        (404, b"<html>no such page</html>", "no MLflow server"),
    ],
)
def test_a_server_that_cannot_be_used_is_told(run, code, said, problem):
    with HTTPServer(("127.0.0.1", 0), Strange) as strange:
        strange.code, strange.said = code, said
        threading.Thread(target=strange.serve_forever, daemon=True).start()
        with pytest.raises(paretune.UserError, match=problem) as refused:
            paretune.push(run, to="mlflow", uri=f"http://127.0.0.1:{strange.server_port}")
        strange.shutdown()
    assert refused.value.accepted


def test_nobody_there_is_told_and_the_environment_stays(run):
    before = dict(os.environ)
    with pytest.raises(paretune.UserError, match="no MLflow server answers") as refused:
        paretune.push(run, to="mlflow", uri=f"http://ann:geheim42@127.0.0.1:{free_ports(1)[0]}")
    assert "mlflow server" in refused.value.remedy
    assert "geheim42" not in str(refused.value)
    assert dict(os.environ) == before
