#!/usr/bin/env python3
"""What can be known of a module without its provider: check.py MODULE WHEEL

WHEEL is cdktf's package of the provider, made from the provider's own schema. By it, each resource and data source exists, has no argument or
block that is not its own, and has all that it needs; each reference leads to something that is declared, and to an attribute that it has; each
variable and local is used. What matters for safety is asserted at the end. With --script it prints the script that puts secrets into files."""

import ast
import pathlib
import re
import sys
import textwrap
import zipfile

import hcl2

META = {"count", "for_each", "depends_on", "lifecycle", "provider", "provisioner"}


class Provider:
    """The provider's schema."""

    def __init__(self, wheel: str) -> None:
        self.wheel = zipfile.ZipFile(wheel)
        self.package = next(name.split("/")[0] for name in self.wheel.namelist() if name.endswith("/_jsii/__init__.py"))
        self.modules: dict[str, dict[str, ast.ClassDef]] = {}

    def module(self, name: str) -> dict[str, ast.ClassDef]:
        if name not in self.modules:
            try:
                source = self.wheel.read(f"{self.package}/{name}/__init__.py")
            except KeyError:
                raise SystemExit(f"the provider has no {name}") from None
            self.modules[name] = {each.name: each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)}
        return self.modules[name]

    def config(self, name: str) -> ast.ClassDef:
        (found,) = [each for each in self.module(name).values() if any("TerraformMetaArguments" in ast.unparse(base) for base in each.bases)]
        return found

    def attributes(self, name: str) -> set[str]:
        """What may be read of it."""
        bases = ("TerraformResource", "TerraformDataSource")
        (found,) = [each for each in self.module(name).values() if any(ast.unparse(base).endswith(bases) for base in each.bases)]
        return {
            plain(method.name)
            for method in found.body
            if isinstance(method, ast.FunctionDef) and any("property" in ast.unparse(each) for each in method.decorator_list)
        }


def plain(name: str) -> str:
    """cdktf's names differ from the provider's where digits are."""
    return name.replace("_", "").lower()


def fields(of: ast.ClassDef) -> dict[str, tuple[bool, str]]:
    """By name, whether it is needed, and its type."""
    (init,) = [each for each in of.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    arguments = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return {plain(arg.arg): (default is None, ast.unparse(arg.annotation).replace("'", "")) for arg, default in arguments}


def check_block(provider: Provider, module: str, of: ast.ClassDef, block: dict, where: str, top: bool = False) -> None:
    known = fields(of)
    given = set()
    blocks = []
    for name, value in block.items():
        if name.startswith("__") or (top and name in META):
            continue
        if name == "dynamic":
            for each in value:
                ((inner, body),) = [pair for pair in each.items() if not pair[0].startswith("__")]
                blocks += [(unquoted(inner), content) for content in body["content"]]
        elif isinstance(value, list) and value and all(isinstance(each, dict) and each.get("__is_block__") for each in value):
            blocks += [(name, each) for each in value]
        else:
            given.add(plain(name))
            assert plain(name) in known, f"{where} has no argument {name}"
    for name, content in blocks:
        given.add(plain(name))
        assert plain(name) in known, f"{where} has no block {name}"
        candidates = [each for each in re.findall(r"\b[A-Z]\w+", known[plain(name)][1]) if each in provider.module(module)]
        assert candidates, f"{where}: {name} is not a block"
        check_block(provider, module, provider.module(module)[candidates[0]], content, f"{where}.{name}")
    missing = {name for name, (needed, _) in known.items() if needed} - given
    assert not missing, f"{where} needs {missing}"


def unquoted(name: str) -> str:
    return name.strip('"')


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, each in value.items() if name != "__comments__" for text in [name, *strings(each)]]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return []


def declared(files: list[dict], kind: str) -> dict[str, dict]:
    """Resources and data sources, as type.name; variables and outputs by name."""
    found = {}
    for file in files:
        for each in file.get(kind, []):
            for label, body in each.items():
                if label.startswith("__"):
                    continue
                if kind in ("resource", "data"):
                    for name, content in body.items():
                        if not name.startswith("__"):
                            found[f"{unquoted(label)}.{unquoted(name)}"] = content
                else:
                    found[unquoted(label)] = body
    return found


