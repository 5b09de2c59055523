"""The delivered tables as the report asks them: in DuckDB, within bounded memory."""

from pathlib import Path
from typing import Any

import duckdb

from columna.results.layout import Layout
from columna.tables.catalogue import TABLES
from columna.tables.delivered import delivered_table

MEMORY = "1GB"
IDENTITY = ("participant_id", "session_id", "scan_id")


class NumberedTables:
    """Tables of a run; scans are numbered from 0 in the order of their ids.

    Parameters
    ----------
    layout
        The run.
    work
        Folder for what does not fit into memory.
    threads
        Cores to use.

    Raises
    ------
    TableError
        If a table is not there, is damaged or of another version.
    """

    def __init__(self, layout: Layout, work: Path, threads: int) -> None:
        files = {name: delivered_table(layout.tables, name)[1] for name in TABLES}
        self._connection = duckdb.connect(str(work / "report.duckdb"))
        self.run(f"SET memory_limit = '{MEMORY}'; SET preserve_insertion_order = false")
        self.run("SET enable_progress_bar = false")
        self.run(f"SET threads = {threads}")
        self._connection.execute("SET temp_directory = $1", [str(work)])
        for name, file in files.items():
            path = str(file).replace("'", "''")
            self.run(f"CREATE VIEW {name} AS FROM read_parquet('{path}')")
        self._number()
        self._batches(layout)
        self.scans_n: int = self.rows("SELECT count(*) FROM numbered")[0][0]

    def run(self, query: str) -> None:
        """Execute a statement to its end."""
        self._connection.execute(query).fetchall()

    def rows(self, query: str, *values: Any) -> list[tuple]:
        """All rows of a query; ask for few."""
        return self._connection.execute(query, list(values)).fetchall()

    def columns(self, table: str) -> list[str]:
        """Names of the columns of a table or view."""
        return [name for name, *_ in self.rows(f"DESCRIBE {table}")]

    @property
    def own_columns(self) -> list[str]:
        """The cohort's own columns of the table `participants`."""
        return [name for name in self.columns("participants") if name not in IDENTITY]

    def close(self) -> None:
        """Give the files free."""
        self._connection.close()

    def _number(self) -> None:
        self.run(
            "CREATE TABLE numbered AS "
            "SELECT (row_number() OVER (ORDER BY scan_id) - 1)::INTEGER AS n, scan_id FROM scans"
        )

    def _batches(self, layout: Layout) -> None:
        """Batch of each scan, as the index says."""
        path = str(layout.index / "scans.parquet")
        known = self.rows("SELECT name FROM parquet_schema($1)", path)
        batch = "any_value(batch)" if ("batch",) in known else "NULL"
        self._connection.execute(
            f"CREATE TABLE batches AS SELECT scan_id, {batch} AS batch "  # noqa: S608
            "FROM read_parquet($1) WHERE input_status = 'ok' GROUP BY scan_id",
            [path],
        ).fetchall()


def quoted(name: str) -> str:
    """A column's name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
