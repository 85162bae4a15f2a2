"""A real MLflow server on two ports: one for everybody, one for an account. Arguments: folder, both ports.

It is MLflow's own application on a plain WSGI server: `mlflow server` starts more processes, and takes twice
as long.
"""

import base64
import os
import sys
import threading

FOLDER, OPEN, GUARDED = sys.argv[1:4]
ACCOUNT = base64.b64encode(b"ann:geheim42").decode()
os.environ.update(
    _MLFLOW_SERVER_FILE_STORE=f"sqlite:///{FOLDER}/mlflow.db",
    _MLFLOW_SERVER_REGISTRY_STORE=f"sqlite:///{FOLDER}/mlflow.db",
    _MLFLOW_SERVER_ARTIFACT_ROOT="mlflow-artifacts:/",
    _MLFLOW_SERVER_ARTIFACT_DESTINATION=f"{FOLDER}/artifacts",
    _MLFLOW_SERVER_SERVE_ARTIFACTS="true",
    MLFLOW_DISABLE_TELEMETRY="true",
)

from mlflow.server import app  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402


def guarded(environ, start):
    if environ.get("HTTP_AUTHORIZATION") == f"Basic {ACCOUNT}":
        return app(environ, start)
    start("401 UNAUTHORIZED", [("Content-Type", "text/plain")])
    return [b"You are not authenticated."]


behind = make_server("127.0.0.1", int(GUARDED), guarded, threaded=True)
threading.Thread(target=behind.serve_forever, daemon=True).start()
make_server("127.0.0.1", int(OPEN), app, threaded=True).serve_forever()
