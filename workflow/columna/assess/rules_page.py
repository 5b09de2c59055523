"""The page docs/quality.md, made from the table of rules; ``make docs`` writes it."""

from columna.assess.cohort_rules import MIN_GROUP, MIN_SCANS, MIN_STRATUM, SURE
from columna.assess.rules import Rule, all_rules
from columna.domains import DOMAINS

_DOMAINS = ", ".join(f"`{name}` ({meaning})" for name, meaning in DOMAINS.items())
_INTRODUCTION = f"""\
# Quality

<!-- Generated from resources/quality_rules.tsv by `make docs`. -->

No reference is needed: `columna assess` checks whether image, masks and measures are consistent
with each other, with their neighbours, and (at collect) with the cohort. The table `quality` holds
every rule's answer for everything that the rule is about; where there is none, `value_status`
says why. Rules are rows of `resources/quality_rules.tsv`: to change a limit, change it there and
raise the version of the rule. All scans are then assessed again, nothing else.

## Verdicts

* **A value** is `ok`, `review` (beyond the first limits), `fail` (beyond the second), or `info`
  (the rule has no limits: it compares with the cohort, or is for your own use).
* **A domain** is what a value speaks of: {_DOMAINS}.
  A body can be right while its name is wrong, so every domain has its own verdict
  (`qc_<domain>_verdict` in `scans`).
* **A level** is as good as its worst rule, in each domain apart: `level_verdict_<domain>` stands in
  `vertebrae` (names, bodies, posterior), `discs` and `cord_canal`, and `is_evaluable_<domain>` says
  whether it was found and measured and no rule of the domain fails, for it or for the scan. These
  are the denominators of an analysis: for the third lumbar body,
  take the vertebrae with `level = 'L3' AND is_evaluable_bodies AND is_evaluable_names`.
  In the view `v_complete_bodies`, `level_verdict` is the worse one of body and name.
* **A scan** (`qc_verdict` in `scans`) is as good as the worst of the domains that
  `assess.verdict_domains` lists (names, bodies, discs and canal_cord where the configuration does
  not say). A domain fails where a rule marked with a * fails: vertebrae are missing, repeated or
  out of order, or the patient lies otherwise than the file says, so names and sides cannot be
  trusted. It is `review` where any of its rules says review, a level fails, or a rule marked with
  a ! has no answer. Else it is `pass`. `qc_reasons` lists the rules of those domains,
  `qc_other_reasons` those of the others. A vertebra that the field of view cuts is not a reason:
  its measures are NULL anyway.
* **No answer is not a pass.** A rule that could not be answered has a NULL value and a
  `value_status` that says why. Rules marked with a ! (column `needs_answer` of the table of rules)
  are those that every scan of a spine can answer: a scan that lacks one of their answers is
  `review`, and `qc_reasons` names the rule. Scans without a name, a complete body, a canal or
  spinal fluid thus never pass. Other rules need what a scan may rightly lack: the cord, a whole
  lumbar spine, seven complete bodies.
* **A scan that was left out, refused or failed** has no verdict (NULL): nothing of it was judged.
  `qc_reasons` holds its `processing_code`.

Nothing is deleted or corrected because of a verdict. `python benchmarks/rules.py` measures how
often every rule fires on right and on wrong results of the networks, and writes
[rules-measured.md](rules-measured.md). Rules that fire on right ones without telling wrong ones
have no limits (`info`): small cavities, contrast of the cord, left against right, coverage of the
endplates, side measures outside their plausible range. Pieces of S1 do not count as fragments, nor
specks as components of a body. Limits were chosen on 20 patients of SPIDER in slabs of 13 to 30 mm
(masks of an earlier version of the bundled networks) and judged on the same scans: of ten in which
nothing was wrong seven pass. No vertebra of theirs was wrong; discs and canals with a low Dice are
told in part only. Limits that no scan reached are engineering limits: check a sample of each
verdict before you exclude scans by it.

## How the patient lies in the file

Places, sides and names all follow the affine of the file. What can be wrong with it:

* **Two transforms that disagree.** A NIfTI file may hold an sform and a qform. columna goes by the
  sform where it is set, as nibabel does (`affine_source`); other programs take the qform. Where
  both are valid, `scans` says how far they are apart (`is_qform_mirrored`, `qform_turn_deg`,
  `qform_scale_ratio`, `qform_shift_mm`, `qform_distance_mm`), and `transforms_agree` asks for a
  look. Rounding raises nothing: a qform in single precision turns by up to 0.1 degrees. A qform
  that is set but is no transform (`is_qform_broken`) asks for a look by `qform_usable`.
* **Axes that are not orthogonal** (`shear_deg`, rule `axes_orthogonal`). `spacing_lr_mm` is the
  distance of the slices, `spacing_ap_mm` and `spacing_si_mm` that of neighbouring voxels inside a
  slice; the extents `fov_*_mm` follow from them. Volumes, areas and heights stay right. Coronal
  angles (`lateral_wedge_deg`, `tilt_coronal_deg`, `coronal_cobb_max_deg`) are less accurate,
  because body surfaces are sampled along slanted lines.
* **A patient who lies otherwise than the affine says**: on the side (`spine_axis`), back to front
  (`canal_behind_bodies`, `arches_behind_bodies`), upside down (`head_up`). The rules look at the
  masks. Networks that saw upright spines only paint what they expect, so the rules ask how much
  canal and arches there are behind the bodies, and whether sacrum, cord, bodies and pedicles
  change from top to bottom as they do in people. Small crops that show too few of these signs have
  no answer.
* **Left and right exchanged cannot be seen in masks**: a mirrored spine looks like a spine.
  `lr_swap` only tells masks whose sides contradict the affine, and `is_qform_mirrored` a file that
  contradicts itself. Where a program mirrored all scans of a site, no rule says so: check one scan
  that has a marker.

`python benchmarks/orientation.py --masks FOLDER --data FOLDER` turns scans, lets the bundled
networks segment them, and prints what the rules say. Of 12 phantoms that no training saw and 36
real scans (33 of them lumbar, in slabs of 13 to 30 mm):

| the file says | scans | a rule says so | a rule has no answer | refused, no body found | nothing |
|---|---|---|---|---|---|
| upright, which is right | 48 | 0 | 0 | 0 | 48 |
| upside down | 48 | 47 | 1 | 0 | 0 |
| back to front | 48 | 48 | 0 | 0 | 0 |
| both (half a turn) | 48 | 48 | 0 | 0 | 0 |
| on the back (quarter of a turn) | 48 | 16 | 13 | 19 | 0 |
| on the front | 11 | 5 | 2 | 4 | 0 |
| front-back and head-feet exchanged | 11 | 5 | 3 | 3 | 0 |
| left-right and front-back exchanged | 11 | 6 | 0 | 5 | 0 |

A rule without an answer makes the scan `review`, and `qc_reasons` names it. Limits were chosen on
these scans. Of 24 other phantoms (new seeds, all fields of view; the command is in the first lines
of the benchmark), 49 of 49 wrong affines were told: 31 by a rule, 4 because rules had no answer, 14
by a refusal; of the 24 upright scans none was. Of the true masks of other random phantoms, tried
with slightly different weights of the signs, all seven wrong ways were told and no upright one.

## Rules that compare with the cohort

From {MIN_SCANS} values on (of complete bodies, for measures), collect takes median and median
absolute deviation (MAD) per level, and compares every value with them: z = (value - median) /
(1.4826 x MAD). The table `cohort_reference` holds the medians, their counts, and a version (a
digest of them all), which `rule_version` repeats: tables with the same version were judged alike.
Only values outside the limits have rows in `quality`; the others can be computed from the tables.
Where the cohort tells sex and age (columns `sex` or `gender`, `age`, if `participant_columns`
lets them through), measures are compared with those of the same sex and age group (0 to 17, 18 to
39, 40 to 59, 60 to 79, 80 to 120 years), if {MIN_STRATUM} or more of these have the value.
Elsewhere both sexes and all ages count together, so the limits are wide (5 and 8).

**Drift.** The table `cohort_drift` compares every site (column `site`), scanner (by the sidecars)
and batch of {MIN_GROUP} scans or more with the whole cohort: the median of all z of a rule, and how
sure it is. Shifts of more than one SD that are {SURE} times their standard error fire `drift_site`,
`drift_scanner` or `drift_batch` for all scans of the group, in the domain `image`. They say that
scans of a group are alike and unlike the others: another protocol, another coil, other people, or a
network that does not know the contrast.

## Rules

`low` and `high` are the limits of `ok`; in brackets, those beyond which the verdict is `fail`.
A * marks rules whose failure fails the scan, a ! those without whose answer no scan passes.
"""

