"""A value is missing if and only if its own status says why: all tables, many kinds of scans."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from measured_phantom import assessable, findings_as_rows
from exact_scan import cropped, relabelled, scan_of, spine_of

from columna.config import MeasureSettings
from columna.measure import measure_scan, unmeasured_scan_row
from columna.phantom import PhantomSettings, make_phantom
from columna.quality import QualityContext
from columna.tables.catalogue import MEASURED, SHARDED, TABLES
from columna.tables.common import STATUS
from columna.tables.dictionary import dictionary_rows
from columna.tables.reasons import reason_table
from columna.tables.rows import UNEXPLAINED
from columna.tables.schema import Table

SAID_ELSEWHERE = "cohort", "BIDS sidecar", "BIDS name and sidecar", "provenance", "processing"
