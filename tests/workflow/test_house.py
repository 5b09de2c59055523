"""The files around the code: they exist, parse, agree with each other, and name no machine."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from snakemake.cli import get_argument_parser

from workspace import REPOSITORY

YAML_FILES = [
    ".pre-commit-config.yaml",
    ".snakemake-workflow-catalog.yml",
    "CITATION.cff",
    "config/config.yaml",
    "config/train.yaml",
    "config/demo.yaml",
    "envs/columna.yaml",
    "profiles/default/config.yaml",
    "profiles/slurm/config.yaml",
    *(f".github/workflows/{name}.yml" for name in ("container", "lint", "release", "test")),
]
TEXT_FILES = ["CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "docs/README.md"]
SCRIPTS = [".ci/run", "benchmarks/dryrun.sh", "envs/columna.post-deploy.sh"]
TASKS = {
    *("help", "env", "demo", "test", "lint", "fix", "docs", "pins", "clean"),
    *("train", "evaluate-default", "twins", "peer", "dist", "container", "container-test"),
}


def text(path):
    return (REPOSITORY / path).read_text(encoding="utf-8")


def tracked():
    """Tracked files that exist, without links and binary files."""
    command = ["git", "grep", "-Il", "--untracked", ""]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [path for path in done.stdout.splitlines() if (REPOSITORY / path).is_file()]


@pytest.mark.parametrize("path", YAML_FILES)
def test_yaml_is_a_mapping(path):
    assert isinstance(yaml.safe_load(text(path)), dict)


@pytest.mark.parametrize("path", TEXT_FILES)
def test_text_is_there(path):
    assert text(path).strip()


@pytest.mark.parametrize("path", SCRIPTS)
def test_script_is_executable_bash(path):
    assert (REPOSITORY / path).stat().st_mode & 0o111
    assert "set -euo pipefail" in text(path)
    subprocess.run(["bash", "-n", str(REPOSITORY / path)], check=True)


def test_links_in_the_docs_lead_somewhere():
    for path in tracked():
        if not path.endswith(".md"):
            continue
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(path)):
            assert ((REPOSITORY / path).parent / target).exists(), f"{path}: {target}"


def broken_tables(page):
    """Lines of Markdown tables that have another number of cells than the line before."""
    code, before = False, 0
    for number, line in enumerate(page.splitlines(), start=1):
        code ^= line.lstrip().startswith("```")
        is_row = line.startswith("|") and not code
        cells = len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) if is_row else 0
        if cells and before and cells != before:
            yield number
        before = cells


def test_rows_of_tables_have_all_their_cells():
    pages = [path for path in tracked() if path.endswith(".md")]
    found = [f"{path}:{number}" for path in pages for number in broken_tables(text(path))]
    assert not found, "\n".join(found)
    assert list(broken_tables("| a | b |\n|---|---|\n| c |\n")) == [3]


def test_tables_of_pages_have_heads():
    """A row after an empty line is no part of the table before it."""
    for path in tracked():
        if path.endswith(".md"):
            lone = re.search(r"(?:^|\n\n)(\|.*)\n(?!\|[ :-]+)", text(path))
            assert lone is None, f"{path}: {lone.group(1)}"


# --- environment ---


def pins():
    lines = [line for line in text("envs/constraints.txt").splitlines() if line[0] != "#"]
    assert all("==" in line for line in lines)
    return {canonicalize_name(name): version for name, version in (x.split("==") for x in lines)}


def requirements():
    project = tomllib.loads(text("pyproject.toml"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(r) for r in (*project["dependencies"], *(r for e in extras for r in e))]


def test_everything_that_the_package_names_is_pinned():
    pinned = pins()
    for requirement in requirements():
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in envs/constraints.txt"
        assert requirement.specifier.contains(version), requirement


def test_pins_name_no_build_of_one_machine():
    assert not [version for version in pins().values() if "+" in version]
    assert pins()["torch"] == "2.13.0"
    assert pins()["torchvision"] == "0.28.0"  # brought along by nnU-Net; the pair of that torch


def test_conda_environment_has_the_same_pins():
    spec = importlib.util.spec_from_file_location("pins", REPOSITORY / "envs" / "pins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pinned = module.read_pins(REPOSITORY / "envs" / "constraints.txt")
    assert text("envs/columna.yaml") == module.conda_text(pinned)


def test_nothing_imports_torchvision():
    """Its CUDA build cannot be imported beside a CPU build of torch; timm imports it."""
    code = """
