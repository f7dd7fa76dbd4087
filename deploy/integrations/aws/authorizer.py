"""A custom authorizer for AWS IoT Core: a device logs in over MQTT by a token of Wardein as its password, and may use its own topics.

A Lambda function, `authorizer.handler`. In its package: this file, `wardein` (sdk/python/platform) and the platform's identity, the directory
that WARDEIN_IDENTITY names. Set the authorizer up without token signing: what signs here is the device. Whatever goes wrong refuses.

The event and the answer are those of "Defining your Lambda function" and "Create a Lambda function for your custom authorizer" in AWS's
developer guide for IoT Core.
"""

import asyncio
import base64
import os
import re
import time
from typing import Any

from wardein import Login, Platform

# How long AWS takes a connection for good, in seconds: it takes no less and no more.
LEAST, MOST = 300, 86_400
# AWS gives up after 5 s.
TIMEOUT = 3.0
# A client id that means something in an ARN or a topic is nobody's.
PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_loop = asyncio.new_event_loop()
_platform: Platform | None = None


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Whether the client of a connection is the device that its token is of."""
    try:
        mqtt = event["protocolData"]["mqtt"]
        client = mqtt["clientId"]
        # AWS has the password in base64 again.
        token = base64.b64decode(base64.b64decode(mqtt["password"], validate=True), validate=True)
        login = _loop.run_until_complete(verified(token))
        if not login.trust.is_trusted or login.trust.device_id != client or not PLAIN.fullmatch(client):
            return refused()
        if mqtt.get("username") not in ("", None, client):
            return refused()
        return allowed(client, login.trust.keep_until.timestamp() - time.time(), where(context))
    except Exception as error:
        # Its kind: the words of an error could have something of the token.
        print("refused:", type(error).__name__)
        return refused()


async def verified(token: bytes) -> Login:
    """Verifies the token, and spends it. The connection to the authority is kept from call to call."""
    global _platform
    if _platform is None:
        platform = Platform(os.environ["WARDEIN_IDENTITY"], timeout=TIMEOUT)
        _platform = await platform.__aenter__()
    return await _platform.verify_token(token)


def where(context: object) -> str:
    """Region and account, out of the function's own name: `arn:aws:lambda:REGION:ACCOUNT:function:NAME`."""
    partition, _, region, account = getattr(context, "invoked_function_arn").split(":")[1:5]
    return f"arn:{partition}:iot:{region}:{account}"


def allowed(device: str, seconds: float, arn: str) -> dict[str, Any]:
    """May connect as itself, and use the topics below `devices/` and its id."""
    lasts = int(max(LEAST, min(MOST, seconds)))
    topics = f"devices/{device}/*"
    statements = [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": f"{arn}:client/{device}"},
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": f"{arn}:topic/{topics}"},
        {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": f"{arn}:topicfilter/{topics}"},
    ]
    return {
        "isAuthenticated": True,
        # Letters and digits alone, and the same for the same device.
        "principalId": "".join(each for each in device if each.isalnum()) or "device",
        # It logs in again by then, with another token: one is good once, so that policies are never asked for again within a connection.
        "disconnectAfterInSeconds": lasts,
        "refreshAfterInSeconds": lasts,
        "policyDocuments": [{"Version": "2012-10-17", "Statement": statements}],
    }


def refused() -> dict[str, Any]:
    return {
        "isAuthenticated": False,
        "principalId": "nobody",
        "disconnectAfterInSeconds": LEAST,
        "refreshAfterInSeconds": LEAST,
        "policyDocuments": [],
    }
