"""As much of the Hugging Face hub as an upload asks for, in memory."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HubServer(ThreadingHTTPServer):
    """`files` holds what was committed, `created` what was asked of each new repository;
    `public`: all may see them."""

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.token, self.commits = token, ["0" * 40]
        self.files: dict[str, bytes] = {}
        self.created: list[dict] = []
        self.public = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: HubServer

    def do_GET(self):
        allowed = self._allowed()
        if allowed and self.server.created:
            found = {"id": "ann/blobs", "sha": self.server.commits[-1], "siblings": []}
            return self._say({**found, "private": not self.server.public})
        return self._say({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._allowed():
            return self._say({"error": "Invalid token"}, 401)
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            return self._say({"url": f"{self.server.address}/ann/blobs"})
        if "/preupload/" in self.path:
            return self._say({"files": [self._known(file["path"]) for file in json.loads(body)["files"]]})
        if "/commit/" in self.path:
            return self._say(self._committed([json.loads(line) for line in body.splitlines()]))
        return self._say({"errors": [], "warnings": []})

    def _known(self, path):
        content = self.server.files.get(path)
        oid = None if content is None else hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": oid}

    def _committed(self, lines):
        for line in lines:
            if line["key"] == "file":
                self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        self.server.commits.append(f"{len(self.server.commits):040x}")
        commit = self.server.commits[-1]
        return {"commitOid": commit, "commitUrl": f"{self.server.address}/ann/blobs/commit/{commit}"}

    def _allowed(self):
        return self.headers.get("Authorization") == f"Bearer {self.server.token}"

    def _say(self, plain, code=200, headers=None):
        body = json.dumps(plain).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing is told of each request."""
