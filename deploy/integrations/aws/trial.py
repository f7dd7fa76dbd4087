"""Calls the two functions as AWS documents that it does, with tokens of devices: `trial.py TRUSTED SUSPENDED`, each a directory. It is a
stand-in: AWS is not there. It checks the form of each answer against the documentation."""

import base64
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import authorizer
import provisioning

CONTEXT = SimpleNamespace(invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:wardein")


def token(directory: str) -> str:
    # Offline: who is out of trust is not told the time.
    command = ["wardein-device", "--dir", directory, "token", "--audience", "iot", "--offline"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def connect(client: str, password: str | bytes, **more: object) -> dict:
    """An MQTT connection, as AWS passes it on."""
    password = password.encode() if isinstance(password, str) else password
    mqtt = {"username": client, "password": base64.b64encode(password).decode(), "clientId": client, **more}
    event = {
        "signatureVerified": False,
        "protocols": ["tls", "mqtt"],
        "protocolData": {"tls": {"serverName": "x-ats.iot.eu-central-1.amazonaws.com"}, "mqtt": mqtt},
        "connectionMetadata": {"id": "4cf9d5e6-0000-4000-8000-000000000000"},
    }
    answer = authorizer.handler(event, CONTEXT)
    assert set(answer) == {
        "isAuthenticated", "principalId", "disconnectAfterInSeconds", "refreshAfterInSeconds", "policyDocuments",
    }, answer
    assert isinstance(answer["isAuthenticated"], bool) and re.fullmatch("[a-zA-Z0-9]{1,128}", answer["principalId"])
    for seconds in (answer["disconnectAfterInSeconds"], answer["refreshAfterInSeconds"]):
        assert isinstance(seconds, int) and 300 <= seconds <= 86_400, answer
    assert len(answer["policyDocuments"]) <= 10
    assert all(len(json.dumps(each)) <= 2048 for each in answer["policyDocuments"])
    assert answer["isAuthenticated"] or answer["policyDocuments"] == []
    return answer


def provision(serial: str, token: object) -> bool:
    event = {
        "claimCertificateId": "c" * 64,
        "certificateId": "d" * 64,
        "certificatePem": "-----BEGIN CERTIFICATE-----\n",
        "templateArn": "arn:aws:iot:eu-central-1:123456789012:provisioningtemplate/pumps",
        "clientId": "221a6d10-9c7f-42f1-9153-e52e6fc869c1",
        "parameters": {"SerialNumber": serial, "WardeinToken": token},
    }
    answer = provisioning.handler(event, CONTEXT)
    assert set(answer) <= {"allowProvisioning", "parameterOverrides"} and isinstance(answer["allowProvisioning"], bool)
    overrides = answer.get("parameterOverrides", {})
    assert all(isinstance(each, str) for pair in overrides.items() for each in pair)
    return answer["allowProvisioning"]


def main(trusted: str, suspended: str) -> None:
    one = token(trusted)
    assert not connect("p-2", one)["isAuthenticated"], "as another client"
    used = connect("p-1", token(trusted))
    assert used["isAuthenticated"] and used["principalId"] == "p1"
    assert "client/p-1" in json.dumps(used) and "p-2" not in json.dumps(used)
    again = token(trusted)
    assert connect("p-1", again)["isAuthenticated"] and not connect("p-1", again)["isAuthenticated"], "good once"
    assert not connect("p-1", token(trusted), username="p-2")["isAuthenticated"]
    assert not connect("p-2", token(suspended))["isAuthenticated"], "a suspended device"
    for password in ("", "x", b"\xff", "AAAA"):
        assert not connect("p-1", password)["isAuthenticated"]
    for event in ({}, {"protocolData": {}}, {"protocolData": {"http": {"headers": {}}}}, {"protocolData": {"mqtt": None}}):
        assert not authorizer.handler(event, CONTEXT)["isAuthenticated"]

    assert provision("p-1", token(trusted))
    assert not provision("p-2", token(trusted)), "as another device"
    assert not provision("p-2", token(suspended)), "a suspended device"
    for bad in ("", "x", None, 7):
        assert not provision("p-1", bad)
    assert not provisioning.handler({}, CONTEXT)["allowProvisioning"]
    print("every answer has the documented form, and refuses whom it must")


main(*sys.argv[1:])
