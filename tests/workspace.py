"""A working folder for Snakemake: configuration and cohort of its own, rules of the repository."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]


@dataclass
class Workspace:
    folder: Path

    def configure(self, **settings):
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(settings))

    def zero_byte_cohort(self, count, first=1):
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        lines = ["participant_id\tscan_id\tpath"]
        for number in range(first, first + count):
            name = f"sub-{number:03d}_T2w"
            (data / f"{name}.nii.gz").touch()
            lines.append(f"sub-{number:03d}\t{name}\tdata/{name}.nii.gz")
        (self.folder / "cohort.tsv").write_text("\n".join(lines) + "\n")

    def run(self, *command, check=True, **variables):
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path} | variables
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def columna(self, *arguments, check=True):
        return self.run("columna", *arguments, check=check)

    def snakemake(self, *arguments, snakefile="Snakefile", check=True):
        return self.run(
            "snakemake", "-s", str(REPOSITORY / snakefile), "--cores", "2", *arguments, check=check
        )

    def planned(self, *arguments, snakefile="Snakefile"):
        """Shell commands of all planned jobs."""
        done = self.snakemake("-n", "-p", *arguments, snakefile=snakefile)
        text = done.stdout + done.stderr
        lines = [line.strip().removeprefix("Shell command: ") for line in text.splitlines()]
        return sorted({line for line in lines if line.startswith("columna ")})
