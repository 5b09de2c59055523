"""How often each quality rule fires on right results of the networks, and on wrong ones.

    python benchmarks/rules.py --cache FOLDER --per-view 8 [--data FOLDER --patients 005 045 ...] \\
        [--semantic MODEL] [--write]

Held-out phantoms of all fields of view, half of them fractured, and patients of SPIDER T2 SPACE go
through networks, naming, measures and rules; benchmarks/rule_faults.py says what is wrong with the
result. FOLDER (outside the checkout) keeps what networks answered, by digest of the models and by
scan: with other limits nothing is computed again, with --again all but the networks. --known
leaves out scans that the networks were not asked about. --write writes docs/rules-measured.md.
"""

import argparse
import datetime
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch

from columna.assess import Finding
from columna.assess.rules import Rule, all_rules, needed_answers, scan_failures, scan_rules
from columna.domains import BODIES, DOMAINS, IN_VERDICT, NAMES
from columna.evaluate.known_scans import PATIENTS as UNSEEN
from columna.evaluate.known_scans import KeptAnswers, KnownScan, known_scans
from columna.files import read_json, write_json
from rule_cases import judge
from rule_faults import BODY_DICE, CANAL_DICE, DISC_DICE, DRAWN_DICE, ISLANDS_MM3, Fault, faults

PAGE = Path(__file__).parents[1] / "docs" / "rules-measured.md"
PATIENTS = (*UNSEEN, "011", "018", "022", "041")
ALARMS = ("review", "fail")
VERTEBRA_DOMAINS = (NAMES, BODIES)
"""Domains whose faults make a vertebra wrong."""


@dataclass(frozen=True)
class Outcome:
    """Findings and faults of a case."""

    name: str
    code: str
    vertebrae: list[str]
    findings: list[Finding]
    faults: list[Fault]
    alarms: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def is_real(self) -> bool:
        """Whether a person was scanned."""
        return self.name.startswith(("spider", "sct", "tptbox"))

    def faulty(self, domain: str) -> set[str | None]:
        """Vertebrae that are wrong in a domain; None for what was not found."""
        return {fault.item for fault in self.faults if fault.domain == domain}

    def is_right(self, domains: Sequence[str] = IN_VERDICT) -> bool:
        """Whether nothing is wrong in the domains of the verdict."""
        return not any(fault.domain in domains for fault in self.faults)

    def verdict(self, domains: Sequence[str] = IN_VERDICT) -> str:
        """Verdict on the scan, as collect makes it."""
        if self.code != "done":
            return "refused"
        said = [
            (rule_id, verdict)
            for rule_id, items in self.alarms.items()
            for item, verdict in items.items()
            if all_rules()[rule_id].domain_of(item) in domains
        ]
        if any(v == "fail" and rule_id in scan_failures() for rule_id, v in said):
            return "fail"
        return "review" if said else "pass"


def outcome(case: KnownScan, networks: KeptAnswers, again: bool) -> Outcome:
    """Judge a case, or read how it was judged."""
    networks.answer(case)
    kept = networks.place(case) / "outcome.json"
    if again or not kept.exists():
        judged = judge(case, networks)
        content = {
            "code": judged.code,
            "vertebrae": [row["vertebra"] for row in judged.vertebrae],
            "findings": judged.findings,
            "faults": faults(judged, networks.folder),
        }
        write_json(kept, content)
    content = read_json(kept)
    findings = [Finding(*f) for f in content["findings"] if f[0] in all_rules()]
    wrong = [Fault(*f) for f in content["faults"]]
    return Outcome(
        case.name, content["code"], content["vertebrae"], findings, wrong, _alarms(findings)
    )


def _alarms(findings: Sequence[Finding]) -> dict[str, dict[str, str]]:
    """Rule -> item -> verdict, where it asks for a look or lacks an answer that it needs."""
    alarms: dict[str, dict[str, str]] = {}
    for f in findings:
        verdict = all_rules()[f.rule_id].verdict(f.value)
        if verdict is None and f.rule_id in needed_answers():
            verdict = "review"
        if verdict in ALARMS:
            alarms.setdefault(f.rule_id, {})[f.item] = verdict
    return alarms


