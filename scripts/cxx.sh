#!/bin/sh
# The C++ compiler of the build (cxx-install.sh tells cargo of it): clang where it is there, else the system's own.
#
# RocksDB is most of a first build, and most of its compile time goes into the same headers, 343 times. So they are
# compiled once, before its first file, and every file begins from there. Should that fail for any file, it is compiled
# as ever: this is about time alone.
set -u

if ! command -v clang++ >/dev/null; then
  exec c++ "$@"
fi

# A source of RocksDB is the last argument, after -c.
for last; do :; done
case "$last" in
  rocksdb/*.cc) ;;
  *) exec clang++ "$@" ;;
esac
if [ -z "${OUT_DIR:-}" ] || ! command -v flock >/dev/null; then
  exec clang++ "$@"
fi

# The same flags as for the source, without the source and the output: headers compiled with others are refused.
flags() {
  skip=
  for argument; do
    if [ -n "$skip" ]; then skip=; continue; fi
    case "$argument" in
      -o) skip=1 ;;
      -c | "$last") ;;
      *) printf '%s\n' "$argument" ;;
    esac
  done
}

headers=$OUT_DIR/headers.pch
(
  flock 9
  [ -e "$headers" ] && exit 0
  : >"$headers" # empty: it failed
  printf '#include "db/db_impl/db_impl.h"\n#include "table/block_based/block_based_table_reader.h"\n' >"$OUT_DIR/headers.h"
  # No argument of this build has a space in it.
  # shellcheck disable=SC2046
  clang++ $(flags "$@") -fpch-instantiate-templates -x c++-header "$OUT_DIR/headers.h" -o "$headers.new" &&
    mv "$headers.new" "$headers"
) 9>"$OUT_DIR/headers.lock"

if [ -s "$headers" ] && clang++ -fpch-instantiate-templates -include-pch "$headers" "$@" 2>"$OUT_DIR/$$.err"; then
  rm -f "$OUT_DIR/$$.err"
  exit 0
fi
rm -f "$OUT_DIR/$$.err"
exec clang++ "$@"
