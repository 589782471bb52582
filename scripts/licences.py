#!/usr/bin/env python3
"""Prints the crates that the extension's library contains, with their licences, and each licence text once."""

import collections
import json
import pathlib
import subprocess
import sys


def linked(metadata):
    """The packages below `lagoon` whose code is in the library: neither build scripts nor macros are."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    wanted = [package["id"] for package in packages.values() if package["name"] == "lagoon"]
    found = {}
    while wanted:
        package = packages[wanted.pop()]
        if package["id"] in found or any("proc-macro" in target["kind"] for target in package["targets"]):
            continue
        found[package["id"]] = package
        for dependency in nodes[package["id"]]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                wanted.append(dependency["pkg"])
    return sorted((package for package in found.values() if package["source"]), key=lambda p: (p["name"], p["version"]))


def texts(package):
    """The files of a package that say what its licence is."""
    folder = pathlib.Path(package["manifest_path"]).parent
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE")):
            yield path.read_text(errors="replace").strip()


def main():
    metadata = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", sys.argv[1]]
    packages = linked(json.loads(subprocess.run(metadata, check=True, stdout=subprocess.PIPE).stdout))
    print("lagoon.so contains the Rust standard library (MIT OR Apache-2.0) and these crates:\n")
    by_text = collections.defaultdict(list)
    for package in packages:
        name = f"{package['name']} {package['version']}"
        print(f"{name}: {package['license'] or 'see below'}")
        for text in dict.fromkeys(texts(package)):
            by_text[text].append(name)
    for text, names in sorted(by_text.items(), key=lambda item: item[1]):
        print(f"\n{'-' * 100}\n{', '.join(names)}\n\n{text}")


main()
