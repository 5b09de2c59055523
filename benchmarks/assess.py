"""What measuring and assessing a scan of a whole spine costs: CPU seconds and peak memory.

python benchmarks/assess.py
"""

import resource
import time

from columna.assess import QualityContext, assess_scan
from columna.config import LabelSettings, MeasureSettings
from columna.label import take_masks
from columna.measure import MeasureContext, measure_scan
from columna.phantom import PhantomSettings, make_phantom
from columna.prepare.facts import geometry_facts


def timed(step, *arguments):
    began = time.process_time()
    answer = step(*arguments)
    return answer, time.process_time() - began


def main():
    phantom = make_phantom(PhantomSettings(seed=1, region="whole"))
    taken = take_masks(phantom.image, phantom.semantic, phantom.instance, LabelSettings())
    context = MeasureContext(
        scan_id="s",
        participant_id="p",
        session_id=None,
        facts=geometry_facts(phantom.image),
        semantic=taken.semantic,
        instance=taken.instance,
        image=phantom.image,
        levels=taken.levels,
    )
    rows, measure_s = timed(measure_scan, context, MeasureSettings())
    quality = QualityContext(taken.semantic, taken.instance, phantom.image, rows)
    findings, assess_s = timed(assess_scan, quality)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"scan            {phantom.image.shape} voxels, {len(taken.levels)} vertebrae")
    print(f"measure         {measure_s:.2f} CPU s, {sum(map(len, rows.values()))} rows")
    print(f"assess          {assess_s:.2f} CPU s, {len(findings)} findings")
    print(f"peak memory     {peak} MiB, the making of the phantom included")


if __name__ == "__main__":
    main()