_NOT_ANSWERED = """\
## Not answered

Rules that need what is not kept have no rows: agreement of the folds (`fold_dice`: the masks of
single folds), measures on the mirrored input (`tta_height_delta`: a second run of the networks),
quality per station. Confidence and entropy of phase 1 are columns of `structures` and `vertebrae`,
and the Dice that every structure probably has is predicted
([predicted-quality.md](predicted-quality.md)).
"""

_SCOPES = {
    "scan": "About the scan",
    "level": "About a vertebra",
    "structure": "About a structure of the semantic mask",
}


def quality_page() -> str:
    """Text of docs/quality.md."""
    parts = [_INTRODUCTION]
    for scope, title in _SCOPES.items():
        rules = [rule for rule in all_rules().values() if rule.scope == scope]
        parts += [f"### {title}\n", *_table(rules), ""]
    return "\n".join([*parts, _NOT_ANSWERED])


def _table(rules: list[Rule]) -> list[str]:
    head = [
        "| rule | domain | compares with | unit | low | high | meaning |",
        "|---|---|---|---|---|---|---|",
    ]
    return head + [_line(rule) for rule in rules]


def _line(rule: Rule) -> str:
    marks = (" *" if rule.fails_scan else "") + (" !" if rule.needs_answer else "")
    ends = [_limit(review, fail) for review, fail in zip(rule.review, rule.fail, strict=True)]
    domain = rule.domain or "of the structure"
    cells = (
        f"`{rule.rule_id}`{marks}",
        domain,
        rule.comparator,
        rule.unit,
        *ends,
        rule.description,
    )
    return "| " + " | ".join(cells) + " |"


def _limit(review: float | None, fail: float | None) -> str:
    texts = (
        "" if review is None else f"{review:g}",
        "" if fail is None else f"({fail:g})",
    )
    return " ".join(text for text in texts if text)
