#!/bin/sh
# Runs Python in the environment that an archive holds, which is unpacked once at each host and kept there.
# enter.sh DIGEST SOURCE EXPECTED ARGUMENTS...
#   SOURCE    a file, a URL, or stdin:BYTES for an archive that comes through standard input once it is asked for
#   EXPECTED  versions that the environment has to have, such as python=3.11,dask=2026.8.0
# All of it is one function, so that the shell has read the whole when it comes through standard input itself.

fail() {
    rm -rf "$kept/.unpacking"
    echo "$(uname -n): $*" >&2
    case $source in stdin:*) echo "environment refused: $(uname -n): $*" ;; esac
    exit 3
}

deliver() { # puts the archive into the folder .unpacking, or names where it is
    archive=$kept/.unpacking/archive
    case $source in
        stdin:*)
            echo "environment wanted"
            head -c "${source#stdin:}" > "$archive" || fail "the environment can't be kept in $kept" ;;
        *://*)
            curl --fail --silent --show-error --location --output "$archive" "$source" ||
                fail "the environment could not be fetched from $source" ;;
        *)
            archive=$source
            [ -r "$archive" ] || fail "the environment is not at $source: the folder has to be shared with this host" ;;
    esac
}

make_room() { # removes all but the three that were used last; one that somebody runs in is left alone
    # Names are digests, and times don't tell more.
    ls -td "$kept"/*/.ready 2> /dev/null | tail -n +4 | while read -r ready; do
        (flock -n -x 7 && rm -rf "${ready%/.ready}") 7< "$ready" || :
    done
}

relink() { # a virtual environment takes the Python that it was made of, or one of the same version
    "$home/bin/python" -c "" 2> /dev/null && return
    [ -e "$home/pyvenv.cfg" ] || fail "the environment's Python does not run here"
    made_of=$(sed -n 's/^home *= *//p' "$home/pyvenv.cfg")
    version=$(cd "$home/lib" && echo python3.*)
    there=$(command -v "$version" && :) || fail "the environment takes $version, which is neither in $made_of nor on the path"
    there=$("$there" -c "import sys; print(getattr(sys, '_base_executable', sys.executable))") ||
        fail "the environment takes $version, and $there does not run"
    for name in python python3 "$version"; do
        ln -sf "$there" "$home/bin/$name"
    done
    sed "s|^home *=.*|home = ${there%/*}|" "$home/pyvenv.cfg" > "$home/.pyvenv.cfg"
    mv "$home/.pyvenv.cfg" "$home/pyvenv.cfg"
}

unpack() {
    rm -rf "$home" "$kept/.unpacking"
    mkdir "$kept/.unpacking" || fail "there is no room for the environment in $kept"
    deliver
    found=$(sha256sum "$archive" | cut -d ' ' -f 1)
    [ "$found" = "$digest" ] || fail "the environment from $source has the digest $found; it takes $digest"
    mkdir "$kept/.unpacking/new"
    tar -xof "$archive" -C "$kept/.unpacking/new" || fail "the environment can't be unpacked in $kept: is the disk full?"
    mv "$kept/.unpacking/new" "$home"
    if [ -x "$home/bin/conda-unpack" ]; then
        "$home/bin/python" "$home/bin/conda-unpack" || fail "the environment can't be set up in $home"
    fi
    relink
    touch "$home/.ready" || fail "there is no room for the environment in $kept"
    rm -rf "$kept/.unpacking"
    make_room
}

check() { # once for each set of expected versions
    [ -e "$home/.fits-$expected" ] && return
    words=$("$home/bin/python" - "$expected" 2>&1 << 'END'
import sys

sys.path[:] = filter(None, sys.path)  # without the working folder
import importlib.metadata


def version_of(name):
    if name == "python":
        return "{}.{}".format(*sys.version_info[:2])
    if name == "cachingclient":
        try:
            from cachingclient.versions import own_version
        except ImportError:
            return None
        return own_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


told = dict(each.split("=", 1) for each in sys.argv[1].split(",") if each)
found = {name: version_of(name) for name in told}
wrong = [
    "{} {}, where the cluster has {}".format(name, found[name], told[name]) if found[name] else "no " + name
    for name in told
    if found[name] != told[name]
]
if wrong:
    sys.exit("the environment has {}: pack it again".format(", and ".join(wrong)))
END
    ) || fail "$words"
    touch "$home/.fits-$expected"
}

activate() { # packages of conda may set variables; their scripts are for bash
    [ -d "$home/etc/conda/activate.d" ] && command -v bash > /dev/null || return 0
    export CONDA_PREFIX="$home"
    # shellcheck disable=SC2016
    exec bash -c 'for script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do [ -e "$script" ] && . "$script"; done
        exec "$CONDA_PREFIX/bin/python" -P "$@"' bash "$@"
}

main() {
    set -eu
    digest=$1 source=$2 expected=$3
    shift 3
    unset PYTHONHOME PYTHONPATH  # modules of elsewhere are no part of it
    export PYTHONNOUSERSITE=1
    kept=${CACHINGCLIENT_ENVIRONMENTS:-${TMPDIR:-/tmp}/cachingclient-environments-$(id -u)}
    home=$kept/$digest
    mkdir -p -m 700 "$kept" || fail "there is no room for the environment in $kept"
    [ -O "$kept" ] || fail "$kept belongs to another user: set CACHINGCLIENT_ENVIRONMENTS to a folder of yours"
    # Those that begin together wait for the one that unpacks.
    exec 9> "$kept/.lock"
    flock 9
    [ -e "$home/.ready" ] || unpack
    touch "$home/.ready"
    check
    exec 8< "$home/.ready"
    flock -s 8 # for as long as the program runs, it is not removed
    exec 9>&-
    case $source in stdin:*) echo "environment entered" ;; esac
    export PATH="$home/bin:$PATH"
    activate "$@"
    exec "$home/bin/python" -P "$@" # what lies in the working folder is no part of it either
}

main "$@"
