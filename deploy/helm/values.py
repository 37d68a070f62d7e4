#!/usr/bin/env python3
"""Keeps the chart's values, their schema and their table in step.

Each fact is written by hand once. values.yaml holds defaults, and what each value means in the comment before it
(`# -- meaning`); values.schema.json holds types and ranges. This program copies meanings and defaults into the schema
and makes the table values.md from the schema.

`values.py` writes, `values.py --check` only compares; it ends with 1 and says what is out of step.

The reader of values.yaml knows what the chart's file uses of YAML: maps one in another, and values on one line. It refuses
everything else.
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VALUES = HERE / "holdfast/values.yaml"
SCHEMA = HERE / "holdfast/values.schema.json"
TABLE = HERE / "values.md"

HEAD = """# Values of the chart

Made by `deploy/helm/values.py` from `values.schema.json`; a test keeps it in step. What no row shows is refused.

| value | default | type and range | meaning |
|---|---|---|---|
"""


def main():
    schema = json.loads(SCHEMA.read_text())
    problems = merge(schema, read_values(VALUES.read_text()))
    if problems:
        sys.exit("\n".join(problems))
    wanted = {SCHEMA: json.dumps(schema, indent=2) + "\n", TABLE: HEAD + "".join(rows(schema, ""))}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit("out of step with values.yaml: " + ", ".join(path.name for path in stale) + "; run deploy/helm/values.py")
        return
    for path in stale:
        path.write_text(wanted[path])


def read_values(text):
    """{path: (default as written, meaning)} of every value that has a comment `# --`."""
    values, stack, meaning = {}, [], None
    for number, line in enumerate(text.splitlines(), 1):
        depth = (len(line) - len(line.lstrip())) // 2
        comment = re.match(r"\s*# ?(-- )?(.*)$", line)
        if comment and line.strip().startswith("#"):
            if comment[1]:
                meaning = comment[2]
            elif meaning is not None:
                meaning += " " + comment[2].strip()
            continue
        if not line.strip():
            meaning = None
            continue
        pair = re.match(r"\s*([A-Za-z]+):(?: (.*))?$", line)
        if not pair:
            sys.exit(f"values.yaml:{number}: not understood: {line}")
        del stack[depth:]
        stack.append(pair[1])
        path = ".".join(stack)
        if meaning is not None:
            values[path] = (pair[2] or "", meaning)
        elif pair[2] is not None:
            sys.exit(f"values.yaml:{number}: {path} lacks a comment `# -- meaning`")
        meaning = None
    return values


def merge(schema, values):
    """Writes meanings and defaults into the schema. Returns what only one of the two knows."""
    problems = []
    for path, (default, meaning) in values.items():
        node = schema
        for word in path.split("."):
            node = node.get("properties", {}).get(word)
            if node is None:
                problems.append(f"values.schema.json lacks {path}")
                break
        else:
            node["description"] = meaning
            node["default"] = parse(default)
    described = {path for path, node in leaves(schema, "") if "default" in node}
    problems += [f"values.yaml lacks {path}" for path in sorted(described - values.keys())]
    problems += [f"{path} has no description" for path, node in leaves(schema, "") if "description" not in node]
    return problems


def parse(text):
    """The default as a JSON value: a scalar, or a list or map on one line."""
    if text[:1] in "[{":
        return json.loads(re.sub(r'(?<![\w"])[A-Za-z0-9][\w.]*', lambda word: json.dumps(word[0]), text))
    return json.loads(text) if re.fullmatch(r'-?\d+|true|false|".*"', text) else text


def leaves(node, path):
    """(path, schema) of every value that the table shows, those of lists' items too."""
    inner = node.get("properties", {})
    if inner and "default" not in node and (not path or "description" not in node):
        for name, child in inner.items():
            yield from leaves(child, f"{path}.{name}".lstrip("."))
        return
    yield path, node
    item = node.get("items", {})
    for name, child in (item.get("properties", {}) if isinstance(item, dict) and "description" in node else {}).items():
        if "description" in child:
            yield f"{path}[].{name}", child


def rows(schema, path):
    for name, node in leaves(schema, path):
        if name == "global":
            continue
        default = node.get("default", "")
        shown = default if isinstance(default, str) and default else json.dumps(default) if "default" in node else ""
        meaning = node["description"].replace("|", "\\|")
        yield f"| `{name}` | {f'`{shown}`' if shown else ''} | {range_of(node)} | {meaning} |\n"


def range_of(node):
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    low, high = node.get("minimum"), node.get("maximum")
    words = node["type"]
    return f"{words}, {low} to {high}" if low is not None else words


if __name__ == "__main__":
    main()
