#!/usr/bin/env bash
# arm64_packages.sh FOLDER: unpacks into FOLDER Debian's arm64 packages of what xgrad and its tests
# link to. apt is given lists and caches of its own there: this machine's packages stay as they are.
set -euo pipefail
folder=$1
packages=(libgfortran5 libgtest-dev libopenblas-pthread-dev libopenblas0-pthread libxsimd-dev
  libxtensor-dev nlohmann-json3-dev xtl-dev)
[ ! -f "$folder/complete" ] || exit 0

rm -rf "$folder"
mkdir -p "$folder"/apt/{lists,cache/archives}/partial "$folder/debs"
cd "$folder"
touch apt/status
cat >apt.conf <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "$(id -un)";
Dir::State "$PWD/apt";
Dir::State::status "$PWD/apt/status";
Dir::Cache "$PWD/apt/cache";
END
export APT_CONFIG=$PWD/apt.conf
apt-get update
(cd debs && apt-get download "${packages[@]}")
for package in debs/*.deb; do dpkg-deb -x "$package" .; done
rm -r apt apt.conf debs
touch complete
