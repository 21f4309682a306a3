"""`make sizes`: the services' deployment packages with their dependencies, and Lambda's limits."""

import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from infra.packaging import assemble, exclusively
from infra.stage import SERVICES

MEGABYTE = 1_000_000
MOST_ZIPPED = 50 * MEGABYTE
MOST_UNZIPPED = 250 * MEGABYTE


class Size(NamedTuple):
    service: str
    zipped: int
    unzipped: int

    @property
    def fits(self) -> bool:
        return self.zipped < MOST_ZIPPED and self.unzipped < MOST_UNZIPPED


def measure(service: str) -> Size:
    folder = assemble(service, bundle_dependencies=True)
    files = [file for file in folder.rglob("*") if file.is_file()]
    with tempfile.TemporaryDirectory() as scratch:
        package = Path(scratch) / "package.zip"
        with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
        zipped = package.stat().st_size
    return Size(service, zipped, sum(file.stat().st_size for file in files))


def main() -> int:
    with exclusively():
        sizes = [measure(service) for service in SERVICES]
    sys.stdout.write("service   zipped MB  unzipped MB\n")
    for size in sizes:
        mark = "" if size.fits else "  too large"
        zipped, unzipped = size.zipped / MEGABYTE, size.unzipped / MEGABYTE
        sys.stdout.write(f"{size.service:9} {zipped:9.1f} {unzipped:12.1f}{mark}\n")
    return 0 if all(size.fits for size in sizes) else 1


if __name__ == "__main__":
    sys.exit(main())
