"""A pre-provisioning hook for AWS IoT Core's fleet provisioning: a device gets a certificate of AWS where Wardein trusts it.

A Lambda function, `provisioning.handler`, packed as authorizer.py beside it. The provisioning template has two parameters: `SerialNumber`, the
device's id, and `WardeinToken`, what `wardein-device token --audience PLATFORM` printed. Whatever goes wrong refuses.

The event and the answer are those of "Pre-provisioning hooks" in AWS's developer guide for IoT Core, which gives the hook 5 s.
"""

import base64
from typing import Any

from authorizer import PLAIN, _loop, verified


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Whether the device may be provisioned, and its id as Wardein has it for the template."""
    try:
        parameters = event["parameters"]
        serial = parameters["SerialNumber"]
        token = base64.b64decode(parameters["WardeinToken"], validate=True)
        login = _loop.run_until_complete(verified(token))
        if not login.trust.is_trusted or login.trust.device_id != serial or not PLAIN.fullmatch(serial):
            return {"allowProvisioning": False}
        # What the device said of itself does not count beside what was verified.
        overrides = {"SerialNumber": login.trust.device_id, "WardeinToken": "used"}
        return {"allowProvisioning": True, "parameterOverrides": overrides}
    except Exception as error:
        print("refused:", type(error).__name__)
        return {"allowProvisioning": False}
