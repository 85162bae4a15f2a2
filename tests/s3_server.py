"""A real S3 server of the tests' own, in a process of its own on loopback; it keeps all in memory."""

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import boto3

_SERVE = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.disable(logging.CRITICAL)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
print("port", server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class S3Server:
    """Where it answers, as the environment says it, and a look at its objects beside all that is tested."""

    def __init__(self, port: int) -> None:
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "testers-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.client = boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="tester",
            aws_secret_access_key="testers-secret",
            region_name="us-east-1",
        )

    def make(self, bucket: str) -> None:
        self.client.create_bucket(Bucket=bucket)

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        found = self.client.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [one["Key"] for one in found.get("Contents", [])]

    def read(self, bucket: str, name: str) -> bytes:
        return self.client.get_object(Bucket=bucket, Key=name)["Body"].read()

    def write(self, bucket: str, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=name, Body=content)

    def remove(self, bucket: str, prefix: str) -> None:
        for name in self.names(bucket, prefix):
            self.client.delete_object(Bucket=bucket, Key=name)


@contextmanager
def s3_server(folder: Path):
    """A server that is up; it ends with the block, or with this process."""
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        for line in process.stdout:
            if told := re.fullmatch(rb"port (\d+)\s*", line):
                break
        else:
            raise AssertionError((folder / "s3.log").read_text())
        try:
            yield S3Server(int(told[1]))
        finally:
            process.kill()
            process.communicate()
