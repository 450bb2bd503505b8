#!/usr/bin/env bash
# Prints the path of a program that serves the API of S3 for the tests (moto, from PyPI), made once and kept.
set -euo pipefail
version=5.2.5
venvs="${XDG_CACHE_HOME:-$HOME/.cache}/drdrill/venv"
venv="$venvs/moto-$version"
mkdir -p "$venvs"
exec 9>"$venv.lock"
flock 9
if [ ! -e "$venv/complete" ]; then
  python=/usr/bin/python3
  [ -x "$python" ] || python=python3
  rm -rf "$venv"
  "$python" -m venv "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check "moto[server,s3]==$version" >&2
  touch "$venv/complete"
fi
echo "$venv/bin/moto_server"
