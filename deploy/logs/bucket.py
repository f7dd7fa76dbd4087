"""The store of objects: bucket.py make URL CREDENTIALS, bucket.py take URL CREDENTIALS DIRECTORY.

`make` makes a bucket and a user who may put and read objects in it; from then on the store verifies signatures. `take`
copies all objects.
"""

import json
import os
import pathlib
import sys

import boto3

url, credentials = sys.argv[2:4]
ACTIONS = ["s3:PutObject", "s3:GetObject", "s3:ListBucket"]
MAY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ACTIONS, "Resource": "*"}]})


def client(of, **more):
    return boto3.client(of, endpoint_url=url, region_name="eu-central-1", verify=os.environ["AWS_CA_BUNDLE"], **more)


if sys.argv[1] == "make":
    anybody = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    s3, iam = client("s3", **anybody), client("iam", **anybody)
    s3.create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    iam.create_user(UserName="pumps")
    iam.put_user_policy(UserName="pumps", PolicyName="logs", PolicyDocument=MAY)
    key = iam.create_access_key(UserName="pumps")["AccessKey"]
    with open(os.open(credentials, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(f"[default]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n")
else:
    values = dict(line.split(" = ") for line in pathlib.Path(credentials).read_text().splitlines()[1:])
    s3, home = client("s3", **values), pathlib.Path(sys.argv[4])
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="logs"):
        for entry in page.get("Contents", []):
            path = home / entry["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket="logs", Key=entry["Key"])["Body"].read())
