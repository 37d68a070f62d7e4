#!/bin/sh
# Tells cargo to compile C++ with cxx.sh, by a file of this clone that git does not keep: .cargo/config.toml.
#
# It names a copy beside the target folder's other files. Cargo compiles RocksDB again whenever the path of its compiler
# changes, and a path inside the clone would do so at each change from one clone to another that shares the folder.
set -eu
target=${CARGO_TARGET_DIR:?the folder that cargo builds into}
here=$(dirname "$0")

# put NEW OLD: replaces the file if it differs, in one step.
put() { cmp -s "$1" "$2" && rm "$1" || mv "$1" "$2"; }

mkdir -p "$target" "$here/../.cargo"
cp "$here/cxx.sh" "$target/cxx.sh.$$"
put "$target/cxx.sh.$$" "$target/cxx.sh"
printf '# Made by scripts/cxx-install.sh.\n[env]\nCXX = "%s"\n' "$target/cxx.sh" >"$here/../.cargo/config.toml.$$"
put "$here/../.cargo/config.toml.$$" "$here/../.cargo/config.toml"
