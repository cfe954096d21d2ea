"""Lets DIRAC 9 run on the tornado 5.1.1 of the package index and bind to one address.

Imported by the server's interpreter before anything else. DIRAC is made for a fork of tornado whose TLS streams can be
replaced, and that Python 3.10 and later can import; and it listens on all of a host's addresses.
"""

from __future__ import annotations

import collections
import collections.abc
import os
import socket
from typing import Any

for name in ("MutableMapping", "Mapping", "Iterable", "Callable", "Hashable"):
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))

if address := os.environ.get("DIRAC_TEST_ADDRESS"):
    plain_bind = socket.socket.bind

    def bind(self: socket.socket, where: Any) -> None:
        if isinstance(where, tuple) and where[0] in ("", "0.0.0.0"):
            # DIRAC listens by IPv6, where an address of IPv4 has this form.
            where = (f"::ffff:{address}" if self.family == socket.AF_INET6 else address, *where[1:])
        plain_bind(self, where)

    socket.socket.bind = bind  # type: ignore[method-assign]

    import tornado.httputil
    import tornado.iostream
    import tornado.tcpserver
    from tornado import gen
    from tornado.ioloop import IOLoop
    from tornado.log import app_log

    plain_listen = tornado.tcpserver.TCPServer.listen

    def listen(self: Any, port: int, given: str = "") -> None:
        plain_listen(self, port, given or address)

    def handle_connection(self: Any, connection: Any, where: Any) -> None:
        sizes = {"max_buffer_size": self.max_buffer_size, "read_chunk_size": self.read_chunk_size}
        try:
            if self.ssl_options is None:
                stream = tornado.iostream.IOStream(connection, **sizes)
            else:
                from tornado_m2crypto.m2iostream import M2IOStream

                stream = M2IOStream.__new__(M2IOStream)
                options = {"ssl_options": self.ssl_options, "server_side": True, "create_context_on_init": True}
                stream.initialize(connection, **options, **sizes)
            handled = self.handle_stream(stream, where)
            if handled is not None:
                IOLoop.current().add_future(gen.convert_yielded(handled), lambda done: done.result())
        except Exception:
            app_log.error("a connection failed", exc_info=True)

    def keep(cls: type, implementation: object, **options: object) -> None:
        """There is nothing to replace here: connections get the right stream above."""

    tornado.tcpserver.TCPServer.listen = listen
    tornado.tcpserver.TCPServer._handle_connection = handle_connection
    tornado.iostream.SSLIOStream.configure = classmethod(keep)
    request = tornado.httputil.HTTPServerRequest
    request.configure = classmethod(keep)
    request.get_ssl_certificate = lambda self, binary_form=False: self.connection.stream.socket.get_peer_cert()
    request.get_ssl_certificate_chain = lambda self: self.connection.stream.socket.get_peer_cert_chain()