def rule_table(outcomes: Sequence[Outcome]) -> list[str]:
    """How often every rule fires, as Markdown."""
    lines = [
        "| rule | domain | values of right ones: 2 %, median, 98 % | fires on right | on wrong | "
        "false alarms per scan |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [_rule_line(rule, outcomes) for rule in scan_rules()]


def _rule_line(rule: Rule, outcomes: Sequence[Outcome]) -> str:
    done = [o for o in outcomes if o.code == "done"]
    right, wrong, alarms_n, values = Counter(), Counter(), 0, []
    for o in done:
        fired = o.alarms.get(rule.rule_id, {})
        for f in (f for f in o.findings if f.rule_id == rule.rule_id):
            domain = rule.domain_of(f.item)
            bad = o.faulty(domain)
            is_wrong = f.item in bad if rule.scope == "level" else bool(bad)
            (wrong if is_wrong else right)[f.item in fired] += 1
            if f.value is not None and not is_wrong:
                values.append(f.value)
        if o.is_right():
            alarms_n += len(fired)
    good = sum(o.is_right() for o in done)
    spread = " ".join(f"{q:.3g}" for q in np.quantile(values, (0.02, 0.5, 0.98))) if values else ""
    cells = (
        f"`{rule.rule_id}`",
        rule.domain or "by structure",
        spread,
        _share(right),
        _share(wrong),
        f"{alarms_n / good:.2f}" if good else "",
    )
    return "| " + " | ".join(cells) + " |"


def _share(counts: Counter) -> str:
    n = counts.total()
    return f"{counts[True]} of {n}" if n else ""


def verdict_table(outcomes: Sequence[Outcome]) -> list[str]:
    """Verdicts on right and on wrong scans, in all and by domain."""
    lines = [
        "| verdict of | scans | nothing wrong | of them pass | a wrong vertebra | of them review, "
        "fail or refused | wrong disc or canal only | of them review or fail |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kinds = {
        "all": outcomes,
        "phantoms": [o for o in outcomes if not o.is_real],
        "real": [o for o in outcomes if o.is_real],
    }
    for kind, chosen in kinds.items():
        lines.append(_verdict_line("the scan", kind, chosen, IN_VERDICT))
    return lines + [_verdict_line(d, "all", outcomes, (d,)) for d in DOMAINS]


def _verdict_line(name: str, kind: str, outcomes: Sequence[Outcome], domains: Sequence[str]) -> str:
    wrong_names = [d for d in domains if d in VERTEBRA_DOMAINS]
    right, vertebra, other = [], [], []
    for o in outcomes:
        group = right if o.is_right(domains) else other if o.is_right(wrong_names) else vertebra
        group.append(o.verdict(domains))
    cells = [name, kind, len(right), _of(right.count("pass"), right)]
    for wrong in (vertebra, other):
        cells += [len(wrong), _of(len(wrong) - wrong.count("pass"), wrong)]
    return "| " + " | ".join(map(str, cells)) + " |"


def _of(n: int, of: Sequence) -> str:
    return f"{n} ({100 * n / len(of):.0f} %)" if of else "-"


def fault_table(outcomes: Sequence[Outcome]) -> list[str]:
    """Faults by kind, and how many are in scans that do not pass."""
    counts, flagged = Counter(), Counter()
    for o in outcomes:
        for fault in o.faults:
            key = (fault.domain, fault.kind)
            counts[key] += 1
            flagged[key] += o.verdict() != "pass"
    lines = ["| domain | fault | n | in scans that do not pass |", "|---|---|---|---|"]
    return lines + [f"| {d} | {k} | {n} | {flagged[d, k]} |" for (d, k), n in counts.items()]


def page(outcomes: Sequence[Outcome], networks: KeptAnswers, command: str) -> str:
    """Text of docs/rules-measured.md."""
    real = [o.name for o in outcomes if o.is_real]
    return "\n".join(
        [
            "# Rules, measured",
            "",
            "<!-- Written by benchmarks/rules.py --write. -->",
            "",
            f"`{command}`, {datetime.date.today():%Y-%m-%d}; models `{networks.semantic_name}` and "
            f"`{networks.instance_name}` (digests {networks.digest}).",
            "",
            f"{len(outcomes) - len(real)} held-out phantoms of all fields of view, half of them "
            f"fractured, and {len(real)} real scans ({', '.join(real)}). A vertebra of a phantom "
            "is wrong where it is missed, split, merged, false, bears another name than it should, "
            f"or its body has a Dice below {BODY_DICE}; more than {ISLANDS_MM3 / 1000:g} cm3 of "
            "mask away from the spine are a fault of the bodies; a disc is wrong where there is "
            f"none, or below {DISC_DICE}, the canal below {CANAL_DICE}. Predicted Dice was "
            "calibrated on some of these scans. Real drawings tell no processes, so "
            f"bodies with what lies in front of the canal count, below {DRAWN_DICE}; the lowest "
            "vertebra that is drawn is L5. What the field of view cuts has no measures, so that "
            "its Dice is no fault. Nothing is known of real scans of other names than spider.",
            "",
            "## Verdicts",
            "",
            *verdict_table(outcomes),
            "",
            "## What is wrong, and whether the scan is flagged",
            "",
            *fault_table(outcomes),
            "",
            "## Rules",
            "",
            "A rule about a level fires on a right one where nothing is wrong with that vertebra "
            "in the rule's domain; a rule about the scan or a structure, where nothing is wrong "
            "in the domain in the whole scan. False alarms are counted in scans without any "
            "fault, in vertebrae, scans and structures. Rules without limits never fire.",
            "",
            *rule_table(outcomes),
            "",
        ]
    )


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    networks = KeptAnswers(options.semantic, options.instance, options.cache)
    wanted = known_scans(options.per_view, options.data, options.patients, others=True)
    if options.known:
        wanted = [case for case in wanted if networks.has(case)]
    work = [(case, networks, options.again) for case in wanted]
    if options.workers > 1:
        with Pool(options.workers) as pool:
            outcomes = pool.starmap(outcome, work, chunksize=1)
    else:
        outcomes = [outcome(*item) for item in work]
    for o in outcomes:
        why = {r: sorted(i) for r, i in o.alarms.items()}
        wrong = [f"{f.kind} {f.item}" for f in o.faults]
        print(o.name, o.verdict(), wrong, why, flush=True)
    text = page(outcomes, networks, _command())
    print(text)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")


def _command() -> str:
    """The command with names of folders instead of places."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return f"python benchmarks/rules.py {shlex.join(words)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--per-view", type=int, default=8)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--patients", nargs="*", default=list(PATIENTS))
    parser.add_argument("--semantic", default="bundled_semantic")
    parser.add_argument("--instance", default="bundled_instance")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
