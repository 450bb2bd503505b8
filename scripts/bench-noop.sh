#!/usr/bin/env bash
# A drill that does nothing, from process start to exit, beside Chaos Toolkit with one action and one probe: wall time
# by hyperfine (Debian package), peak memory by the kernel's own count. Limits: 1/30 of the time, 1/2 of the memory.
set -euo pipefail
cd "$(dirname "$0")/.."
drdrill="$(realpath "${CARGO_TARGET_DIR:-target}")/release/drdrill"
command -v hyperfine >/dev/null || { apt-get update -qq; apt-get install -y -qq hyperfine >/dev/null; }
venv="${XDG_CACHE_HOME:-$HOME/.cache}/drdrill/chaostoolkit"
[ -x "$venv/bin/chaos" ] || { python3 -m venv "$venv"; "$venv/bin/pip" install -q chaostoolkit; }

work=$(mktemp -d)
# Accepts and closes: on two cores a server that does more would be measured too.
cat > "$work/server.py" <<'PY'
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    listener.accept()[0].close()
PY
mkfifo "$work/port"
python3 "$work/server.py" >"$work/port" &
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
read -r port <"$work/port"

cat > "$work/env.yaml" <<YAML
environment: beside
provider:
  host:
    probes: [{ name: web, service: web, attempt: { tcp: { address: "127.0.0.1:$port" } } }]
services: [{ name: web, tier: 1 }]
YAML
cat > "$work/exp.json" <<JSON
{ "title": "nothing", "description": "one action and one probe",
  "steady-state-hypothesis": { "title": "up", "probes": [{ "type": "probe", "name": "true", "tolerance": 0,
    "provider": { "type": "process", "path": "true" } }] },
  "method": [{ "type": "action", "name": "true", "provider": { "type": "process", "path": "true" } }] }
JSON
cd "$work"
export DRDRILL_STATE="$work/state"
ours=("$drdrill" run no_op --env "$work/env.yaml")
theirs=("$venv/bin/chaos" --no-version-check run "$work/exp.json")
"${ours[@]}" >/dev/null 2>&1 || [ $? -eq 11 ]
"${theirs[@]}" >/dev/null 2>&1
hyperfine -N -i -w 3 -r 30 --export-json "$work/times.json" --command-name drdrill "${ours[*]}" \
  --command-name 'chaos run' "${theirs[*]}"
python3 - "$work/times.json" "${ours[*]}" "${theirs[*]}" <<'PY'
import json, os, shlex, sys
times = [r["median"] for r in json.load(open(sys.argv[1]))["results"]]
def peak_kib(command):
    null = os.open(os.devnull, os.O_RDWR)
    argv = shlex.split(command)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    return os.wait4(pid, 0)[2].ru_maxrss
memory = [sorted(peak_kib(c) for _ in range(5))[2] for c in sys.argv[2:4]]
def line(what, ours, theirs, limit, unit):
    word = "PASS" if ours <= theirs * limit else "FAIL"
    print(f"{word}  {what}: {ours:.4g} {unit} of {theirs:.4g} {unit}, ratio 1/{theirs / ours:.1f}, limit 1/{1 / limit:.0f}")
line("wall time", times[0] * 1e3, times[1] * 1e3, 1 / 30, "ms")
line("peak memory", memory[0] / 1024, memory[1] / 1024, 1 / 2, "MiB")
PY
