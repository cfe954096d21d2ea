"""An OpenID provider on loopback: oidc-provider-mock, which logs in whoever says who they are."""

from __future__ import annotations

from http.cookiejar import CookieJar
from pathlib import Path
from ssl import SSLContext
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPSHandler, build_opener, urlopen

from tests.services.installing import server_python
from tests.services.service import Service, free_port, listens

HERE = Path(__file__).parent


class OpenIdProvider(Service):
    """The provider, whose name is ``issuer``."""

    def start(self) -> None:
        python = server_python("openid-0.3.4", HERE / "openid-0.3.4.txt")
        self.port = free_port()
        self.issuer = f"http://localhost:{self.port}"
        self.run([python, HERE / "openid_app.py", str(self.port)])
        self.wait(lambda: listens(self.port), "the OpenID provider does not listen")

    def token(self, user: str, *, begins: int = 0, lasts: int = 3600) -> str:
        """An access token, as tools like oidc-agent get them."""
        query = urlencode({"sub": user, "begins": begins, "lasts": lasts})
        with urlopen(f"{self.issuer}/mint?{query}", timeout=20) as answer:
            return str(answer.read().decode())


def log_in(address: str, user: str, trusted: SSLContext) -> str:
    """Do what a person does in a browser, who is sent to this address and says who they are; the last page."""
    browser = build_opener(HTTPSHandler(context=trusted), HTTPCookieProcessor(CookieJar()))
    with browser.open(address, timeout=20) as form:
        where = form.geturl()
    with browser.open(where, urlencode({"sub": user}).encode(), timeout=20) as page:
        return str(page.read().decode())