import pkgutil, sys
sys.modules["torchvision"] = sys.modules["timm"] = None
import columna
for module in pkgutil.walk_packages(columna.__path__, "columna."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
import nnunetv2.inference.predict_from_raw_data
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- profiles ---


def profile(name):
    return yaml.safe_load(text(f"profiles/{name}/config.yaml"))


def options_of_snakemake():
    actions = get_argument_parser()._actions
    return {option.lstrip("-") for action in actions for option in action.option_strings}


@pytest.mark.parametrize("name", ["default", "slurm"])
def test_profile_keys_are_options_of_snakemake(name):
    assert set(profile(name)) <= options_of_snakemake()


def test_default_profile_overrides_nothing_of_slurm():
    """Snakemake lets it win key by key, so a key of both must say the same."""
    default, slurm = profile("default"), profile("slurm")
    assert {key: default[key] for key in default.keys() & slurm.keys()} == {
        key: slurm[key] for key in default.keys() & slurm.keys()
    }
    assert not default.keys() & {"cores", "jobs", "executor", "default-resources", "set-resources"}


def test_gpu_limit_of_one_machine_does_not_hold_back_a_cluster():
    assert profile("default")["resources"] == {"gpu": 1}
    assert profile("slurm")["set-resource-scopes"] == {"gpu": "local"}


def test_slurm_profile_is_found_by_its_name_and_names_no_account():
    assert (REPOSITORY / "slurm").resolve() == REPOSITORY / "profiles" / "slurm"
    assert not profile("slurm").keys() & {"default-resources", "set-resources"}


@pytest.mark.parametrize("name", ["default", "slurm"])
def test_every_block_of_a_profile_says_why(name):
    blocks = text(f"profiles/{name}/config.yaml").strip().split("\n\n")
    assert all(block.startswith("#") for block in blocks)


def test_retries_are_in_the_profile_only():
    rules = (REPOSITORY / "workflow" / "rules").glob("*.smk")
    assert not [path.name for path in rules if "retries:" in path.read_text(encoding="utf-8")]


# --- tasks ---


def make(folder, *arguments):
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_make_lists_its_tasks():
    done = make(REPOSITORY, "--no-print-directory")  # this test may itself run below make
    assert done.returncode == 0, done.stderr
    assert {line.split()[1] for line in done.stdout.splitlines()} == TASKS


def test_make_says_which_python_it_needs(tmp_path):
    for name in ("Makefile", "pyproject.toml", "envs"):
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, tmp_path / name)
    done = make(tmp_path, "env", "PYTHON=")
    assert done.returncode != 0
    assert "3.11 or 3.12" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_catalog_says_whether_there_is_a_report():
    rules = [p.read_text(encoding="utf-8") for p in (REPOSITORY / "workflow").rglob("*.smk")]
    usage = yaml.safe_load(text(".snakemake-workflow-catalog.yml"))["usage"]
    assert usage["report"] == any("report(" in rule for rule in rules)


# --- delivery ---


def workflow_steps():
    files = (REPOSITORY / ".github" / "workflows").glob("*.yml")
    jobs = [job for file in files for job in yaml.safe_load(file.read_text())["jobs"].values()]
    return [step for job in jobs for step in job["steps"]]


def test_workflows_of_github_call_the_tasks_and_pin_their_actions():
    called = {
        word
        for step in workflow_steps()
        for word in step.get("run", "").split()
        if step.get("run", "").startswith("make ") and "=" not in word
    }
    assert called - {"make"} <= TASKS
    assert {"test", "lint", "demo", "dist", "container"} <= called
    actions = [step["uses"] for step in workflow_steps() if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", action) for action in actions)


def test_checks_of_style_are_named_in_the_makefile_only():
    recipe = text("Makefile").partition("\nlint:")[2].partition("\n\n")[0]
    tools = set(re.findall(r"^\t(?:python -m )?([\w-]+)", recipe, re.MULTILINE)) - {"git"}
    assert {"ruff", "lint-imports", "snakefmt"} <= tools
    callers = [".pre-commit-config.yaml", ".ci/run"]
    callers += [p for p in tracked() if p.startswith(".github/workflows/")]
    for caller in callers:
        commands = [line for line in text(caller).splitlines() if not line.startswith("#")]
        assert not tools & set(re.findall(r"[\w-]+", "\n".join(commands))), caller


def test_images_have_the_pins_and_one_base():
    docker, apptainer = text("containers/Dockerfile"), text("containers/columna.def")
    (base,) = re.findall(r"^FROM (\S+:\d\S+)$", docker, re.MULTILINE)
    assert f"From: {base}\n" in apptainer
    for recipe in (docker, apptainer):
        assert re.search(r"-c \S+/constraints.txt \S+/columna-\*.whl", recipe)
    assert re.search(r"^USER [1-9]", docker, re.MULTILINE)


def test_licence_is_the_same_in_both_places():
    assert text("LICENSE") == text("LICENSES/Apache-2.0.txt")


# --- what must not be in a repository ---

MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:home|root|Users|work|farm|scratch)/\w")
PACKAGE_INDEX = re.compile(r"://[\w.-]*(?:pypi|pythonhosted|anaconda|npmjs|debian)")


def test_nothing_names_a_machine_or_a_package_index():
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in tracked()
        if not path.endswith("/vendor/niivue.umd.js")  # WebAssembly has a home of its own
        for number, line in enumerate(text(path).splitlines(), start=1)
        if MACHINE_PATH.search(line) or PACKAGE_INDEX.search(line)
    ]
    assert not found, "\n".join(found)


LARGE = ("resources/models/", "workflow/columna/viewer/static/vendor/")
"""Networks, and the packed viewer."""


def test_no_large_files_but_models():
    large = [
        path
        for path in tracked()
        if (REPOSITORY / path).stat().st_size > 2**20 and not path.startswith(LARGE)
    ]
    assert not large
