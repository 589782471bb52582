"""Turns the output of `apt-cache dumpavail` (standard input) into CSV (standard output), one row a package."""

import csv
import sys

COLUMNS = {
    "Package": "name",
    "Version": "version",
    "Section": "section",
    "Maintainer": "maintainer",
    "Installed-Size": "installed_size",
    "Size": "size",
    "Depends": "depends",
    "Description": "description",
}


def records(lines):
    """The paragraphs of a Debian control file as dicts of the wanted fields."""
    record = {}
    for line in lines:
        if not line.strip():
            if record:
                yield record
            record = {}
        elif line[0] not in " \t":
            field, _, value = line.partition(":")
            if field in COLUMNS:
                record[COLUMNS[field]] = value.strip()
    if record:
        yield record


writer = csv.DictWriter(sys.stdout, COLUMNS.values(), lineterminator="\n")
writer.writeheader()
seen = set()
for record in records(sys.stdin):
    if record["name"] not in seen:  # a package may be there in several versions
        seen.add(record["name"])
        writer.writerow(record)
