#!/usr/bin/env python3
"""Makes an image of a few files, as an archive that `ctr images import` takes: image.py REF OUT.tar /path=FILE ...

The first file is what a container runs. The same input gives the same bytes.
"""
import hashlib
import io
import json
import sys
import tarfile


def add(archive, name, data):
    """Adds a file of these bytes, executable, without owner or time."""
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = 0o755, len(data)
    archive.addfile(entry, io.BytesIO(data))


def archive_of(files):
    """A tar archive of (name, bytes) pairs, as bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files:
            add(archive, name, data)
    return out.getvalue()


def main():
    """Reads the files, writes the image."""
    reference, target, *pairs = sys.argv[1:]
    files = []
    for pair in pairs:
        path, source = pair.split("=", 1)
        with open(source, "rb") as file:
            files.append((path.lstrip("/"), file.read()))
    layer = archive_of(files)
    layer_id = hashlib.sha256(layer).hexdigest()
    config = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": ["/" + files[0][0]], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + layer_id]},
    }).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    layer_name = layer_id + "/layer.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}]).encode()
    with open(target, "wb") as out:
        out.write(archive_of([(config_name, config), (layer_name, layer), ("manifest.json", manifest)]))


main()