def main() -> None:
    folder, wheel = pathlib.Path(sys.argv[-2]), sys.argv[-1]
    texts = {path: path.read_text() for path in sorted(folder.glob("*.tf"))}
    files = [hcl2.loads(text) for text in texts.values()]
    resources, data = declared(files, "resource"), declared(files, "data")
    local = {name: value for file in files for each in file.get("locals", []) for name, value in each.items() if not name.startswith("__")}
    if sys.argv[1] == "--script":
        script = local["place"].replace("${local.user}", str(local["user"]))
        (body,) = re.findall(r"<<-end\n(.*)\n *end", script, re.DOTALL)
        print(textwrap.dedent(body))
        return
    provider = Provider(wheel)
    prefix = provider.package.removeprefix("cdktf_cdktf_provider_") + "_"
    for kind, blocks in (("", resources), ("data_" + prefix, data)):
        for name, body in blocks.items():
            module = kind + name.split(".")[0].removeprefix(prefix)
            check_block(provider, module, provider.config(module), body, name, top=True)

    used: dict[str, set[str]] = {"var": set(), "local": set()}
    for text in [text for file in files for text in strings(file)]:
        for name in used:
            used[name] |= set(re.findall(rf"\b{name}\.(\w+)", text))
        for is_data, kind, name, attribute in re.findall(rf"(\bdata\.)?\b({prefix}\w+)\.(\w+)(?:\[[^\]]*\])?(?:\.(\w+))?", text):
            target = f"{kind}.{name}"
            assert target in (data if is_data else resources), f"{target} is not declared"
            module = ("data_" + prefix if is_data else "") + kind.removeprefix(prefix)
            assert not attribute or plain(attribute) in provider.attributes(module), f"{target} has no {attribute}"
    variables = set(declared(files, "variable"))
    assert used["var"] == variables, used["var"] ^ variables
    assert used["local"] == set(local), used["local"] ^ set(local)
    for name, body in {**declared(files, "variable"), **declared(files, "output")}.items():
        assert body.get("description"), f"{name} is not described"

    text = "\n".join(texts.values())
    assert not re.search(r"(?im)^\s*(\w*_)?(secret_string|secret_binary|password)\s*=\s*\"", text), "a secret's value is in the module"
    assert "aws_secretsmanager_secret_version" not in text and "azurerm_key_vault_secret" not in text, "the state would have the value"
    SAFETY[prefix](resources)
    print(f"{folder.name}: {len(resources)} resources, {len(data)} data sources, {len(variables)} variables, by {pathlib.Path(wheel).name}")


def aws(resources: dict) -> None:
    database = resources["aws_db_instance.main"]
    for name in ("multi_az", "storage_encrypted", "manage_master_user_password", "deletion_protection"):
        assert database[name] is True, name
    assert database["publicly_accessible"] is False and database["skip_final_snapshot"] is False
    assert "password" not in database
    parameters = {unquoted(each["name"]): unquoted(each["value"]) for each in resources["aws_db_parameter_group.main"]["parameter"]}
    assert parameters["rds.force_ssl"] == "1" and parameters["synchronous_commit"] == "on"
    for name, body in resources.items():
        if "ingress_rule" in name and "cidr_ipv4" in body:
            assert body["cidr_ipv4"] == "${each.value}", f"{name} is open to addresses that nobody named"
    assert resources["aws_kms_key.main"]["enable_key_rotation"] is True
    service = resources["aws_ecs_service.main"]
    assert service["deployment_minimum_healthy_percent"] == 100 and service["health_check_grace_period_seconds"] == 2**31 - 1
    assert service["network_configuration"][0]["assign_public_ip"] is False and "deployment_circuit_breaker" not in service
    task = resources["aws_ecs_task_definition.main"]["container_definitions"]
    for wanted in ("readonlyRootFilesystem", "drop", '"SUCCESS"', "readOnly"):
        assert wanted in task, wanted
    assert "secrets " not in task and "valueFrom" not in task, "secrets are files"
    check = resources["aws_lb_target_group.grpc"]["health_check"][0]
    assert unquoted(check["path"]) == "/readyz" and unquoted(check["protocol"]) == "HTTP"
    assert resources["aws_lb.main"]["enable_cross_zone_load_balancing"] is True


def azure(resources: dict) -> None:
    database = resources["azurerm_postgresql_flexible_server.main"]
    assert database["public_network_access_enabled"] is False and "administrator_password" not in database
    assert unquoted(database["high_availability"][0]["mode"]) == "ZoneRedundant"
    assert database["lifecycle"][0]["prevent_destroy"] is True
    settings = resources["azurerm_postgresql_flexible_server_configuration.main"]["for_each"]
    assert {name: unquoted(value) for name, value in settings.items() if not name.startswith("__")} == {
        "require_secure_transport": "ON",
        "ssl_min_protocol_version": "TLSv1.3",
        "synchronous_commit": "ON",
    }
    vault = resources["azurerm_key_vault.main"]
    assert vault["purge_protection_enabled"] is True and vault["rbac_authorization_enabled"] is True
    assert unquoted(vault["network_acls"][0]["default_action"]) == "Deny"
    app = resources["azurerm_container_app.main"]
    template = app["template"][0]
    probes = {name: unquoted(template["container"][0][name + "_probe"][0]["path"]) for name in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert "env" not in template["container"][0], "secrets are files"
    assert {unquoted(each["name"]) for each in template["init_container"][0]["env"]} == {"CONFIG", "CA"}
    assert unquoted(app["ingress"][0]["transport"]) == "tcp"


SAFETY = {"aws_": aws, "azurerm_": azure}

main()
