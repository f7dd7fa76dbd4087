#!/usr/bin/env python3
"""What the chart makes, judged: check.py [--args KIND] < OUTPUT-OF-HELM-TEMPLATE

With --args it prints the arguments of the container of that kind of object, one a line; with --config what is in wardein.toml."""

import sys
import tomllib

import yaml

GROUP = 65532


def main() -> None:
    objects = {}
    for each in yaml.safe_load_all(sys.stdin):
        if each:
            objects[each["kind"], each["metadata"]["name"]] = each
    if sys.argv[1:2] == ["--args"]:
        (workload,) = [each for (kind, _), each in objects.items() if kind == sys.argv[2]]
        print(*pod_of(workload)["spec"]["containers"][0]["args"], sep="\n")
    elif sys.argv[1:] == ["--config"]:
        print(config_of(objects), end="")
    else:
        judge(objects)
        print(f"{len(objects)} objects: {', '.join(kind for kind, _ in objects)}")


def pod_of(workload: dict) -> dict:
    return workload["spec"]["template"]


def config_of(objects: dict) -> str:
    (config,) = [each for (kind, _), each in objects.items() if kind == "ConfigMap"]
    return config["data"]["wardein.toml"]


def matches(selector: dict, labels: dict) -> bool:
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", expression
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())


def judge(objects: dict) -> None:
    assert "Secret" not in {kind for kind, _ in objects}, "secrets are made by hand, not from values, which releases keep"
    config = tomllib.loads(config_of(objects))
    workloads = [each for (kind, _), each in objects.items() if kind in ("Deployment", "StatefulSet", "Job")]
    assert len(workloads) == 1
    workload = workloads[0]
    pod = pod_of(workload)
    judge_pod(pod, objects)
    serves = workload["kind"] != "Job"
    labels = pod["metadata"]["labels"]
    if serves:
        assert matches(workload["spec"]["selector"], labels)
    container = pod["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    if serves:
        listens = {"grpc": "listen", "http": "http", "est": "est"}
        for name, number in ports.items():
            assert config["network"][listens[name]] == f"0.0.0.0:{number}", name
        assert ("est" in ports) == bool(config["network"]["est"])

    services = {name: each for (kind, name), each in objects.items() if kind == "Service"}
    for name, service in services.items():
        assert matches({"matchLabels": service["spec"]["selector"]}, labels) == serves, name
        targets = {port["targetPort"] for port in service["spec"]["ports"]}
        # The port that is not to be reached from outside is alone on a service of its own.
        assert targets == {"http"} if name.endswith("-http") else "http" not in targets, name
        assert not name.endswith("-http") or service["spec"]["type"] == "ClusterIP"
        assert not serves or targets <= ports.keys()

    for (kind, name), each in objects.items():
        if kind == "NetworkPolicy":
            judge_policy(each["spec"], labels, config, ports if serves else None)
        if kind == "PodDisruptionBudget":
            assert matches(each["spec"]["selector"], labels) and each["spec"]["maxUnavailable"] == 1
            assert workload["kind"] == "Deployment"
        if kind == "ServiceMonitor":
            found = [name for name, service in services.items() if matches(each["spec"]["selector"], service["metadata"]["labels"])]
            assert found == [name + "-http"], found
            (endpoint,) = each["spec"]["endpoints"]
            assert endpoint["path"] == "/metrics" and endpoint["port"] in {port["name"] for port in services[found[0]]["spec"]["ports"]}

    if workload["kind"] == "Deployment":
        assert config["store"] == "postgresql"
        assert workload["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert not any("persistentVolumeClaim" in volume for volume in pod["spec"]["volumes"])
        assert all(mount["readOnly"] for mount in container["volumeMounts"]), "a node has no state of its own"
    if workload["kind"] == "StatefulSet":
        assert config["store"] == "sqlite" and workload["spec"]["replicas"] == 1
        assert "postgresql" not in config or not config["postgresql"]
    if serves:
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        for probe in ("startupProbe", "livenessProbe"):
            # One that cannot write is not restarted for it.
            assert container[probe]["httpGet"] == {"path": "/healthz", "port": "http"}


def judge_pod(pod: dict, objects: dict) -> None:
    """Pod Security Standards, restricted; and what they leave open."""
    spec = pod["spec"]
    for forbidden in ("hostNetwork", "hostPID", "hostIPC", "initContainers", "shareProcessNamespace"):
        assert forbidden not in spec, forbidden
    assert spec["automountServiceAccountToken"] is False
    assert ("ServiceAccount", spec["serviceAccountName"]) in objects
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True and context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == GROUP
    assert context["fsGroupChangePolicy"] == "OnRootMismatch", "else files for the service alone are opened to its group"
    (container,) = spec["containers"]
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]} and context["privileged"] is False
    assert "env" not in container and "envFrom" not in container, "secrets are files"
    assert "limits" in container["resources"] and "requests" in container["resources"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes.keys() == {mount["name"] for mount in container["volumeMounts"]}
    for volume in volumes.values():
        (kind,) = volume.keys() - {"name"}
        assert kind in ("projected", "secret", "configMap", "persistentVolumeClaim"), kind
        sources = volume[kind].get("sources", []) if kind == "projected" else [volume]
        if any("secret" in source for source in sources):
            # Root's, and readable by fsGroup.
            assert volume[kind]["defaultMode"] == 0o440, volume
        if kind == "persistentVolumeClaim":
            assert ("PersistentVolumeClaim", volume[kind]["claimName"]) in objects


def judge_policy(spec: dict, labels: dict, config: dict, ports: dict | None) -> None:
    assert matches(spec["podSelector"], labels) and spec["policyTypes"] == ["Ingress", "Egress"]
    for rule in spec["ingress"]:
        names = {port["port"] for port in rule["ports"]}
        assert names == {"http"} if "http" in names else True
        assert "http" not in names or rule["from"], "nobody reaches HTTP by default"
        assert ports is None or names <= ports.keys()
    to = [port["port"] for rule in spec["egress"] for port in rule["ports"]]
    assert to == ([5432, 53, 53] if config["store"] == "postgresql" else []), to


main()
