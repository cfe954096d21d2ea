"""The private start script of a job: its command line, in the sandbox that only its owner and its agent can read.

Descriptions of jobs can be read by others of the virtual organisation; command lines may hold anything, and secrets.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

NAME = "start.sh"

# What the site tells a job; a container that is to be the same at every site gets nothing else from the host.
PASSED_ON = ("JOBID", "DIRACSITE", "DIRAC_SITE", "X509_USER_PROXY", "X509_CERT_DIR", "BEARER_TOKEN_FILE", "TMPDIR")

PLAIN = """\
#!/bin/sh
umask 077
exec {command} "$@"
"""

CONTAINED = """\
#!/bin/sh
umask 077
for runtime in apptainer singularity ""; do
    command -v "$runtime" > /dev/null 2>&1 && break
done
if [ -z "$runtime" ]; then
    echo "this site has neither apptainer nor singularity to run the container with" >&2
    exit 127
fi
for name in {names}; do
    if eval "[ -n \\"\\${{$name+set}}\\" ]"; then
        eval "export APPTAINERENV_$name=\\"\\$$name\\" SINGULARITYENV_$name=\\"\\$$name\\""
    fi
done
exec "$runtime" exec --cleanenv --bind "$PWD" --pwd "$PWD" {image} {command} "$@"
"""


def script(executable: str, arguments: Sequence[str], container: str | None) -> str:
    """The text of a start script; the script's own arguments go to the end of the command line.

    Examples
    --------
    >>> print(script("echo", ["a; b", "it's"], None))
    #!/bin/sh
    umask 077
    exec echo 'a; b' 'it'"'"'s' "$@"
    """
    command = shlex.join([executable, *arguments])
    if container is None:
        return PLAIN.format(command=command)
    return CONTAINED.format(command=command, image=shlex.quote(container), names=" ".join(PASSED_ON))
