#!/bin/bash
# Make the base image where it can't be pulled: Debian 13, minimal, from the mirror that this machine's apt uses.
#   deploy/base-image.sh [NAME]       (root, mmdebstrap, podman)
set -euo pipefail
name=${1:-docker.io/library/debian:trixie-slim}
suite=trixie
echo "making $name from Debian's packages" >&2

# where does apt get this Debian from? One line an index: label, codename, address
targets() { apt-get indextargets --format '$(LABEL)|$(CODENAME)|$(REPO_URI)' 'Identifier: Packages'; }
[ -n "$(targets)" ] || apt-get update -q
main=$(targets | awk -F'|' '$1 == "Debian" && $2 !~ /-/ {print $3; exit}')
security=$(targets | awk -F'|' '$1 == "Debian-Security" {print $3; exit}')
[ -n "$main" ] || { echo "base-image.sh: apt has no source with the label Debian here" >&2; exit 1; }

sources=("deb $main $suite main" "deb $main $suite-updates main")
[ -z "$security" ] || sources+=("deb $security $suite-security main")
options=()
proxy=$(apt-config shell proxy Acquire::http::Proxy)
[ -z "$proxy" ] || { eval "$proxy"; options+=("--aptopt=Acquire::http::Proxy \"$proxy\""); }
case $main$security in *https:*) options+=(--include=ca-certificates) ;; esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '%s\n' "${sources[@]}" |
  mmdebstrap --quiet --variant=minbase "${options[@]}" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$folder/base.tar" -
podman import --quiet --message "Debian $suite, minimal" "$folder/base.tar" "$name"
