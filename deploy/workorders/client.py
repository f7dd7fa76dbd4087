"""simple-salesforce against the stand-in: PORT CLIENT_ID USERNAME KEY_FILE CA_FILE. It fails where an answer is not what the library expects.

The library has the address of Salesforce's login built in; a transport adapter takes all connections to the stand-in instead.
"""

import sys
from urllib.parse import urlsplit, urlunsplit

import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

port, client, user, key, ca = sys.argv[1:]


class ToStandIn(requests.adapters.HTTPAdapter):
    def send(self, request, **options):
        request.url = urlunsplit(urlsplit(request.url)._replace(netloc=f"localhost:{port}"))
        return super().send(request, **(options | {"verify": ca}))


session = requests.Session()
session.mount("https://", ToStandIn())


def connect(**changed):
    options = {"username": user, "consumer_key": client, "privatekey_file": key, "version": "62.0", "session": session}
    return Salesforce(**(options | changed))


def refused(kind, call):
    try:
        call()
    except kind as error:
        print(f"{kind.__name__}: {error}".splitlines()[0])
    else:
        sys.exit(f"it was not refused with {kind.__name__}")


salesforce = connect()
soql = (
    "SELECT Id, SystemModstamp, IsDeleted, Name, Device__r.Serial__c FROM Work__c WHERE SystemModstamp >= 2020-01-01T00:00:00.000Z"
    " AND (Status__c IN ('Dispatched') OR IsDeleted = TRUE) ORDER BY SystemModstamp, Id"
)
for deleted in (False, True):
    found = salesforce.query_all(soql, include_deleted=deleted)
    assert found["done"] and len(found["records"]) == 5, found
    assert found["records"][0]["Device__r"]["Serial__c"] == "pump-1", found
print("query_all: 5 records over 3 pages")

first = "a0B000000000001AAA"
assert salesforce.Work__c.update(first, {"Report__c": "written by simple-salesforce"}) == 204
assert salesforce.Work__c.get(first)["Report__c"] == "written by simple-salesforce"
assert salesforce.Note__c.upsert("Key__c/1", {"Text__c": "a"}) == 201
assert salesforce.Note__c.upsert("Key__c/1", {"Text__c": "b"}) == 200
print("get, update and upsert: done")

refused(SalesforceResourceNotFound, lambda: salesforce.Work__c.get("a0B000000000009AAA"))
refused(SalesforceMalformedRequest, lambda: salesforce.query("SELECT"))
refused(SalesforceAuthenticationFailed, lambda: connect(username="somebody@else.example.org"))
stranger = Salesforce(session_id="00Dxx!none", instance=f"localhost:{port}", version="62.0", session=session)
refused(SalesforceExpiredSession, lambda: stranger.query(soql))
