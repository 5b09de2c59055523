"""Fixtures that several files of tests share."""

import pytest


@pytest.fixture(scope="session")
def lumbar_map():
    """Label map of a lumbar spine in its body, as trainings draw from."""
    from columna.phantom.generate import make_scene
    from columna.phantom.patients import random_patient
    from columna.train.samples import maps

    settings = random_patient(
        5, region="lumbar", spacing_mm=maps.SPACING_MM, fov_mm=(220.0, 260.0, 80.0)
    )
    scene = make_scene(settings)
    return maps.make_map(scene.tissues, scene.semantic, scene.instance, maps.SPACING_MM, 5)


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """A small run with its report."""
    from reported import reported_run

    return reported_run(tmp_path_factory.mktemp("reported"))
