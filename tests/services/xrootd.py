"""An XRootD server that exports a folder, without authentication."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.services.service import Service, free_port, listens, needs

BOTH = """
all.role server
xrd.port {port}
xrd.allow host localhost
xrd.allow host 127.0.0.1
xrd.network nodnr norpipa
all.export /
"""
"""What a server and a proxy are told alike."""
CONFIGURATION = (
    BOTH
    + """\
oss.localroot {folder}/data
all.adminpath {folder}/admin
all.pidpath {folder}/run
xrootd.chksum max 2 adler32 md5 crc32c
xrootd.async off
ofs.persist auto hold 10
"""
)

BIND_TO_LOOPBACK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* xrootd has no option for the address it binds to. */
int bind(int fd, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        if (v4.sin_addr.s_addr == htonl(INADDR_ANY)) v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return real(fd, (struct sockaddr *)&v4, sizeof v4);
    }
    return real(fd, address, length);
}
"""


class XRootD(Service):
    """Answers at ``url`` and keeps its files below ``folder/data``; runs as the user ``daemon``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.url = f"root://127.0.0.1:{self.port}/"

    def start(self) -> None:
        needs("xrootd", "gcc", package="xrootd-server xrootd-client", root=True)
        for name in ("data", "admin", "run", "log"):
            (self.folder / name).mkdir(exist_ok=True)
        configuration = self.folder / "xrootd.cfg"
        configuration.write_text(CONFIGURATION.format(port=self.port, folder=self.folder))
        for path in [self.folder, *self.folder.iterdir()]:
            shutil.chown(path, "daemon")
        source, shim = self.folder / "loopback.c", self.folder / "loopback.so"
        source.write_text(BIND_TO_LOOPBACK)
        self.call(["gcc", "-shared", "-fPIC", "-O2", "-o", shim, source, "-ldl"])
        log = self.folder / "log" / "xrootd.log"
        command = ["xrootd", "-c", configuration, "-l", log, "-R", "daemon", "-I", "v4", "-n", "cache"]
        self.run(command, LD_PRELOAD=str(shim))
        self.wait(self.answers, "xrootd does not answer")

    def answers(self) -> bool:
        """Whether it accepts connections."""
        return listens(self.port)


PROXY = (
    BOTH
    + """\
ofs.osslib libXrdPss.so
ofs.ckslib * libXrdPss.so
pss.cachelib libXrdPfc.so
pss.origin 127.0.0.1:{origin}
oss.localroot {folder}/cache
pfc.diskusage 0.98 0.99
pfc.ram 1g
xrootd.chksum adler32
xrootd.async off
all.adminpath {folder}/admin
all.pidpath {folder}/run
"""
)


class XRootDProxy(XRootD):
    """An XCache: it reads from another server, keeps what it read, and passes questions about checksums on."""

    def __init__(self, folder: Path, origin: XRootD) -> None:
        super().__init__(folder)
        self.origin = origin

    def start(self) -> None:
        for name in ("cache", "admin", "run", "log"):
            (self.folder / name).mkdir(exist_ok=True)
        configuration = self.folder / "proxy.cfg"
        configuration.write_text(PROXY.format(port=self.port, folder=self.folder, origin=self.origin.port))
        for path in [self.folder, *self.folder.iterdir()]:
            shutil.chown(path, "daemon")
        log = self.folder / "log" / "xrootd.log"
        command = ["xrootd", "-c", configuration, "-l", log, "-R", "daemon", "-I", "v4", "-n", "proxy"]
        self.run(command, LD_PRELOAD=str(self.origin.folder / "loopback.so"))
        self.wait(self.answers, "the proxy does not answer")

    def read(self, path: str) -> bytes:
        """Return what it sends."""
        from XRootD import client

        file = client.File()
        status, _ = file.open(f"root://127.0.0.1:{self.port}/{path}")
        assert status.ok, status.message
        content = file.read()[1]
        file.close()
        return bytes(content)
