#!/usr/bin/env python3
"""Makes the container image from the release binaries: no registry, no daemon, no root.

The image holds the three programs, the shared libraries that `ldd` names for them, and the files without which
names cannot be resolved. There is no shell and no package manager in it. It runs as user 65532.

The archive is read by `docker load`, by `ctr -n k8s.io images import` and by everything that reads OCI layouts: it
carries an OCI index and, beside it, Docker's manifest.json; both name the same blobs.

1. The same binaries give the same bytes: entries are sorted, times are 0, owners are fixed.
2. Nothing enters that is not listed here. A library is taken because a program needs it, never because it is there.
3. Above the size limit the build fails.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("holdfast", "holdfast-broker", "holdfast-controller")
USER = 65532
MAX_BYTES = 80 * 1000 * 1000
TITLE = "Holdfast"

# path: (mode, owner, content); content None is a folder.
FIXED = {
    "etc/passwd": (0o644, 0, f"holdfast:x:{USER}:{USER}:Holdfast:/var/lib/holdfast:/sbin/nologin\n"),
    "etc/group": (0o644, 0, f"holdfast:x:{USER}:\n"),
    # Without it glibc asks services that are not in the image before it asks DNS.
    "etc/nsswitch.conf": (0o644, 0, "passwd: files\ngroup: files\nhosts: files dns\n"),
    "etc/holdfast": (0o755, 0, None),
    "tmp": (0o1777, USER, None),
    "var/lib/holdfast": (0o750, USER, None),
}


def main():
    args = arguments()
    version = args.version or program_version(args.bin)
    with tempfile.TemporaryDirectory() as scratch:
        tree = contents(args.bin, Path(scratch))
    if args.root:
        write_tree(tree, args.root)
        return
    layer = tar_of(tree)
    reference = f"{args.name}:{version}"
    archive = args.out / f"{args.name.rsplit('/', 1)[-1]}-{version}.tar"
    args.out.mkdir(parents=True, exist_ok=True)
    unpacked = sum(len(data) for _, _, data in tree.values() if data is not None)
    if unpacked > MAX_BYTES:
        sys.exit(f"the image would hold {unpacked} bytes, more than the limit of {MAX_BYTES}")
    # Written beside and renamed: a reader never meets half an archive.
    partial = archive.with_suffix(".partial")
    with open(partial, "wb") as file:
        write_archive(file, layer, reference, labels(version, args.revision or revision()))
    os.replace(partial, archive)
    for path, (_, _, data) in sorted(tree.items()):
        if data is not None and len(data) > 100_000:
            print(f"  {len(data) / 1e6:6.1f} MB  /{path}")
    print(f"image {reference}: {unpacked / 1e6:.1f} MB, compressed {archive.stat().st_size / 1e6:.1f} MB")
    print(archive)


def arguments():
    parser = argparse.ArgumentParser(description="Makes the container image from the release binaries.")
    parser.add_argument("--bin", type=Path, required=True, help="folder of the release binaries")
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--out", type=Path, help="folder that the archive is written to")
    goal.add_argument("--root", type=Path, help="write the image's files into this folder instead")
    parser.add_argument("--name", default="holdfast", help="name of the image, without a tag")
    parser.add_argument("--revision", help="commit in the labels; default: that of the source tree")
    parser.add_argument("--version", help="tag of the image; default: what `holdfast --version` says")
    return parser.parse_args()


def program_version(folder):
    said = subprocess.run([folder / "holdfast", "--version"], check=True, capture_output=True, text=True).stdout
    return said.split()[-1]


def contents(folder, scratch):
    """Everything in the image as {path: (mode, owner, bytes, or None for a folder)}."""
    tree = {path: (mode, owner, None if text is None else text.encode()) for path, (mode, owner, text) in FIXED.items()}
    for program in PROGRAMS:
        source = folder / program
        for library in libraries(source):
            tree[library.lstrip("/")] = (0o755, 0, Path(library).read_bytes())
        # The names of functions stay, for the backtrace of a panic; line tables would be two thirds of the image.
        stripped = scratch / program
        subprocess.run(["strip", "--strip-debug", "-o", stripped, source], check=True)
        tree[f"usr/bin/{program}"] = (0o755, 0, stripped.read_bytes())
    for path in list(tree):
        for parent in Path(path).parents:
            if str(parent) != ".":
                tree.setdefault(str(parent), (0o755, 0, None))
    return tree


def libraries(program):
    """Absolute paths of the shared libraries and of the loader of a program."""
    said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    if "not found" in said:
        sys.exit(f"{program} needs a library that this machine does not have:\n{said}")
    return sorted(set(re.findall(r"(/\S+) \(0x", said)))


def tar_of(tree):
    """The layer: a tar with sorted entries and nothing that differs from run to run."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, (mode, owner, data) in sorted(tree.items()):
            entry = tarfile.TarInfo(path)
            entry.mode, entry.uid, entry.gid = mode, owner, owner
            if data is None:
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def write_tree(tree, root):
    """The files as they are in the image, but for their owners."""
    for path, (mode, _, data) in sorted(tree.items()):
        target = root / path
        if data is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.write_bytes(data)
        target.chmod(mode)


def labels(version, commit):
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    return {
        "org.opencontainers.image.title": TITLE,
        "org.opencontainers.image.description": "A partitioned, replicated message log",
        "org.opencontainers.image.licenses": package["license"],
        "org.opencontainers.image.revision": commit,
        "org.opencontainers.image.version": version,
    }


def revision():
    """The commit, marked where the tree differs from it; `unknown` outside of a git tree."""
    def git(*words):
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)

    commit = git("rev-parse", "HEAD")
    if commit.returncode != 0:
        return "unknown"
    dirty = git("status", "--porcelain", "--untracked-files=no").stdout.strip()
    return commit.stdout.strip() + ("-modified" if dirty else "")


def write_archive(file, layer, reference, image_labels):
    """The archive: blobs, the OCI index and Docker's manifest, in a tar."""
    packed = gzip.compress(layer, compresslevel=6, mtime=0)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = as_json({
        "architecture": architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/bin"],
            # No entrypoint: a node is run by naming its program. Without a command the image explains itself.
            "Cmd": ["/usr/bin/holdfast", "--help"],
            "WorkingDir": "/var/lib/holdfast",
            "Labels": image_labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest(layer)}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "deploy/image/build.py"}],
    })
    manifest = as_json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
        "annotations": image_labels,
    })
    # containerd names an imported image by the full form of the reference.
    full = reference if "/" in reference else f"docker.io/library/{reference}"
    index = as_json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            **descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
            "platform": {"architecture": architecture, "os": "linux"},
            "annotations": {
                "io.containerd.image.name": full,
                "org.opencontainers.image.ref.name": reference.rsplit(":", 1)[1],
            },
        }],
    })
    docker = as_json([{"Config": blob(config), "RepoTags": [reference], "Layers": [blob(packed)]}])
    members = {
        "oci-layout": as_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": index,
        "manifest.json": docker,
        **{blob(data): data for data in (config, manifest, packed)},
    }
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(members.items()):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o644, len(data)
            tar.addfile(entry, io.BytesIO(data))


def descriptor(media_type, data):
    return {"mediaType": media_type, "digest": f"sha256:{digest(data)}", "size": len(data)}


def blob(data):
    return f"blobs/sha256/{digest(data)}"


def digest(data):
    return hashlib.sha256(data).hexdigest()


def as_json(value):
    return json.dumps(value, sort_keys=True, indent=1).encode()


if __name__ == "__main__":
    main()
