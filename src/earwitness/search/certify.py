"""Certificates of what was found in low precision, asked again in float32."""

from __future__ import annotations

import numpy as np

from ..signal.spectrum import Signals
from .driver import Driver
from .minimality import without
from .questions import TOLERANCE, Answer, Certificate, Found, Property, ask


def confirm_certificate(found: Found, property_: Property, signals: Signals, driver: Driver) -> tuple[Found, int]:
    """What was found, with its certificate if float32 confirms that; and the questions asked.

    Each of the certificate's groups is dropped alone, and each time the property must be lost. Nothing is asked of a
    driver whose searches were in float32.

    Parameters
    ----------
    found : Found
    property_ : Property
        That it has.
    signals : Signals
    driver : Driver
    """
    certificate = found.certificate
    if driver.dtype is None or found.mask is None or not certificate.groups:
        return found, 0
    candidates, asked = without(found.mask, certificate.parts), 0
    search = ask(property_, candidates)
    try:
        masks = next(search)
        while True:
            asked += len(masks) * driver.repeats
            masks = search.send(Answer(driver.evaluate(signals, masks), 0))
    except StopIteration as stop:
        slack = stop.value
    if len(candidates) and bool(np.all(slack < -TOLERANCE)):
        return found, asked
    return Found(found.mask, Certificate(), "its certificate was not confirmed in float32"), asked
