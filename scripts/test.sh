#!/usr/bin/env bash
# Passes the tests on a bare Debian with root and a Rust toolchain; installs what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."

# package: a program or file that shows it is there
needs=(
  "gcc:/usr/bin/cc"
  "pkg-config:/usr/bin/pkg-config"
  "libssl-dev:/usr/include/openssl/ssl.h"
  "openssh-client:/usr/bin/ssh-keygen"
  "git:/usr/bin/git"
  "mount:/usr/bin/mount"
  "iproute2:/usr/sbin/ip"
  "nftables:/usr/sbin/nft"
  "strace:/usr/bin/strace"
  "util-linux:/usr/bin/prlimit"
  "iptables:/usr/sbin/iptables"
  "debootstrap:/usr/sbin/debootstrap"
  "docker.io:/usr/sbin/dockerd"
  "zstd:/usr/bin/zstd"
  "tar:/usr/bin/tar"
  "findutils:/usr/bin/xargs"
  "poppler-utils:/usr/bin/pdftotext"
  "libxml2-utils:/usr/bin/xmllint"
  "tidy:/usr/bin/tidy"
  "python3-venv:/usr/share/python-wheels"
  "postgresql-15:/usr/lib/postgresql/15/bin/initdb"
  "redis-server:/usr/bin/redis-server"
  "dnsmasq-base:/usr/sbin/dnsmasq"
  "python3-aiosmtpd:/usr/lib/python3/dist-packages/aiosmtpd/__init__.py"
)
missing=()
for need in "${needs[@]}"; do
  [ -e "${need#*:}" ] || missing+=("${need%%:*}")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "installing: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Without an init system nobody has started the container engine; one that was started here ends here.
engine=
if ! docker version >/dev/null 2>&1; then
  dockerd >/var/log/drdrill-dockerd.log 2>&1 &
  engine=$!
  trap 'kill "$engine"' EXIT
  for _ in $(seq 60); do docker version >/dev/null 2>&1 && break; sleep 1; done
fi

cargo fmt --all --check
cargo clippy --workspace --all-targets --quiet -- -D warnings
# Everything is built before the first test runs, so that no compiler disturbs a test's clock.
cargo test --workspace --no-run --quiet

log=$(mktemp)
trap 'rm -f "$log"; [ -z "$engine" ] || kill "$engine"' EXIT
status=0
cargo test --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?
sum() { grep -E '^test result: ' "$log" | grep -oE "[0-9]+ $1" | awk '{ n += $1 } END { print n + 0 }'; }
passed=$(sum passed) failed=$(sum failed) skipped=$(sum ignored)
# A test that could not be run says so in a line of its own; that is as bad as a failure.
skips=$(grep -c '^SKIPPED: ' "$log" || true)
[ "$skips" -eq 0 ] || { grep '^SKIPPED: ' "$log"; status=1; }
echo "tests: $passed passed, $failed failed, $((skipped + skips)) skipped"
[ "$skipped" -eq 0 ] || status=1
exit "$status"
