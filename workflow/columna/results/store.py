"""What is already computed: an archive per scan with one record per stage.

A stage's record, and the masks that only later stages need, enter the archive together and
atomically, so a stage of a scan is done exactly when its record says so. The record carries the
fingerprint of everything that the result depends on; another fingerprint means that the stage has
to run again. Snakemake knows nothing of these files, which is why they survive failed and killed
jobs.

``unzip -p results/store/<scan_id>.zip measure.json`` shows a record to a person.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from columna.errors import UnavailableError
from columna.files import has_identity, identity
from columna.images.volume import Volume, volume_bytes, volume_from_bytes
from columna.results.archive import read_members, write_members
from columna.results.layout import Layout

Status = Literal["done", "refused", "failed"]
SOURCES = "sources.json"


@dataclass(frozen=True)
class Record:
    """How one stage of one scan ended.

    Parameters
    ----------
    stage
        The stage that ended; for a scan that was refused, later stages hand on this record.
    status
        ``done``; ``refused`` (the scan cannot be processed); ``failed`` (a defect: see the log).
    code, reason
        Why a scan is not done: a code of ``resources/reasons.tsv`` and a sentence.
    dependencies
        What the fingerprint was made of, besides the upstream stage: settings, model, input.
    files
        `columna.files.identity` of every delivered file, by path relative to the results folder.
    volumes
        SHA-256 of the masks that the archive holds for later stages, by name.
    values
        Small results, JSON.
    computations_n
        How often this stage of this scan has been computed in this store.
    seconds
        Wall time of the last computation. Not part of any table: tables repeat bit by bit.
    """

    stage: str
    scan_id: str
    fingerprint: str
    status: Status
    code: str | None = None
    reason: str | None = None
    dependencies: dict[str, Any] = field(default_factory=dict)
    files: dict[str, list[Any]] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    computations_n: int = 1
    seconds: float = 0.0


class Store:
    """Records of one results folder."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def path(self, scan_id: str) -> Path:
        """Archive of a scan."""
        return self.layout.record(scan_id)

    def read(self, scan_id: str, stage: str) -> Record | None:
        """The record of a scan's stage, or None where there is none that can be used."""
        return self.read_all(scan_id).get(stage)

    def read_all(self, scan_id: str) -> dict[str, Record]:
        """All records of a scan that can be used, by stage."""
        members = read_members(self.path(scan_id))
        found = {
            Path(name).stem: _record(scan_id, content, members)
            for name, content in members.items()
            if name.endswith(".json") and name != SOURCES
        }
        return {stage: record for stage, record in found.items() if record is not None}

    def write(self, record: Record, volumes: Mapping[str, Volume] | None = None) -> None:
        """Keep a record; from now on the stage counts as ended.

        New `volumes` go into the archive, and their digests into the record.
        """
        members = {_volume_member(name): volume_bytes(v) for name, v in (volumes or {}).items()}
        if volumes:
            digests = {name: _sha256(members[_volume_member(name)]) for name in volumes}
            record = replace(record, volumes=digests)
        members[f"{record.stage}.json"] = _json(_sealed(record))
        write_members(self.path(record.scan_id), members)

    def volume(self, scan_id: str, name: str) -> Volume:
        """A mask that an earlier stage kept.

        Raises
        ------
        UnavailableError
            If the archive does not hold it, or not undamaged.
        """
        path = self.path(scan_id)
        content = read_members(path).get(_volume_member(name))
        if content is None:
            raise UnavailableError(f"{path} holds no mask '{name}': run `columna {name}` again")
        return volume_from_bytes(content)

    def sources(self, scan_id: str) -> dict[str, Any]:
        """What `remember` was told of a scan's input files."""
        try:
            known = json.loads(read_members(self.path(scan_id)).get(SOURCES, b"{}"))
        except ValueError:
            return {}
        return known if isinstance(known, dict) else {}

    def remember(self, scan_id: str, sources: Mapping[str, Any]) -> None:
        """Note digests of a scan's input files."""
        content = _json({**self.sources(scan_id), **sources})
        write_members(self.path(scan_id), {SOURCES: content})

    def is_current(self, record: Record | None, fingerprint: str) -> bool:
        """Whether `record` still answers: same fingerprint, all files whole, not a defect."""
        return (
            record is not None
            and record.fingerprint == fingerprint
            and record.status != "failed"
            and self.is_whole(record)
        )

    def is_whole(self, record: Record, *, content: bool = False) -> bool:
        """Whether all files of a record are as they were written.

        Size and time are compared, and where only the time differs or `content` is asked for, the
        digest.
        """
        root = self.layout.root
        return all(
            has_identity(root / name, known, content=content)
            for name, known in record.files.items()
        )

    def refreshed(self, record: Record) -> Record:
        """A record whose files are whole, with their times as they are now; it is kept."""
        files = {
            name: [known[0], (self.layout.root / name).stat().st_mtime_ns, *known[2:]]
            for name, known in record.files.items()
        }
        if files == record.files:
            return record
        record = replace(record, files=files)
        self.write(record)
        return record

    def identify(self, paths: list[Path]) -> dict[str, list[Any]]:
        """`files` of a record for result files just written."""
        return {self.layout.relative(path): identity(path) for path in paths}

    def kept(self, scan_id: str) -> list[Path]:
        """The files that hold what is kept of a scan between stages."""
        archive = self.path(scan_id)
        return [archive] if archive.exists() else []

    def scan_ids(self) -> set[str]:
        """The scans of which anything is kept."""
        return {path.stem for path in (self.layout.root / "store").glob("[!.]*.zip")}

    def forget(self, scan_id: str) -> None:
        """Drop all that is kept of a scan, so that all stages compute it anew."""
        self.path(scan_id).unlink(missing_ok=True)
        shutil.rmtree(self.layout.work(scan_id), ignore_errors=True)


def _record(scan_id: str, content: bytes, members: Mapping[str, bytes]) -> Record | None:
    """A record, unless it or one of its masks was edited or is missing, or it is another scan's."""
    try:
        record = _unsealed(json.loads(content))
        whole = all(
            _sha256(members.get(_volume_member(name), b"")) == digest
            for name, digest in record.volumes.items()
        )
    except (ValueError, TypeError):
        return None
    # a disk that does not tell upper from lower case hands out the archive of another scan
    return record if whole and record.scan_id == scan_id else None


def _volume_member(name: str) -> str:
    return f"{name}.nii.gz"


def _sealed(record: Record) -> dict[str, Any]:
    """A record as it is kept: with a digest, by which an edited one is told."""
    content = asdict(record)
    return content | {"seal": _sha256(_json(content))}


def _unsealed(content: Any) -> Record:
    """Undo `_sealed`; ValueError if the record is not as it was written."""
    if not isinstance(content, dict) or content.pop("seal", None) != _sha256(_json(content)):
        raise ValueError("no record as columna wrote it")
    return Record(**content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
