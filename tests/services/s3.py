"""S3 servers: Ceph's RADOS gateway, moto, and rclone, which ignores conditional writes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.services.service import Service, free_port, needs, rclone

KEY, SECRET = "testkey", "testsecret"


class S3Service(Service):
    """What S3 servers have in common."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> dict[str, Any]:
        """What ``open_store`` and ``s3fs`` need besides the URL."""
        return {"endpoint_url": self.endpoint, "key": KEY, "secret": SECRET}

    def answers(self) -> bool:
        """Whether it speaks HTTP, whatever it says."""
        try:
            urllib.request.urlopen(self.endpoint, timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        import s3fs

        s3fs.S3FileSystem(**self.options, use_listings_cache=False).mkdir(name)


class Moto(S3Service):
    """moto's server: S3 in the memory of a Python process."""

    def start(self) -> None:
        pytest.importorskip("moto.server", reason="pip install 'moto[s3,server]'")
        self.run([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)])
        self.wait(self.answers, "moto does not answer")


class Rclone(S3Service):
    """rclone's S3 server on a local folder. It takes conditional writes for plain ones."""

    def start(self) -> None:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        address = f"127.0.0.1:{self.port}"
        command = [rclone(), "serve", "s3", "--addr", address, "--auth-key", f"{KEY},{SECRET}", data]
        self.run(command, RCLONE_CONFIG="/dev/null")
        self.wait(self.answers, "rclone does not answer")


CEPH_CONF = """
[global]
fsid = 8d7b5b5e-3f0c-4f6e-9a55-0d7c2f9f5a11
mon host = [v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data = {folder}/mon
mon data avail crit = 1
mon data avail warn = 1
mon warn on pool no redundancy = false
osd data = {folder}/osd
osd objectstore = bluestore
bluestore block size = 12884901888
osd op num shards = 2
osd memory target = 1073741824
keyring = {folder}/keyring
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
run dir = {folder}
pid file =
debug ms = 0
debug osd = 0
debug mon = 0
debug bluestore = 0
debug rgw = 0
debug rocksdb = 0
[client]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw thread pool size = 32
rgw gc obj min wait = 10
rgw gc processor period = 10
"""


class Ceph(S3Service):
    """A whole Ceph on one host: a monitor, a storage daemon on a file, and the S3 gateway; no authentication inside."""

    def start(self) -> None:
        needs("radosgw", "ceph-mon", "ceph-osd", package="radosgw ceph-mon ceph-osd", root=True)
        for name in ("mon", "osd"):
            (self.folder / name).mkdir()
        self.conf = self.folder / "ceph.conf"
        text = CEPH_CONF.format(folder=self.folder, port=self.port, v1=free_port(), v2=free_port())
        self.conf.write_text(text)
        self._make_keys()
        self._start_monitor(text)
        self._start_storage()
        self.run(["radosgw", "-c", self.conf, "--name", "client.admin", "-f"])
        self.wait(self.answers, "the gateway does not answer")
        user = ["user", "create", "--uid=test", "--display-name=test", f"--access-key={KEY}", f"--secret-key={SECRET}"]
        self.call(["radosgw-admin", "-c", self.conf, *user])

    def let_read(self, bucket: str, user: str, key: str, secret: str) -> None:
        """Make a user who may read a bucket of ours, and not write to it."""
        import s3fs

        make = [
            "user",
            "create",
            f"--uid={user}",
            f"--display-name={user}",
            f"--access-key={key}",
            f"--secret-key={secret}",
        ]
        self.call(["radosgw-admin", "-c", self.conf, *make])
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": [f"arn:aws:iam:::user/{user}"]},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        s3fs.S3FileSystem(**self.options).call_s3("put_bucket_policy", Bucket=bucket, Policy=policy)

    def _make_keys(self) -> None:
        keyring = self.folder / "keyring"
        make = ["ceph-authtool", "--gen-key", "--cap", "mon", "allow *"]
        self.call([*make, "--create-keyring", keyring, "-n", "mon."])
        self.call([*make, keyring, "-n", "client.admin", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"])

    def _start_monitor(self, conf: str) -> None:
        address = next(line for line in conf.splitlines() if line.startswith("mon host")).partition(" = ")[2]
        fsid = next(line for line in conf.splitlines() if line.startswith("fsid")).partition(" = ")[2]
        monmap = self.folder / "monmap"
        self.call(["monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap])
        files = ["--monmap", monmap, "--keyring", self.folder / "keyring"]
        self.call(["ceph-mon", "-c", self.conf, "-i", "a", "--mkfs", *files])
        self.run(["ceph-mon", "-c", self.conf, "-i", "a", "-f"])

    def _start_storage(self) -> None:
        number = "5f2d1c86-8f0a-4c61-9f0e-5a1a3f6f1c02"

        def registered() -> bool:
            try:
                self.call(["ceph", "-c", self.conf, "--connect-timeout", "5", "osd", "new", number])
            except RuntimeError:
                return False
            return True

        self.wait(registered, "the monitor does not answer")
        self.call(["ceph-osd", "-c", self.conf, "-i", "0", "--mkfs", "--osd-uuid", number])
        self.run(["ceph-osd", "-c", self.conf, "-i", "0", "-f"])


SERVERS = {"ceph": Ceph, "moto": Moto, "rclone": Rclone}
BEST = "ceph" if shutil.which("radosgw") and os.getuid() == 0 else "moto"
"""Ceph where it is installed and may be started, else moto."""


def only_on(*servers: str) -> pytest.MarkDecorator:
    """Have a test run on some servers alone: Ceph alone looks at secrets, and rclone takes any name for a bucket."""
    return pytest.mark.parametrize("s3_service", servers, indirect=True)


def best_available(folder: Path) -> S3Service:
    """The best server that can be had, said aloud."""
    if BEST == "ceph":
        return Ceph(folder)
    print("\nCeph's gateway is not installed (apt-get install radosgw ceph-mon ceph-osd): testing S3 on moto instead")
    return Moto(folder)
