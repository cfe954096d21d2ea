"""An XRootD server that exports a folder, without authentication."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.services.service import Service, free_port, listens, needs

CONFIGURATION = """
all.role server
xrd.port {port}
xrd.allow host localhost
xrd.allow host 127.0.0.1
xrd.network nodnr norpipa
all.export /
oss.localroot {folder}/data
all.adminpath {folder}/admin
all.pidpath {folder}/run
xrootd.chksum max 2 adler32 md5 crc32c
xrootd.async off
ofs.persist auto hold 10
"""

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
