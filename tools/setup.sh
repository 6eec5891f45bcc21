#!/bin/sh
# Set up everything that streamer needs, and nothing twice. Called by the Makefile:
#   tools/setup.sh run    what running needs
#   tools/setup.sh test   and what the tests need besides
# Asks for nothing. Says what it installs and why.
set -eu

purpose=${1:?run or test}
python=${PYTHON:-python3}
bin=.venv/bin
case "$(uname -s)" in MINGW* | MSYS* | CYGWIN*) bin=.venv/Scripts ;; esac
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }

# --- system packages (Debian and its relatives; elsewhere it says what is missing) ---

missing=
need() { # PACKAGE WHY
    if ! dpkg -s "$1" >/dev/null 2>&1; then
        missing="$missing $1"
        say "$1 is missing: $2"
    fi
}

if command -v dpkg >/dev/null 2>&1; then
    need libportaudio2 "PortAudio, through which the microphone is heard"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        need python3-venv "a virtual environment of our own, so that nothing of yours is touched"
    if [ "$purpose" = test ]; then
        need pulseaudio "the sound server behind the tests' virtual microphone"
        need pulseaudio-utils "plays a recording into the virtual microphone"
        need libasound2-plugins "connects PortAudio with that sound server"
        need strace "tells whether anything connects to a network"
        need tmux "the terminal in which the dashboard is looked at"
    fi
    if [ -n "$missing" ]; then
        as_root=
        [ "$(id -u)" = 0 ] || as_root="sudo -n"
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086 - both are lists of words
        if ! { $as_root apt-get update -qq &&
            $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null; }; then
            say "cannot install them; as root, run: apt-get install -y$missing"
            [ "$purpose" = run ] || exit 1
            say "going on without: recordings and pipes work, a microphone may not"
        fi
    fi
else
    say "no Debian package manager here: for the microphone, see that PortAudio is installed"
fi

# --- the virtual environment, made anew where what it is made from has changed ---

stamp=.venv/.ready-$purpose
wanted=$(cat pyproject.toml requirements.lock requirements-serve.lock requirements-dev.lock tools/setup.sh | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
extras= locks="--requirement requirements.lock"
if [ "$purpose" != run ]; then
    extras="[dev]"
    locks="$locks --requirement requirements-serve.lock --requirement requirements-dev.lock"
fi
say "installing streamer$extras and the locked versions of what it needs into .venv (once)"
[ -x $bin/python ] || "$python" -m venv .venv
install="$bin/python -m pip install --quiet --disable-pip-version-check"
# shellcheck disable=SC2086 - both are lists of words
$install --require-hashes --no-deps $locks
# Up to version 0.1 the distribution was called as the package is; both at once would be two versions.
$bin/python -m pip uninstall --quiet --yes streamer 2>/dev/null || :
# What is left is torch: which of its files is right depends on the machine, so it has no hash.
$install --editable ".$extras"
echo "$wanted" >"$stamp"
say "done. In each new shell: . $bin/activate"
